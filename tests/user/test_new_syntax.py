"""The syntax of newer Pythons in scripts, and what an older Python says of it."""

from __future__ import annotations

import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

import wardian
from tests.support import MANIFEST, run_python, write_case

SCRIPT = r"""
import torch, wardian
from torch import nn
type Pair[T] = tuple[T, T]
type Num = int | float
def first[T](p: Pair[T]) -> T: return p[0]
class Box[T: nn.Module]:
    def __init__(self, x: T): self.x = x
    def map[U](self, f: "Callable[[T], U]") -> U: return f(self.x)
class Stack[*Ts, **P](nn.Module):
    kind: Num = 3
    def __init__(self, *layers: *Ts):
        super().__init__(); self.layers = nn.ModuleList(layers)
    def forward(self, x, /, *, scale=1):
        for l in self.layers: x = l(x)
        return x * scale
def name(x):
    match x:
        case {"kind": str(k), **rest} if (n := len(rest)) >= 0:
            return f"{k!r:>{n + 5}} {f"{k}" + "}"} {'a' if n else "b"}"
        case [int() as a, *others]: return f"{
            a + sum(others)
        }"
        case nn.Linear(in_features=i): return f"L{i}"
        case _: return "?"
def guarded(f):
    try:
        f()
    except* ValueError as g:
        out = [str(e) for e in g.exceptions]
    except* (TypeError, KeyError):
        out = "t"
    return out
def boom(): raise ExceptionGroup("g", [ValueError("a"), ValueError("b")])
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.s = Stack(nn.Linear(2, 2), nn.ReLU())
        self.b = Box(nn.Linear(2, 2))
        self.pair, self.num = Pair[int], Num
        self.fn = lambda y, /, *a, k=(z := 3), **kw: y + k
        self.inner = make()
        self.hook = first
    def forward(self, x, /):
        assert self.num.__value__ == int | float
        names = name({"kind": "q", "r": 1}), name([1, 2, 3]), name(self.b.x)
        called = guarded(boom), self.fn(1), self.inner((4, 5)), self.hook((6, 7))
        return self.s(x, scale=2), *names, *called, self.b.map(type).__name__
def make():
    type Local[T] = list[T]
    def inner[V](v: Local[V]) -> V:
        return v[-1]
    class G[W]:
        def f[X](self, a: W, b: X) -> tuple[W, X]: return a, b
    return lambda v: (inner(v), G().f(1, 2))

wardian.pack(Net(), "new.case", inputs=(torch.ones(1, 2),))
"""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="PEP 695 and PEP 701 came with Python 3.12")
def test_a_script_in_the_language_of_today(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(textwrap.dedent(SCRIPT))
    run_python("import runpy\nrunpy.run_path('train.py', run_name='__main__')", folder=tmp_path)
    (tmp_path / "train.py").unlink()
    script = """
        import torch, wardian
        with wardian.open("new.case") as case:
            print(case.check())
        _, *others = wardian.load("new.case")(torch.ones(1, 2))
        print(others)
    """
    printed = run_python(script, folder=tmp_path).splitlines()
    told = ["   'q' q} a", "6", "L2", ["a", "b"], 4, (5, (1, 2)), 6, "Linear"]
    assert printed == ["model: the same, bit for bit", str(told)]


def test_what_this_python_does_not_know_comes_with_a_way_out(tmp_path: Path) -> None:
    newer = replace(MANIFEST.python, version="3.99.1", tag="cpython-399")
    path = write_case(tmp_path / "new.case", "--- beech.py\ncase of beech\n", python=newer)
    with wardian.open(path) as case, pytest.raises(SyntaxError) as caught:
        case.import_module("beech")
    (note,) = caught.value.__notes__
    assert "packed with Python 3.99.1" in note
    assert "fix: load it with 3.99.1" in note
    with (
        wardian.open(write_case(path, "--- oak.py\ncase of oak\n", python=_this())) as case,
        pytest.raises(SyntaxError) as caught,
    ):
        case.import_module("oak")
    assert not hasattr(caught.value, "__notes__")


def _this() -> object:
    return replace(MANIFEST.python, tag=sys.implementation.cache_tag or "")
