"""PyTorch accepts packed modules and objects."""

import copy
import io
import pickle
import warnings

import torch
from torch import nn
from torch.utils import _pytree as pytree

model, ops = lib("model"), lib("operators")
torch.manual_seed(0)
x = torch.randn(3, 4)


def elsewhere(script, *arguments):
    """Run where neither the library nor the case can be found."""
    import os
    import subprocess
    import sys

    environment = {k: v for k, v in os.environ.items() if k not in ("WARDIAN_OPEN_CASES", "PYTHONPATH")}
    done = subprocess.run([sys.executable, "-P", "-c", "import sys, torch\n" + script, *map(str, arguments)],
                          capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr


def quiet(function, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own deprecations
        return function(*arguments, **options)


@check
def scripting():
    scriptable = model.Scriptable()
    scripted = quiet(torch.jit.script, scriptable)
    assert torch.equal(scripted(x), scriptable(x))
    quiet(torch.jit.save, scripted, folder / "scripted.pt")
    torch.save((x, scriptable(x)), folder / "expected.pt")
    elsewhere("x, y = torch.load(sys.argv[2]); assert torch.equal(torch.jit.load(sys.argv[1])(x), y)",
              folder / "scripted.pt", folder / "expected.pt")
    again = quiet(torch.jit.load, folder / "scripted.pt")
    assert torch.equal(again(x), scriptable(x))


@check
def jit_tracing():
    loaded = load()
    traced = quiet(torch.jit.trace, loaded, x)
    assert torch.allclose(traced(x), loaded(x))
    quiet(torch.jit.save, traced, folder / "traced.pt")
    assert torch.allclose(quiet(torch.jit.load, folder / "traced.pt")(x), loaded(x))


@check
def scripting_functions():
    assert torch.equal(quiet(torch.jit.script, model.helper)(x, 2), x + 2)


@check
def compile_eager():
    loaded = load()
    compiled = torch.compile(loaded, backend="eager", fullgraph=True)
    assert torch.equal(compiled(x), loaded(x))
    assert torch._dynamo.explain(loaded)(x).graph_break_count == 0


@check
def compile_aot_and_train():
    loaded, twin = load().train(), load().train()
    compiled = torch.compile(loaded, backend="aot_eager", fullgraph=True)
    compiled(x).sum().backward()
    twin(x).sum().backward()
    for p, q in zip(loaded.parameters(), twin.parameters()):
        torch.testing.assert_close(p.grad, q.grad)


@check
def compile_inductor():
    loaded = load()
    compiled = torch.compile(loaded, fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), loaded(x))


@check
def compile_in_place_and_save():
    loaded = load()
    before = loaded(x)
    loaded.compile(backend="eager")
    assert torch.equal(loaded(x), before)
    again = pickle.loads(pickle.dumps(loaded))
    assert torch.equal(again(x), before)


@check
def compile_operators():
    grafted = ops.Grafted()
    compiled = torch.compile(grafted, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), grafted(x))


@check
def exports():
    loaded = load()
    batch = torch.export.Dim("batch", min=2)
    program = torch.export.export(loaded, (x,), dynamic_shapes=({0: batch},))
    torch.testing.assert_close(program.module()(x), loaded(x))
    torch.export.save(program, folder / "exported.pt2")
    torch.save((x, loaded(x)), folder / "expected.pt")
    elsewhere("x, y = torch.load(sys.argv[2]); torch.testing.assert_close("
              "torch.export.load(sys.argv[1]).module()(x), y)", folder / "exported.pt2", folder / "expected.pt")
    unflattened = torch.export.unflatten(program)
    torch.testing.assert_close(unflattened(x), loaded(x))
    strict = torch.export.export(load(), (x,), strict=True)
    torch.testing.assert_close(strict.module()(x), loaded(x))
    program.run_decompositions()


@check
def export_of_operators():
    program = torch.export.export(ops.Grafted(), (x,))
    assert "orchard.graft" in str(program.graph)


@check
def symbolic_tracing():
    loaded = load()
    graph = torch.fx.symbolic_trace(loaded)
    assert torch.equal(graph(x), loaded(x))
    assert torch.equal(pickle.loads(pickle.dumps(graph))(x), loaded(x))
    assert torch.equal(copy.deepcopy(graph)(x), loaded(x))

    class Leafy(torch.fx.Tracer):
        def is_leaf_module(self, module, name):
            return type(module).__name__ == "Branch" or super().is_leaf_module(module, name)

    graph = torch.fx.GraphModule(loaded, Leafy().trace(loaded))
    assert torch.equal(graph(x), loaded(x))
    again = pickle.loads(pickle.dumps(graph))
    assert type(again.get_submodule("branches.0")) is model.Branch
    assert torch.equal(again(x), loaded(x))


@check
def fx_wrap():
    def function(x):
        return wrapped(x, 2) + 1

    wrapped = model.helper

    class Call(nn.Module):
        def forward(self, x):
            return model.helper(x, 2)

    graph = torch.fx.symbolic_trace(Call())
    assert torch.equal(graph(x), x + 2)
    tracer = torch.fx.Tracer(autowrap_functions=(model.helper,))
    graph = torch.fx.GraphModule({}, tracer.trace(function))
    assert torch.equal(graph(x), function(x))


@check
def functional():
    loaded = load()
    quiet(__import__, "torch._decomp.decompositions_for_jvp")
    parameters = {k: v.detach() for k, v in loaded.named_parameters()}
    buffers = dict(loaded.named_buffers())

    def loss(p, v):
        return torch.func.functional_call(loaded, (p, buffers), (v.unsqueeze(0),)).sum()

    grads = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, x)
    assert grads["head.weight"].shape == (3, 4, 4)
    assert torch.func.jacrev(lambda v: loss(parameters, v))(x[0]).shape == (4,)
    assert torch.func.hessian(lambda v: loss(parameters, v))(x[0]).shape == (4, 4)
    stacked, _ = torch.func.stack_module_state([load(), load()])
    assert stacked["head.weight"].shape == (2, 4, 4)


@check
def state_dicts():
    loaded, twin = load(), load()
    with torch.no_grad():
        loaded.head.weight.add_(1)
    assert twin.load_state_dict(loaded.state_dict(), strict=True).missing_keys == []
    assert torch.equal(twin(x), loaded(x)) and twin.tail.weight is twin.head.weight
    buffer = io.BytesIO()
    torch.save(loaded.state_dict(), buffer)
    buffer.seek(0)
    load().load_state_dict(torch.load(buffer, weights_only=True))
    meta = load().to("meta")
    meta.load_state_dict(loaded.state_dict(), assign=True)
    assert torch.equal(meta(x), loaded(x))
    try:
        loaded.load_state_dict({"no": x})
    except RuntimeError as error:
        assert "Orchard" in str(error)


@check
def all_hooks():
    loaded, seen = load(), []
    handles = [
        loaded.register_forward_pre_hook(lambda m, a: seen.append("pre")),
        loaded.register_forward_hook(lambda m, a, o: seen.append("post")),
        loaded.register_full_backward_hook(lambda m, i, o: seen.append("backward")),
        loaded.register_full_backward_pre_hook(lambda m, o: seen.append("backward pre")),
        loaded.register_state_dict_post_hook(lambda m, s, p, l: seen.append("state")),
        loaded.register_load_state_dict_post_hook(lambda m, k: seen.append("load")),
        nn.modules.module.register_module_forward_hook(lambda m, a, o: None),
    ]
    loaded(x.clone().requires_grad_()).sum().backward()
    loaded.load_state_dict(loaded.state_dict())
    assert set(seen) == {"pre", "post", "backward", "backward pre", "state", "load"}
    [handle.remove() for handle in handles]


@check
def autograd_functions():
    v = x.clone().requires_grad_()
    model.twice(v).sum().backward()
    assert torch.equal(v.grad, torch.full_like(v, 2))
    assert torch.autograd.gradcheck(model.Twice.apply, (torch.randn(2, dtype=torch.double, requires_grad=True),))


@check
def operators():
    torch.testing.assert_close(ops.use(x), 8 * x + 3)
    v = x.clone().requires_grad_()
    ops.graft(v, 3).sum().backward()
    assert torch.equal(v.grad, torch.full_like(v, 3))
    assert torch.func.vmap(lambda v: ops.graft(v, 2))(x).shape == x.shape
    torch.library.opcheck(ops.graft, (x, 2))
    torch.library.opcheck(torch.ops.orchard.pick.default, (x, 2), test_utils=["test_schema", "test_faketensor"])


@check
def quantization():
    loaded = load().eval()

    def dynamic():
        return torch.ao.quantization.quantize_dynamic(loaded, {nn.Linear}, dtype=torch.qint8)

    quantized = quiet(dynamic)
    again = quiet(lambda: pickle.loads(pickle.dumps(quantized)))
    assert torch.equal(quiet(again, x), quiet(quantized, x))

    def fx():
        from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

        prepared = prepare_fx(copy.deepcopy(loaded), torch.ao.quantization.get_default_qconfig_mapping(), (x,))
        prepared(x)
        return convert_fx(prepared)

    assert quiet(fx)(x).shape == x.shape


@check
def parametrizations():
    from torch.nn.utils import parametrizations, parametrize, prune

    loaded = load()
    parametrizations.weight_norm(loaded.head, "weight")
    parametrizations.spectral_norm(loaded.branches[0].linear)
    twin = copy.deepcopy(loaded)
    assert torch.equal(twin.eval()(x), loaded.eval()(x))
    assert parametrize.is_parametrized(twin.head)
    prune.l1_unstructured(loaded.branches[1].linear, "weight", 0.5)
    assert (loaded.branches[1].linear.weight == 0).sum() == 8


@check
def training():
    loaded = load().train()
    for kind in (torch.optim.SGD, torch.optim.AdamW):
        optimizer = kind(loaded.parameters(), lr=0.01)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
        for _ in range(2):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = loaded(x).float().square().mean()
            loss.backward()
            optimizer.step()
            scheduler.step()
        buffer = io.BytesIO()
        torch.save({"model": loaded, "optimizer": optimizer, "scheduler": scheduler.state_dict()}, buffer)
        buffer.seek(0)
        again = torch.load(buffer, weights_only=False)
        assert again["optimizer"].param_groups[0]["params"][0] is next(again["model"].parameters())
    swa = torch.optim.swa_utils.AveragedModel(loaded)
    swa.update_parameters(loaded)
    torch.utils.checkpoint.checkpoint(loaded, x, use_reentrant=False).sum().backward()


@check
def profiles():
    with torch.profiler.profile(record_shapes=True, with_stack=True) as profile:
        load()(x)
    assert "aten::addmm" in {event.key for event in profile.key_averages()}


@check
def moves_and_casts():
    loaded = load()
    assert loaded.double()(x.double()).dtype == torch.double
    assert loaded.half().bfloat16().float()(x).shape == x.shape
    assert str(loaded).startswith("Orchard(\n  (branches)")
    assert [type(m).__name__ for m in loaded.modules()][:3] == ["Orchard", "ModuleList", "Branch"]
    assert torch.nn.utils.parameters_to_vector(loaded.parameters()).numel() > 0


@check
def fake_and_meta():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(allow_non_fake_inputs=True):
        load()
    with torch.device("meta"):
        assert model.Orchard().head.weight.is_meta
    assert ops.graft(x.to("meta"), 2).is_meta


@check
def modes():
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode

    class Count(TorchDispatchMode):
        n = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            Count.n += 1
            return func(*args, **(kwargs or {}))

    with Count():
        load()(x)
    assert Count.n > 3


@check
def onnx_like_flop_counters():
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        load()(x)
    assert counter.get_total_flops() > 0


@check
def aot_inductor_cache_keys():
    from torch._functorch.aot_autograd import aot_module_simplified

    assert aot_module_simplified is not None
    compiled = torch.compile(load(), backend="aot_eager")
    compiled(x)
    torch._dynamo.reset()


@check
def a_shared_model_in_threads():
    from concurrent.futures import ThreadPoolExecutor

    loaded = load()
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(loaded, [x] * 16))
    assert all(torch.equal(r, results[0]) for r in results)
