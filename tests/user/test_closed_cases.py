"""What is left of a closed case is not packed without its sources: packing says what to load again."""

from __future__ import annotations

from pathlib import Path

from tests.support import run_python, write_tree

_TREE = """
--- yew/__init__.py
--- yew/parts.py
def double(x):
    return 2 * x
--- yew/net.py
import torch
from yew import parts

def make_hook():
    return lambda x: parts.double(x)

class Net(torch.nn.Linear):
    def forward(self, x):
        from yew.parts import double
        return double(super().forward(x))
"""

_PACK = """
import wardian
from yew.net import Net
wardian.pack(Net(2, 2), "yew.case", prove=False)
"""

_REFUSED = """
import os, pickle, sys, torch, wardian

with wardian.open("yew.case") as case:
    model = case.load()
    net, parts = case.import_module("yew.net"), case.import_module("yew.parts")
    hook = net.make_hook()

class Larger(net.Net):
    pass

def outer(x):
    return model(x)

def texts():
    found = {
        "model": model,
        "inside": {"encoder": [torch.nn.ReLU(), model]},
        "method": model.forward,
        "class": type(model),
        "function": parts.double,
        "local function": hook,
        "module": [parts],
        "subclass": Larger(2, 2),
        "global": outer,
    }
    for name, obj in found.items():
        try:
            wardian.pack(obj, "new.case", prove=False)
        except wardian.UnpicklableError as error:
            assert pickle.loads(pickle.dumps(error)).problems == error.problems
            (problem,) = error.problems
            assert problem.fix.endswith(f"wardian.load({os.path.abspath('yew.case')!r})"), problem.fix
            print(f"{name}: {problem.what.replace(os.path.abspath('yew.case'), 'yew.case')}")
        else:
            print(f"{name}: packed")

texts()
wardian.pack(model.state_dict(), "new.case", prove=False)  # has no code of the case
again = wardian.load("yew.case")
texts()
wardian.pack([again, again.forward], "new.case", prove=False)
"""


def test_what_is_of_a_closed_case_is_not_packed(tmp_path: Path) -> None:
    sources = write_tree(tmp_path / "sources", _TREE)
    run_python(_PACK, folder=tmp_path, paths=(sources,))
    closed = "of yew.case, a case that was closed in this process"
    expected = [
        f"model: model: yew.net.Net {closed}",
        f"inside: model['encoder'][1]: yew.net.Net {closed}",
        f"method: model.__self__: yew.net.Net {closed}",
        f"class: model: yew.net.Net {closed}",
        f"function: model: yew.parts.double {closed}",
        f"local function: model: yew.net.make_hook.<locals>.<lambda> {closed}",
        f"module: model[0]: yew.parts {closed}",
        f"subclass: model: __main__.Larger is derived from yew.net.Net {closed}",
        f"global: model: yew.net.Net {closed}",
    ]
    assert run_python(_REFUSED, folder=tmp_path).splitlines() == expected * 2
