"""`sys.modules` holds what is no module: packing, loading and closing leave it alone, and run none of it."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

import wardian
from tests.support import run_python, write_case, write_tree

_TREE = """
--- alder/__init__.py
import contextvars, logging
LEVEL = contextvars.ContextVar("level", default=1)
--- alder/net.py
import torch
import alder

class Net(torch.nn.Linear):
    level = alder.LEVEL

    def forward(self, x):
        return super().forward(x) * alder.LEVEL.get()
--- odd.py
import sys, types

# What cffi's `lib` objects, and proxies, answer: they say that they are modules and have no variables.
class Bare:
    __slots__ = ()
    __class__ = property(lambda self: types.ModuleType)

    def __getattr__(self, name):
        raise AttributeError(name)

class Computed(Bare):
    __slots__ = ()

    @property
    def __dict__(self):
        raise SystemExit("the variables of a proxy were asked for")

class Lazy(types.ModuleType):
    def __getattribute__(self, name):
        if name == "__dict__":
            raise SystemExit("a package that waits was run")
        return super().__getattribute__(name)

# What raises, whatever it is asked.
def fail(*arguments):
    raise ZeroDivisionError

class Classless:
    __class__ = property(fail)

class Asks:
    def __getattr__(self, name):
        raise KeyError(name)

class AsksAll:
    def __getattribute__(self, name):
        raise RuntimeError(name)

class Said:
    __file__ = __spec__ = __name__ = __loader__ = __path__ = __dict__ = property(fail)

class Compared:
    __eq__ = __hash__ = __bool__ = __len__ = __repr__ = fail

for kind in (Classless, Asks, AsksAll, Said, Compared):
    for package in ("", "alder.", "torch.", "xml."):
        sys.modules[f"{package}a_{kind.__name__.lower()}"] = kind()

sys.modules["_openssl.lib"] = Bare()
sys.modules["a_proxy"] = Computed()
sys.modules["a_lazy"] = Lazy("a_lazy")
"""

_ROUND = """
import odd, copyreg, functools, torch, wardian, wardian.package
from alder.net import Net

odd_hook = functools.partial(print)
wardian.pack(Net(2, 2), "alder.case", inputs=(torch.ones(2),))
with wardian.open("alder.case") as case:
    model = case.load()
    net = case.import_module("alder.net")
    copyreg.pickle(net.Net, print)
    del model
wardian.plan(Net(2, 2), inputs=(torch.ones(2),))
wardian.pack(wardian.load("alder.case"), "again.case", prove=False)
with wardian.open("again.case") as case:
    case.audit()
    case.check()

exporter = wardian.package.PackageExporter("alder.pt")
with exporter:
    exporter.intern("alder.**")
    exporter.extern("**")
    exporter.save_pickle("alder", "net.pkl", Net(2, 2))
wardian.package.PackageImporter("alder.pt").load_pickle("alder", "net.pkl")
print("closed")
"""

_SCRIPT = """
import odd, torch, wardian

classless, asks, said, compared = odd.Classless(), odd.Asks(), odd.Said(), odd.Compared()
TIMES = 2

class Net(torch.nn.Module):
    def forward(self, x):
        return x * TIMES

class Mentions(Net):
    def forward(self, x):
        return x * (2 if None not in map(id, (asks, compared)) else 3)

for kind in (Net, Mentions):
    wardian.pack(kind(), "net.case", inputs=(torch.ones(1),))
    print(wardian.load("net.case")(torch.ones(1)).item())
"""


@pytest.mark.slow
def test_packing_loading_and_closing_do_not_touch_them(tmp_path: Path) -> None:
    write_tree(tmp_path, _TREE)
    assert run_python(_ROUND, folder=tmp_path, paths=(tmp_path,)).splitlines()[-1] == "closed"


@pytest.mark.slow
def test_a_script_may_hold_them(tmp_path: Path) -> None:
    write_tree(tmp_path, _TREE)
    assert run_python(_SCRIPT, folder=tmp_path, paths=(tmp_path,)).splitlines() == ["2.0", "2.0"]


class _Bare:
    __slots__ = ()
    __class__ = property(lambda self: types.ModuleType)


def test_a_case_closes_beside_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = write_case(tmp_path / "ash.case", "--- ash.py\nx = 1")
    monkeypatch.setitem(sys.modules, "_openssl.lib", _Bare())
    with wardian.open(case) as opened:
        monkeypatch.setitem(sys.modules, f"{opened.mount.name}.ash.lib", _Bare())
        assert opened.import_module("ash").x == 1
