"""The default device and dtype of a process change nothing of what is packed, loaded, filled, compared."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from torch.utils._device import _device_constructors

import wardian
from tests.support import run_python

PREPARE = """
import warnings
import torch, wardian
warnings.simplefilter("ignore")
BASE = torch.arange(6.0).reshape(2, 3)
PARTS = {
    "sparse": BASE.to_sparse(),
    "rows": BASE.to_sparse_csr(),
    "nested": torch.nested.nested_tensor([torch.ones(2, 3), torch.zeros(4, 3)]),
    "jagged": torch.nested.nested_tensor([torch.ones(2, 3), torch.zeros(4, 3)], layout=torch.jagged),
    "quantised": torch.quantize_per_tensor(BASE, 0.1, 3, torch.qint8),
    "channels": torch.quantize_per_channel(BASE, torch.ones(2), torch.zeros(2), 0, torch.qint8),
    "half": BASE.half(),
    "conj": torch.ones(2, dtype=torch.complex64).conj(),
}
torch.manual_seed(0)
linear, x = torch.nn.Linear(2, 2), torch.ones(1, 2)
"""

USED = (
    PREPARE
    + """
import sys
from contextlib import contextmanager

@contextmanager
def mode():
    if sys.argv[1] == "with meta":
        with torch.device("meta"):
            yield
    elif sys.argv[1] == "meta":
        torch.set_default_device("meta")
        yield
        torch.set_default_device(None)
    else:
        torch.set_default_dtype(torch.float64)
        yield
        torch.set_default_dtype(torch.float32)

def same(got):
    for name, tensor in got.items():
        expected = PARTS[name] if name in PARTS else linear.state_dict()[name]
        assert (tensor.device.type, tensor.dtype) == ("cpu", expected.dtype), (name, tensor)
        assert tensor.is_nested == expected.is_nested and tensor.layout == expected.layout
        if tensor.is_nested:
            assert all(map(torch.equal, tensor.unbind(), expected.unbind()))
        elif tensor.layout is not torch.strided:
            assert torch.equal(tensor.to_dense(), expected.to_dense())
        else:
            assert torch.equal(tensor, expected), name
    assert got

def filled(path, **options):
    other = torch.nn.Linear(2, 2, device="cpu", dtype=torch.float32)
    wardian.load_into(other, path, **options)
    return other.state_dict()

def packed(**options):
    wardian.pack(linear, "again.case", inputs=(x,), **options)
    with open("again.case", "rb") as again, open("linear.case", "rb") as first:
        return linear.state_dict() if again.read() == first.read() else {}

def exported():
    with wardian.open("linear.case") as case:
        case.export_safetensors("linear.safetensors")
    from wardian.tensors.safetensors import SafetensorsFile
    return dict(SafetensorsFile("linear.safetensors"))

ways = {
    "load": lambda: wardian.load("linear.case").state_dict(),
    "load to the CPU": lambda: wardian.load("linear.case", map_location="cpu").state_dict(),
    "load without mapping": lambda: wardian.load("linear.case", mmap=False).state_dict(),
    "load from memory": lambda: wardian.load(open("linear.case", "rb").read()).state_dict(),
    "load parts": lambda: wardian.load("parts.case"),
    "load parts without mapping": lambda: wardian.load("parts.case", mmap=False),
    "state_dict": lambda: wardian.open("linear.case").state_dict(),
    "state_dict of parts": lambda: dict(wardian.open("parts.case").tensors),
    "load_into": lambda: filled("linear.case"),
    "load_into by assigning": lambda: filled("linear.case", assign=True),
    "check": lambda: {"half": BASE.half()} if wardian.open("linear.case").check().exact else {},
    "pack": packed,
    "export": exported,
}
for way, answer in ways.items():
    print(way, flush=True)
    with mode():
        answer = answer()
    same(answer)
print("all are the same")
"""
)


@pytest.mark.parametrize("mode", ["with meta", "meta", "float64"])
def test_a_default_device_or_dtype_changes_nothing(mode: str, tmp_path: Path) -> None:
    script = """
wardian.pack(linear, "linear.case", inputs=(x,))
wardian.pack(PARTS, "parts.case")
"""
    run_python(PREPARE + script, folder=tmp_path)
    assert run_python(USED, mode, folder=tmp_path).splitlines()[-1] == "all are the same"


def test_the_code_says_of_each_tensor_that_it_makes_where() -> None:
    makers = {maker.__name__ for maker in _device_constructors()}
    silent = [
        f"{path.name}:{node.lineno}"
        for path in Path(wardian.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "torch"
        and node.func.attr in makers
        and all(keyword.arg != "device" for keyword in node.keywords)
    ]
    assert silent == []
