"""What a module gets from a case, name by name, and what is told where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import wardian
from wardian.errors import CaseError, CodeNeededError, WardianWarning, WeightsMismatchError

pytestmark = [
    pytest.mark.filterwarnings("ignore:Sparse .* tensor support is in beta"),
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors"),
    pytest.mark.filterwarnings("ignore:.*quantize_per_tensor"),
    pytest.mark.filterwarnings("ignore:TypedStorage is deprecated"),
]

load_into: Callable[..., Any] = wardian.load_into
"""Without its types: some tests break them on purpose."""


class Rope(nn.Module):
    """Has a buffer that is in no state_dict."""

    def __init__(self, first: float = 0.5) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.arange(4.0) + first, persistent=False)


class Holder(nn.Module):
    """Has what a test gives it."""

    positions: torch.Tensor
    sparse: torch.Tensor


class Speaker(nn.Module):
    """Has tied weights, a buffer of each kind, and layers."""

    def __init__(self, words: int = 6, width: int = 4) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.rope = Rope()
        self.norm = nn.BatchNorm1d(width)
        self.head = nn.Linear(width, words, bias=False)
        self.head.weight = self.words.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.head(self.norm(self.words(x)) * self.rope.frequencies)
        return found


def packed(folder: Path, obj: Any, name: str = "packed.case") -> Path:
    wardian.pack(obj, folder / name, prove=False)
    return folder / name


@pytest.fixture(scope="module")
def speaker() -> Speaker:
    torch.manual_seed(1)
    return Speaker().eval()


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory, speaker: Speaker) -> Path:
    return packed(tmp_path_factory.mktemp("filling"), speaker)


def answers(model: nn.Module) -> torch.Tensor:
    found: torch.Tensor = model.eval()(torch.arange(6))
    return found


def on_meta() -> Speaker:
    with torch.device("meta"):
        return Speaker()


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("make", [Speaker, on_meta], ids=["made", "meta"])
def test_a_module_does_what_the_packed_one_did(
    case: Path, speaker: Speaker, make: Callable[[], Speaker], assign: bool
) -> None:
    model = make()
    model.rope = Rope(first=0)
    found = load_into(model, case, assign=assign)
    assert (found.missing_keys, found.unexpected_keys, str(found)) == (
        [],
        [],
        "<All keys matched successfully>",
    )
    assert torch.equal(answers(model), answers(speaker))
    assert model.head.weight is model.words.weight
    assert isinstance(model.words.weight, nn.Parameter)
    assert model.words.weight.requires_grad
    assert not model.norm.running_mean.requires_grad  # type: ignore[union-attr]
    model(torch.arange(6)).sum().backward()


def test_tensors_stay_those_of_the_module_where_they_have_memory(case: Path) -> None:
    model = Speaker()
    before = [*model.parameters(), *model.buffers()]
    load_into(model, case)
    assert all(a is b for a, b in zip(before, [*model.parameters(), *model.buffers()], strict=True))


def test_what_was_emptied_is_filled_and_that_it_is_not_tied_any_more_is_told(
    case: Path, speaker: Speaker
) -> None:
    model = on_meta().to_empty(device="cpu")
    with pytest.warns(WardianWarning, match=r"model\.head\.weight = model\.words\.weight"):
        load_into(model, case)
    assert torch.equal(answers(model), answers(speaker))


def test_values_are_cast_unless_they_take_the_place(case: Path) -> None:
    model = Speaker().to(torch.bfloat16)
    load_into(model, case)
    assert {t.dtype for t in model.parameters()} == {torch.bfloat16}
    model = on_meta().to(torch.bfloat16)
    load_into(model, case)
    assert {t.dtype for t in model.parameters()} == {torch.bfloat16}
    load_into(model, case, assign=True)
    assert {t.dtype for t in model.parameters()} == {torch.float32}


def test_what_is_frozen_stays_so(case: Path) -> None:
    model = on_meta().requires_grad_(False)
    load_into(model, case)
    assert not any(p.requires_grad for p in model.parameters())


def test_all_that_is_wrong_is_told_at_once_and_nothing_is_changed(case: Path) -> None:
    model = Speaker(words=7)
    model.extra = nn.Linear(1, 1)
    del model.norm.running_var
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(WeightsMismatchError) as caught:
        load_into(model, case)
    error = caught.value
    assert isinstance(error, RuntimeError)
    assert error.missing == ("extra.weight", "extra.bias")
    assert error.unexpected == ("norm.running_var",)
    assert [text.partition(":")[0] for text in error.mismatched] == [
        "size mismatch for words.weight",
        "size mismatch for head.weight",
    ]
    assert 'Missing key(s) in the case: "extra.weight", "extra.bias".' in str(error)
    assert 'Unexpected key(s) in the case: "norm.running_var".' in str(error)
    assert "fix: strict=False fills what has the same name" in str(error)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_other_names_are_returned_where_that_is_asked_for(case: Path, speaker: Speaker) -> None:
    model = Speaker()
    model.extra = nn.Linear(1, 1)
    del model.norm.running_var
    found = load_into(model, case, strict=False)
    assert found == (["extra.weight", "extra.bias"], ["norm.running_var"])
    assert torch.equal(model.words.weight, speaker.words.weight)
    with pytest.raises(WeightsMismatchError, match=r"size mismatch for words\.weight"):
        load_into(Speaker(words=7), case, strict=False)


def test_the_fix_names_the_part_that_fits(tmp_path: Path, case: Path, speaker: Speaker) -> None:
    around = nn.ModuleDict({"speaker": Speaker()})
    with pytest.raises(WeightsMismatchError, match=r"wardian\.load_into\(model\.speaker, "):
        load_into(around, case)
    load_into(around["speaker"], case)
    inside = packed(tmp_path, {"speaker": speaker})
    with pytest.raises(WeightsMismatchError) as caught:
        load_into(Speaker(), inside)
    assert "wardian.load_into(torch.nn.ModuleDict({'speaker': model}), " in str(caught.value)
    assert "strict" not in str(caught.value)
    load_into(nn.ModuleDict({"speaker": Speaker()}), inside)


def test_one_of_several_entry_points(tmp_path: Path, speaker: Speaker) -> None:
    path = tmp_path / "two.case"
    wardian.pack(path=path, entries={"speaker": speaker, "other": nn.Linear(1, 1)}, prove=False)
    model = Speaker()
    load_into(model, path, name="speaker")
    assert torch.equal(answers(model), answers(speaker))
    with pytest.raises(wardian.EntryNotFoundError, match="say which"):
        load_into(model, path)


def test_buffers_for_which_the_case_has_nothing_are_named(tmp_path: Path, speaker: Speaker) -> None:
    with pytest.warns(WardianWarning, match="is a state_dict"):
        path = packed(tmp_path, speaker.state_dict())
    model = Speaker()
    with pytest.warns(WardianWarning, match=r'no state_dict either, "rope\.frequencies"') as caught:
        assert load_into(model, path).missing_keys == []
    assert caught[0].filename == __file__
    with pytest.raises(WeightsMismatchError, match=r'Missing key\(s\) in the case: "rope\.frequencies"'):
        load_into(on_meta(), path)


def test_buffers_that_only_the_case_has_are_no_error(tmp_path: Path) -> None:
    path = packed(tmp_path, nn.Sequential(Rope(), nn.Linear(2, 2)))
    assert load_into(nn.Sequential(nn.Identity(), nn.Linear(2, 2)), path).unexpected_keys == []


def test_tied_in_the_module_and_different_in_the_case(tmp_path: Path) -> None:
    untied = Speaker()
    untied.head.weight = nn.Parameter(torch.zeros(6, 4))
    with pytest.raises(WeightsMismatchError, match=r"words\.weight and head\.weight are one tensor"):
        load_into(Speaker(), packed(tmp_path, untied))
    untied.head.weight = nn.Parameter(untied.words.weight.detach().clone())
    model = Speaker()
    load_into(model, packed(tmp_path, untied))
    assert torch.equal(model.head.weight, untied.words.weight)


def test_of_what_is_tied_one_name_is_enough(tmp_path: Path, speaker: Speaker) -> None:
    state = {name: value for name, value in speaker.state_dict().items() if name != "head.weight"}
    path = packed(tmp_path, {"": 0, **state, "rope.frequencies": speaker.rope.frequencies})
    model = Speaker()
    load_into(model, path)
    assert torch.equal(answers(model), answers(speaker))


def test_wrappers_are_looked_through(case: Path, speaker: Speaker) -> None:
    compiled: Any = torch.compile(Speaker())
    load_into(compiled, case)
    assert torch.equal(compiled.words.weight, speaker.words.weight)
    several = nn.DataParallel(Speaker())
    load_into(several, case)
    assert torch.equal(several.module.words.weight, speaker.words.weight)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_layers_that_wait_for_their_shape_get_it(tmp_path: Path, device: str) -> None:
    linear = nn.Sequential(nn.Linear(5, 3))
    model = nn.Sequential(nn.LazyLinear(3, device=device))
    load_into(model, packed(tmp_path, linear))
    x = torch.ones(1, 5)
    assert torch.equal(model(x), linear(x))


def test_a_buffer_that_is_one_number_in_memory_gets_its_own(tmp_path: Path) -> None:
    model, other = Holder(), Holder()
    model.register_buffer("positions", torch.arange(3.0).repeat(2, 1))
    other.register_buffer("positions", torch.zeros(1, 3).expand(2, 3))
    load_into(other, packed(tmp_path, model))
    assert torch.equal(other.positions, model.positions)


def test_tensors_of_other_layouts(tmp_path: Path) -> None:
    model, other = Holder(), Holder()
    model.register_buffer("sparse", torch.eye(3).to_sparse())
    other.register_buffer("sparse", torch.zeros(3, 3, device="meta"))
    load_into(other, packed(tmp_path, model), assign=True)
    assert torch.equal(other.sparse.to_dense(), torch.eye(3))


class _Tagged(torch.Tensor):
    """Is of a class of its own."""


def test_what_only_code_can_make_is_told_before_anything_is_changed(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    model.register_buffer("tag", torch.ones(1).as_subclass(_Tagged))
    other = nn.Linear(2, 2)
    other.register_buffer("tag", torch.zeros(1))
    before = other.weight.detach().clone()
    with pytest.raises(CodeNeededError, match="'tag'"):
        load_into(other, packed(tmp_path, model))
    assert torch.equal(other.weight, before)


class _Noted(nn.Linear):
    """Puts more than tensors into its state_dict."""

    def get_extra_state(self) -> Any:
        return {"scale": 2}

    def set_extra_state(self, state: Any) -> None:
        pass


def test_state_that_is_no_tensor_is_missing(tmp_path: Path) -> None:
    path = packed(tmp_path, nn.Linear(2, 2))
    assert load_into(_Noted(2, 2), path, strict=False).missing_keys == ["_extra_state"]


def holding(**tensors: torch.Tensor) -> Holder:
    """Return a module with these: parameters where they are ones, and buffers."""
    made = Holder()
    for name, tensor in tensors.items():
        if isinstance(tensor, nn.Parameter):
            made.register_parameter(name, tensor)
        else:
            made.register_buffer(name, tensor)
    return made


def quantised(values: torch.Tensor) -> torch.Tensor:
    return torch.quantize_per_tensor(values, 0.5, 0, torch.qint8)


def nested(*lengths: int, layout: torch.layout = torch.strided) -> torch.Tensor:
    return torch.nested.nested_tensor([torch.ones(n) for n in lengths], layout=layout)


def in_inference_mode() -> torch.Tensor:
    with torch.inference_mode():
        return torch.zeros(3, 3)


@pytest.mark.parametrize("to", ["to_sparse", "to_sparse_csr", "to_sparse_bsr"])
@pytest.mark.parametrize("assign", [False, True])
def test_a_sparse_parameter(tmp_path: Path, to: str, assign: bool) -> None:
    options = ((1, 1),) if to == "to_sparse_bsr" else ()

    def sparse(values: torch.Tensor) -> nn.Parameter:
        return nn.Parameter(getattr(values, to)(*options))

    other = holding(sparse=sparse(torch.eye(3)))
    load_into(other, packed(tmp_path, holding(sparse=sparse(2 * torch.eye(3)))), assign=assign)
    assert torch.equal(other.sparse.to_dense(), 2 * torch.eye(3))


SQUARE = torch.eye(3)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: (SQUARE, nn.Parameter(SQUARE.to_sparse())),
            "is strided in the case, and sparse_coo in the model",
        ),
        (lambda: (SQUARE.to_sparse(), SQUARE), "is sparse_coo in the case, and strided in the model"),
        (
            lambda: (SQUARE.to_sparse(), SQUARE.to("meta")),
            "is sparse_coo in the case, and strided in the model",
        ),
        (
            lambda: (SQUARE.to_sparse_csr(), SQUARE.to_sparse()),
            "is sparse_csr in the case, and sparse_coo in",
        ),
        (
            lambda: (SQUARE.to_sparse_csr(), torch.ones(3, 3).to_sparse_csr()),
            "cannot take what the case has: .*elements",
        ),
        (lambda: (quantised(SQUARE), SQUARE), "is quantised in the case, and strided in the model"),
        (lambda: (SQUARE, quantised(SQUARE)), "is strided in the case, and quantised in the model"),
        (lambda: (nested(2, 3), SQUARE), "is nested in the case, and strided in the model"),
        (lambda: (SQUARE, nested(2, 3)), "is strided in the case, and nested in the model"),
        (lambda: (nested(2, 3), nested(2, 2)), "cannot take what the case has: .*same size"),
        (
            lambda: (nested(2, 3, layout=torch.jagged), nested(2, 3)),
            "is jagged in the case, and nested in the model",
        ),
        (
            lambda: (torch.zeros(2, dtype=torch.uint8).view(torch.bits8), torch.ones(2)),
            "is bits8 in the case",
        ),
        (
            lambda: (torch.zeros(2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2), torch.ones(2)),
            "is float4_e2m1fn_x2 in the case, which PyTorch does not convert to torch.float32",
        ),
        (lambda: (SQUARE, in_inference_mode()), r"was made in inference mode.*torch\.inference_mode\(\)"),
    ],
)
def test_what_a_tensor_cannot_take_is_told_before_anything_is_changed(
    tmp_path: Path, make: Callable[[], tuple[torch.Tensor, torch.Tensor]], words: str
) -> None:
    there, here = make()
    path = packed(tmp_path, holding(first=torch.ones(2), second=there))
    other = holding(first=torch.zeros(2), second=here)
    with pytest.raises(WeightsMismatchError, match=f"second {words}"):
        load_into(other, path)
    assert other.get_buffer("first").tolist() == [0, 0]
    load_into(other, path, assign=True)
    assert other.get_buffer("first").tolist() == [1, 1]


def test_all_that_cannot_take_it_are_told_at_once(tmp_path: Path) -> None:
    path = packed(tmp_path, holding(a=SQUARE.to_sparse(), b=quantised(SQUARE), c=torch.ones(2), d=SQUARE))
    other = holding(a=SQUARE.clone(), b=SQUARE.clone(), c=torch.ones(3), d=in_inference_mode())
    with pytest.raises(WeightsMismatchError) as caught:
        load_into(other, path)
    assert [text.split()[0].removesuffix(":") for text in caught.value.mismatched] == ["a", "b", "size", "d"]


def test_in_inference_mode_what_was_made_there_is_filled(tmp_path: Path) -> None:
    other = holding(second=in_inference_mode())
    with torch.inference_mode():
        load_into(other, packed(tmp_path, holding(second=SQUARE)))
    assert torch.equal(other.get_buffer("second"), SQUARE)


def test_a_parameter_cannot_become_one_without_a_gradient(tmp_path: Path) -> None:
    path = packed(tmp_path, holding(first=torch.ones(2), second=torch.ones(2, dtype=torch.int8)))
    other = holding(first=torch.zeros(2), second=nn.Parameter(torch.zeros(2)))
    with pytest.raises(WeightsMismatchError, match=r"second .* int8, .* no gradient"):
        load_into(other, path, assign=True)
    assert other.get_buffer("first").tolist() == [0, 0]


@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_a_nested_buffer(tmp_path: Path, layout: torch.layout) -> None:
    other = holding(rows=nested(2, 3, layout=layout))
    path = packed(tmp_path, holding(rows=nested(2, 3, layout=layout) * 2))
    load_into(other, path)
    assert [row.tolist() for row in other.get_buffer("rows").unbind()] == [[2, 2], [2, 2, 2]]


class Viewing(nn.Module):
    """Has a buffer and a parameter that are parts of another parameter, and one that is all of it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(40.0).view(10, 4))
        self.register_buffer("head", self.weight.detach()[:2])
        self.register_buffer("all", self.weight.detach())
        self.column = nn.Parameter(self.weight.detach()[:, 1])
        self.apart = nn.Parameter(torch.zeros(3))


@pytest.mark.parametrize("assign", [False, True])
def test_what_shares_memory_on_the_meta_device_shares_it_afterwards(tmp_path: Path, assign: bool) -> None:
    path = packed(tmp_path, Viewing())
    model = wardian.load(path, map_location="meta")
    load_into(model, path, assign=assign)  # a warning would be an error
    with torch.no_grad():
        model.weight.fill_(7)
    assert [set(t.flatten().tolist()) for t in (model.head, model.all, model.column)] == [{7}] * 3
    load_into(model, path)  # in memory
    assert model.column.tolist() == Viewing().column.tolist()


def test_what_has_memory_of_its_own_now_is_named(tmp_path: Path) -> None:
    path = packed(tmp_path, Viewing())
    model = Viewing().to_empty(device="cpu")
    with pytest.warns(WardianWarning, match="are parts of one memory in .*, and not in the model") as caught:
        load_into(model, path)
    told = str(caught[0].message)
    assert all(f'"{name}"' in told for name in ("weight", "head", "all", "column"))
    assert "apart" not in told
    assert torch.equal(model.get_buffer("head"), Viewing().get_buffer("head"))


def test_parts_of_one_memory_that_have_nothing_in_common_are_no_matter(tmp_path: Path) -> None:
    memory = torch.arange(64.0).view(8, 8)
    path = packed(tmp_path, holding(left=memory[:, :4], right=memory[:, 4:]))
    other = holding(left=torch.zeros(8, 4), right=torch.zeros(8, 4))
    load_into(other, path)  # a warning would be an error
    assert torch.equal(other.get_buffer("right"), memory[:, 4:])


def compiled(module: nn.Module) -> nn.Module:
    return torch.compile(module)  # type: ignore[return-value]


@pytest.mark.parametrize(
    "wraps", [(nn.DataParallel, compiled), (compiled, nn.DataParallel), (compiled, nn.DataParallel, compiled)]
)
def test_wrappers_of_wrappers(case: Path, speaker: Speaker, wraps: tuple[Callable[[Any], Any], ...]) -> None:
    inner = model = Speaker()
    for wrap in wraps:
        model = wrap(model)
    load_into(model, case)
    assert torch.equal(inner.words.weight, speaker.words.weight)


def test_wrappers_of_parts(case: Path, speaker: Speaker) -> None:
    model = Speaker()
    model.norm = compiled(nn.DataParallel(model.norm))  # type: ignore[assignment]
    load_into(model, case)
    assert torch.equal(model.norm.state_dict()["_orig_mod.module.weight"], speaker.norm.weight)


def test_a_compiled_module_that_was_packed(tmp_path: Path, speaker: Speaker) -> None:
    path = packed(tmp_path, {"model": compiled(speaker)})
    model = nn.ModuleDict({"model": Speaker()})
    load_into(model, path)
    assert torch.equal(model["model"].words.weight, speaker.words.weight)  # type: ignore[union-attr, arg-type]


def test_a_part_with_the_name_that_wrappers_use(tmp_path: Path) -> None:
    def made(value: float) -> nn.Module:
        model = holding(w=torch.full((1,), value))
        model.add_module("_orig_mod", holding(w=torch.full((1,), value + 1)))
        return model

    other = made(0)
    load_into(other, packed(tmp_path, made(5)))
    assert [t.item() for t in other.buffers()] == [5, 6]
    with pytest.raises(WeightsMismatchError, match=r'Missing key\(s\) in the case: "_orig_mod\.w"\.'):
        load_into(other, packed(tmp_path, holding(w=torch.zeros(1)), "one.case"))


@pytest.mark.parametrize(
    ("model", "options", "error", "words"),
    [
        ("packed.case", {}, TypeError, "the module comes first"),
        ({}, {}, TypeError, "this is a dict"),
        (nn.Linear(1, 1), {"map_location": "meta"}, ValueError, "map_location must be another"),
    ],
)
def test_wrong_arguments(
    case: Path, model: Any, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        load_into(model, case, **options)


@pytest.mark.parametrize("make", [lambda: quantised(SQUARE), lambda: nested(2, 3)])
def test_what_cannot_be_on_the_meta_device_is_told(tmp_path: Path, make: Callable[[], torch.Tensor]) -> None:
    path = packed(tmp_path, holding(special=make()))
    with pytest.raises(
        CaseError, match=r"packed\.case: .* meta device, which has no quantised and no nested"
    ):
        wardian.load(path, map_location="meta")
