"""Every kind of tensor that torch.save knows, packed here and loaded in a process of its own."""

from __future__ import annotations

import json
import pickle
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import wardian
from tests.support import importable, run_python
from wardian.package import PackageExporter

BASE = torch.arange(24.0).reshape(4, 6)
BYTES = torch.arange(16, dtype=torch.uint8)


def _of_dtype(dtype: torch.dtype) -> torch.Tensor:
    """Return a tensor of a dtype that may have no operations: every bit pattern is a value."""
    return torch.empty(0, dtype=dtype).set_(BYTES.clone().untyped_storage(), 0, (16 // dtype.itemsize,), (1,))


def _dtypes() -> dict[str, Callable[[], Any]]:
    dtypes = sorted({d for d in vars(torch).values() if isinstance(d, torch.dtype)}, key=str)
    # Shells: torch has them for annotations, and torch.save refuses them. Quantised ones are below.
    shells = {f"torch.{sign}int{bits}" for sign in ("", "u") for bits in range(1, 8)}
    return {
        str(d): partial(_of_dtype, d)
        for d in dtypes
        if str(d) not in shells and not str(d).startswith(("torch.qu", "torch.qi"))
    }


def _quantized(dtype: torch.dtype) -> torch.Tensor:
    return torch.quantize_per_tensor(BASE, 0.1, 3, dtype)


def _per_channel(zero_points: list[float] | list[int], dtype: torch.dtype) -> torch.Tensor:
    scales = torch.tensor([0.1, 0.2, 0.3, 0.4])
    return torch.quantize_per_channel(BASE, scales, torch.tensor(zero_points), 0, dtype)


def _nested(layout: torch.layout) -> torch.Tensor:
    return torch.nested.nested_tensor([torch.ones(2, 3), torch.zeros(4, 3)], layout=layout)


def _with_attribute(tensor: torch.Tensor) -> torch.Tensor:
    tensor.tag = "frozen"  # type: ignore[attr-defined]
    return tensor


KINDS: dict[str, Callable[[], Any]] = {
    **_dtypes(),
    "no elements": lambda: torch.empty(0, 3, 2),
    "no dimensions": lambda: torch.tensor(3.5),
    "transposed": BASE.t,
    "strided": lambda: BASE[::2, 1::3],
    "expanded": lambda: torch.ones(1, 3).expand(5, 3),
    "special values": lambda: torch.tensor([float("nan"), float("inf"), -0.0, 1e-45]),
    "channels last": lambda: torch.ones(1, 2, 3, 4).to(memory_format=torch.channels_last),
    "conjugate": lambda: torch.tensor([1 + 2j, 3 - 1j]).conj(),
    "negative": lambda: torch._neg_view(BASE),
    "imaginary part of a conjugate": lambda: torch.tensor([1 + 2j]).conj().imag,
    "qint8": lambda: _quantized(torch.qint8),
    "quint8": lambda: _quantized(torch.quint8),
    "qint32": lambda: _quantized(torch.qint32),
    "part of a quantised one": lambda: _quantized(torch.qint8)[1:3, ::2],
    "per channel": lambda: _per_channel([0, 1, 2, 3], torch.qint8),
    "per channel, scales of float": lambda: _per_channel([0.0, 1.5, 2.0, 3.0], torch.quint8),
    "per channel, 4 bits": lambda: _per_channel([0.0, 1.0, 2.0, 3.0], torch.quint4x2),
    "COO": BASE.to_sparse,
    "COO, not coalesced": lambda: torch.sparse_coo_tensor(torch.tensor([[0, 0]]), torch.ones(2), (3,)),
    "COO, hybrid": lambda: torch.ones(2, 3, 4).to_sparse(2),
    "CSR": BASE.to_sparse_csr,
    "CSC": BASE.to_sparse_csc,
    "BSR": lambda: BASE.to_sparse_bsr((2, 2)),
    "BSC": lambda: BASE.to_sparse_bsc((2, 3)),
    "nested": lambda: _nested(torch.strided),
    "jagged": lambda: _nested(torch.jagged),
    "meta": lambda: torch.empty_strided((3, 4), (1, 3), device="meta"),
    "needs gradient": lambda: BASE.clone().requires_grad_(),
    "parameter": lambda: nn.Parameter(BASE.clone(), requires_grad=False),
    "buffer": lambda: nn.Buffer(BASE.clone()),
    "parameter with an attribute": lambda: _with_attribute(nn.Parameter(BASE.clone())),
    "tensor with an attribute": lambda: _with_attribute(BASE.clone()),
    "parameter to come": nn.UninitializedParameter,
    "buffer to come": nn.UninitializedBuffer,
    "untyped storage": lambda: torch.tensor([1, 2, 3]).untyped_storage(),
    "typed storage": lambda: torch.FloatStorage([1.0, 2.0]),  # type: ignore[no-untyped-call]
    "storages in an object": lambda: {"here": [BYTES.untyped_storage(), BYTES[1:]]},
}
TENSORS = [name for name in KINDS if "storage" not in name]


def _made(kinds: list[str]) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a kind is experimental, or deprecated
        return {kind: KINDS[kind]() for kind in kinds}


COMPARE = """
    import torch, json, sys, warnings
    warnings.simplefilter("ignore")
    def bits(t):
        return [] if t.is_meta else list(t.contiguous().untyped_storage() if t.numel() else [])
    def difference(a, b, plain=False):
        if isinstance(a, dict) or isinstance(a, list):
            pairs = zip(a.values(), b.values()) if isinstance(a, dict) else zip(a, b)
            return "".join(difference(x, y) for x, y in pairs)
        if isinstance(a, (torch.UntypedStorage, torch.storage.TypedStorage)):
            return "" if type(a) is type(b) and a.tolist() == b.tolist() else "storage"
        if not plain and (type(a) is not type(b) or not a.is_nested and a.__dict__ != b.__dict__):
            return f"{type(b)} {b.__dict__}"
        facts = lambda t: [t.dtype, t.layout, t.device, plain or t.requires_grad]
        if facts(a) != facts(b):
            return f"{facts(b)}"
        if isinstance(a, torch.nn.parameter.UninitializedTensorMixin):
            return "" if type(b) is type(a) else f"{type(b)}"
        if a.is_nested:
            if a.layout is torch.jagged:
                return difference([a.values(), a.offsets()], [b.values(), b.offsets()])
            return "" if all(torch.equal(x, y) for x, y in zip(a.unbind(), b.unbind())) else "values"
        if a.shape != b.shape:
            return f"{b.shape}"
        if a.layout is torch.sparse_coo:
            if a.is_coalesced() != b.is_coalesced() and not plain:
                return "coalesced"
            return difference([a._indices(), a._values()], [b._indices(), b._values()])
        if a.layout is not torch.strided:
            rows = "crow_indices" if a.layout in (torch.sparse_csr, torch.sparse_bsr) else "ccol_indices"
            columns = "col_indices" if rows[1] == "r" else "row_indices"
            parts = lambda t: [getattr(t, rows)(), getattr(t, columns)(), t.values()]
            return difference(parts(a), parts(b))
        if [a.stride(), a.storage_offset(), a.is_conj(), a.is_neg()] != [
            b.stride(), b.storage_offset(), b.is_conj(), b.is_neg()
        ]:
            return f"{b.stride()} {b.storage_offset()} {b.is_conj()} {b.is_neg()}"
        if a.is_quantized:
            def scheme(t):
                if t.qscheme() is torch.per_tensor_affine:
                    return [t.q_scale(), t.q_zero_point()]
                return [t.q_per_channel_scales(), t.q_per_channel_zero_points()]
            if str(scheme(a)) != str(scheme(b)) or a.qscheme() != b.qscheme():
                return f"{scheme(b)}"
        if not a.is_meta and a.untyped_storage().tolist() != b.untyped_storage().tolist():
            return "bytes"
        return ""
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What differs, by the way it was loaded and by kind; "" if nothing."""
    folder = tmp_path_factory.mktemp("tensors")
    objects = _made(list(KINDS))
    for number, obj in enumerate(objects.values()):  # in one file it refuses two types of one storage
        torch.save(obj, folder / f"{number}.pt")
    (folder / "kinds.json").write_text(json.dumps(list(objects)))
    wardian.pack(objects, folder / "tensors.case", prove=False)
    with PackageExporter(folder / "tensors.pt") as exporter:
        exporter.save_pickle("tensors", "all.pkl", objects)
    script = (
        COMPARE
        + """
    import wardian
    from wardian.package import PackageImporter
    kinds = json.load(open("kinds.json"))
    expected = {kind: torch.load(f"{n}.pt", weights_only=False) for n, kind in enumerate(kinds)}
    case = wardian.open("tensors.case")
    ways = {
        "load": case.load(),
        "memory": wardian.load(open("tensors.case", "rb").read()),
        "package": PackageImporter("tensors.pt").load_pickle("tensors", "all.pkl"),
    }
    found = {way: {name: difference(expected[name], loaded[name]) for name in expected}
             for way, loaded in ways.items()}
    plain = lambda way, one: {
        name: difference(expected[name].detach(), one(name), plain=True)
        for name in case.tensors if name in expected and not name.endswith("to come")
    }
    found["tensors"] = plain("tensors", lambda name: case.tensors[name])
    state = case.state_dict()
    found["state_dict"] = plain("state_dict", state.__getitem__)
    to_come = case.tensors["parameter to come"]
    found["classes"] = {"parameter to come": "" if type(to_come) is torch.nn.UninitializedParameter else "no"}
    print(json.dumps(found))
    """
    )
    return json.loads(run_python(script, folder=folder).splitlines()[-1])  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["load", "memory", "package"])
def test_a_tensor_comes_back_as_torch_save_brings_it_back(
    way: str, kind: str, found: dict[str, dict[str, str]]
) -> None:
    assert found[way][kind] == ""


@pytest.mark.parametrize("kind", [kind for kind in TENSORS if "to come" not in kind])
@pytest.mark.parametrize("way", ["tensors", "state_dict"])
def test_a_tensor_is_read_by_name_without_code(way: str, kind: str, found: dict[str, dict[str, str]]) -> None:
    assert found[way][kind] == ""


def test_what_has_no_shape_yet_is_read_by_name(found: dict[str, dict[str, str]]) -> None:
    assert found["classes"] == {"parameter to come": ""}


CPU_ONLY = {"qint8", "quint8", "qint32", "part of a quantised one", "nested"} | {
    kind for kind in KINDS if kind.startswith("per channel")
}
"""PyTorch cannot make these on the meta device; torch.load fails with them in the same way."""


def _devices(obj: Any) -> set[str]:
    return {str(t.device) for t in obj.values() if isinstance(t, torch.Tensor)}


@pytest.mark.filterwarnings("ignore:.*(experimental|prototype|beta|invariant)")
def test_map_location_is_honoured_for_each_kind(tmp_path: Path) -> None:
    objects = _made([kind for kind in TENSORS if kind not in CPU_ONLY and "to come" not in kind])
    path = tmp_path / "tensors.case"
    wardian.pack(objects, path, prove=False)
    called: list[str] = []

    def place(storage: Any, location: str) -> Any:
        called.append(location)
        return torch.empty(storage.nbytes(), dtype=torch.uint8, device="meta").untyped_storage()

    for map_location in ("meta", torch.device("meta"), {"cpu": "meta"}, place):
        loaded = wardian.load(path, map_location=map_location)
        assert _devices(loaded) == {"meta"}
        assert {k: (t.dtype, t.layout) for k, t in loaded.items()} == {
            k: (t.dtype, t.layout) for k, t in objects.items()
        }
        with wardian.open(path) as case:
            assert _devices(case.state_dict(map_location=map_location)) == {"meta"}
    assert set(called) == {"cpu"}
    with wardian.open(path) as case:
        del objects["meta"]
        assert {str(case.state_dict(map_location="cpu")[kind].device) for kind in objects} == {"cpu"}


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_map_location_is_honoured_for_torchscript(tmp_path: Path) -> None:
    shared = torch.nn.Linear(2, 2)
    path = tmp_path / "scripts.case"
    wardian.pack({"script": torch.jit.script(shared), "eager": shared}, path, prove=False)

    def place(storage: Any, location: str) -> Any:
        assert location == "cpu"
        return torch.empty(storage.nbytes(), dtype=torch.uint8, device="meta").untyped_storage()

    for map_location in ("meta", torch.device("meta"), {"cpu": "meta"}, place):
        loaded = wardian.load(path, map_location=map_location)
        assert loaded["script"].weight.is_meta
        assert loaded["eager"].weight.is_meta
    for nothing in (None, "cpu", {"cuda:0": "meta"}, lambda storage, location: None):
        loaded = wardian.load(path, map_location=nothing)
        assert torch.equal(loaded["script"].weight, shared.weight)
        assert loaded["script"](torch.ones(1, 2)).device.type == "cpu"


SUBCLASSES = '''
import torch
from torch import nn

class Tagged(torch.Tensor):
    """Shares the storage of a plain one."""

class Scaled(torch.Tensor):
    """Has no storage of its own: its values are those of two others."""

    @staticmethod
    def __new__(cls, values, scale):
        return torch.Tensor._make_wrapper_subclass(cls, values.shape, device=values.device)

    def __init__(self, values, scale):
        self.values_, self.scale = values, scale

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        plain = [a.values_ * a.scale if isinstance(a, Scaled) else a for a in args]
        return func(*plain, **(kwargs or {}))

class LoraParameter(nn.Parameter):
    """torch.save makes a plain parameter of it."""

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        base = torch.arange(6.0)
        self.weight = LoraParameter(base.clone())
        self.tagged = nn.Buffer(base.as_subclass(Tagged))
        self.register_buffer("scaled", Scaled(base, torch.tensor(2.0)))
        self.register_buffer("plain", base)
        self.register_parameter("bias", nn.Parameter(torch.ones(2)))
'''


def test_tensors_of_own_classes_come_with_their_class(tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / "mytensors.py").write_text(SUBCLASSES)
    with importable(library) as import_module:
        wardian.pack(import_module("mytensors").Model(), tmp_path / "own.case", prove=False)
    script = """
        import torch, wardian
        case = wardian.open("own.case")
        def to_meta(storage, location):
            return torch.UntypedStorage(storage.nbytes(), device="meta")
        assert sorted(case.tensors) == ["bias", "plain", "scaled", "tagged", "weight"]
        assert case.tensors["plain"].tolist() == [0, 1, 2, 3, 4, 5]
        assert case.tensors["weight"].tolist() == [0, 1, 2, 3, 4, 5]
        for name in ("scaled", "tagged"):
            try:
                case.tensors[name]
            except wardian.CodeNeededError as error:
                assert error.tensor == name and "mytensors" in str(error), error
            else:
                raise AssertionError(name)
        try:
            case.state_dict()
        except wardian.CodeNeededError:
            pass
        else:
            raise AssertionError
        assert not any(name.endswith("mytensors") for name in __import__("sys").modules)
        for place in (None, "meta", {"cpu": "meta"}, to_meta):
            model = case.load(map_location=place)
            device = "cpu" if place is None else "meta"
            assert {t.device.type for t in (*model.parameters(), *model.buffers())} == {device}, place
        model = case.load()
        kinds = [type(model.get_buffer(name)).__name__ for name in ("tagged", "scaled", "plain")]
        assert kinds == ["Tagged", "Scaled", "Tensor"], kinds
        assert type(model.weight).__name__ == "LoraParameter" and model.weight.requires_grad
        model.plain[0] = 7
        assert model.tagged[0] == 7 and (model.scaled + 0)[0] == 14
    """
    run_python(script, folder=tmp_path)


def test_what_shares_memory_shares_it_across_pickles_and_by_name(tmp_path: Path) -> None:
    whole = torch.arange(12.0)
    one, two = {"whole": whole, "part": whole[2:5]}, {"other": whole.view(3, 4).t()}
    with PackageExporter(tmp_path / "two.pt") as exporter:
        exporter.save_pickle("two", "one.pkl", one)
        exporter.save_pickle("two", "two.pkl", two)
    with wardian.open(tmp_path / "two.pt") as case:
        assert [name for name in case.files() if name.endswith(".storage")] == [".data/0.storage"]
        tensors = case.tensors
        tensors["two/one.pkl:whole"][2] = 9
        assert tensors["two/one.pkl:part"][0] == 9
        assert tensors["two/two.pkl:other"][2, 0] == 9
        assert case.tensors["two/one.pkl:whole"][2] == 2
    wardian.pack({**one, **two}, tmp_path / "one.case", prove=False)
    with wardian.open(tmp_path / "one.case") as case:
        state = case.state_dict()
        assert len({t.untyped_storage()._cdata for t in state.values()}) == 1
        state["whole"][2] = 9
        assert state["part"][0] == state["other"][2, 0] == 9


def test_hooks_of_tensors_come_back(tmp_path: Path) -> None:
    weight = BASE.clone().requires_grad_()
    weight.register_hook(lambda gradient: gradient * 2)  # type: ignore[no-untyped-call]
    wardian.pack([weight], tmp_path / "hook.case", prove=False)
    (again,) = wardian.load(tmp_path / "hook.case")
    again.sum().backward()
    assert torch.equal(again.grad, torch.full_like(again, 2.0))


@pytest.mark.filterwarnings("ignore:.*quantize_per_tensor, torch.quantize_per_channel")
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_quantised_convolutions_work_though_pytorch_leaves_half_of_them_out_of_a_pickle(
    tmp_path: Path,
) -> None:
    quantized = torch.ao.nn.quantized
    model = torch.nn.Sequential(
        quantized.Quantize(0.1, 0, torch.quint8),  # type: ignore[no-untyped-call]
        quantized.Conv2d(3, 4, 3),  # type: ignore[no-untyped-call]
        torch.ao.nn.intrinsic.quantized.ConvReLU2d(4, 4, 3),  # type: ignore[no-untyped-call]
        quantized.ConvTranspose2d(4, 2, 2),  # type: ignore[no-untyped-call]
        quantized.DeQuantize(),
    ).eval()
    wardian.pack(model, tmp_path / "model.case", prove=False)
    inputs = torch.rand(1, 3, 8, 8)
    assert torch.equal(wardian.load(tmp_path / "model.case")(inputs), model(inputs))


def test_a_container_that_holds_itself(tmp_path: Path) -> None:
    layers: list[Any] = [torch.arange(2.0)]
    layers.append(layers)
    wardian.pack(layers, tmp_path / "layers.case", prove=False)
    again = wardian.load(tmp_path / "layers.case")
    assert again[1] is again
    with wardian.open(tmp_path / "layers.case") as case:
        assert list(case.state_dict()) == ["0"]


def test_tensors_that_are_asked_for_one_by_one_hold_no_file_each(tmp_path: Path) -> None:
    model = {f"w{number}": torch.full((10_000,), float(number)) for number in range(50)}
    wardian.pack(model, tmp_path / "many.case", prove=False)
    statistics = Path("/proc/self/statm")
    calls = []

    def count(_: Any, event: str, __: Any) -> None:
        calls.append(event)

    with wardian.open(tmp_path / "many.case") as case:
        names = list(case.tensors)
        held = [case.tensors["w0"]]
        before = int(statistics.read_text().split()[1]) if statistics.exists() else 0
        sys.setprofile(count)
        one = len(calls)
        held.append(case.tensors["w1"])
        one = len(calls) - one
        held += [case.tensors[name] for name in names]
        sys.setprofile(None)
    assert [int(tensor[0]) for tensor in held[2:]] == list(range(50))
    assert len(calls) < one * (len(names) + 10)  # no more work for each because there are others
    if before:  # in pages of 4 KiB or more; the file has 2 MB
        assert int(statistics.read_text().split()[1]) - before < 10 * 500


def test_a_mapping_says_what_it_is_and_names_what_is_near(tmp_path: Path) -> None:
    wardian.pack(torch.nn.Linear(2, 1), tmp_path / "net.case", prove=False)
    with wardian.open(tmp_path / "net.case") as case:
        assert repr(case.tensors) == f"<2 tensors of {tmp_path / 'net.case'}: weight, bias>"
        assert "wieght" not in case.tensors
        with pytest.raises(KeyError, match=r"no tensor in .* 'wieght'; near to it: weight") as caught:
            case.tensors["wieght"]
        assert type(pickle.loads(pickle.dumps(caught.value))) is KeyError
        with pytest.raises(KeyError, match=r"no record in .* 'byteordr'; near to it: byteorder"):
            case.read("byteordr")
