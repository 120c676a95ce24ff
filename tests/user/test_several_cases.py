"""One pack of objects from several cases, of what a script added to them, and of what it changed in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import run_python, write_tree

_OAK = """
--- oak/__init__.py
--- oak/tools.py
def double(x):
    return 2 * x
--- oak/net.py
from torch import nn
from oak import tools

class Trunk(nn.Linear):
    scale = 2.0
    def forward(self, x):
        return tools.double(super().forward(x)) * self.scale
--- oak/crown.py
from torch import nn
from oak import tools

class Crown(nn.Linear):
    def forward(self, x):
        from oak.tools import double
        return double(super().forward(x)) + 1
"""

_ELM = """
--- elm/__init__.py
--- elm/net.py
from torch import nn

class Head(nn.Linear):
    def __init__(self, n, m):
        super().__init__(n, m)
        self.act = lambda x: x + n
    def forward(self, x):
        return self.act(super().forward(x))
"""

_PACK = """
import sys, torch, wardian
from {module} import {name}
torch.manual_seed(0)
wardian.pack({name}(2, 2), "{name}.case", prove=False)
"""

_LOAD = """
import sys, torch, wardian
model = wardian.load(sys.argv[1])
print(model(torch.ones(2)).tolist())
with wardian.open(sys.argv[1]) as case:
    tops = sorted({record.partition("/")[0] for record in case.files() if record.endswith(".py")})
    print(*tops)
"""


def _packed(folder: Path, tree: str, module: str, name: str) -> None:
    sources = write_tree(folder / f"sources-{name}", tree)
    run_python(_PACK.format(module=module, name=name), folder=folder, paths=(sources,))


def _loaded(case: Path) -> tuple[str, str]:
    outputs, tops = run_python(_LOAD, case, folder=case.parent).splitlines()
    return outputs, tops


_TOGETHER = """
import torch, wardian
from torch import nn

trunk, crown, head = (wardian.load(f"{name}.case") for name in ("Trunk", "Crown", "Head"))

class Tree(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList([trunk, crown, head])
        self.last = lambda x: -x
    def forward(self, x):
        for part in self.parts:
            x = part(x)
        return self.last(x)

tree = Tree()
wardian.pack(tree, "tree.case", inputs=(torch.ones(2),))
print(tree(torch.ones(2)).tolist())
"""


@pytest.mark.slow
def test_parts_of_several_cases_with_code_of_the_script(tmp_path: Path) -> None:
    _packed(tmp_path, _OAK, "oak.net", "Trunk")
    _packed(tmp_path, _OAK, "oak.crown", "Crown")
    _packed(tmp_path, _ELM, "elm.net", "Head")
    script = tmp_path / "script.py"
    script.write_text(_TOGETHER)
    outputs = run_python(
        f"exec(compile(open({str(script)!r}).read(), {str(script)!r}, 'exec'))", folder=tmp_path
    )
    loaded, tops = _loaded(tmp_path / "tree.case")
    assert loaded == outputs.strip()
    assert tops == "captured elm oak"  # nothing of Wardian, nothing of the cases under their names here


_MIXED = """
import sys, wardian
from oak.{module} import {name}
try:
    wardian.pack([wardian.load("Trunk.case"), {name}(2, 2)], "mixed.case", prove={prove})
except wardian.PackError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("prove", [True, False])
def test_new_modules_of_the_same_package_come_from_the_environment(tmp_path: Path, prove: bool) -> None:
    old = _OAK.partition("--- oak/crown.py")[0]
    _packed(tmp_path, old, "oak.net", "Trunk")
    sources = write_tree(tmp_path / "grown", _OAK)
    script = _MIXED.format(module="crown", name="Crown", prove=prove)
    assert run_python(script, folder=tmp_path, paths=(sources,)) == ""
    again = """
        import wardian
        trunk, crown = wardian.load("mixed.case")
        print(type(trunk).__module__[-8:], type(crown).__module__[-10:])
    """
    assert run_python(again, folder=tmp_path).split() == [".oak.net"[-8:], ".oak.crown"[-10:]]


def test_a_package_that_was_changed_since_is_refused(tmp_path: Path) -> None:
    _packed(tmp_path, _OAK, "oak.net", "Trunk")
    sources = write_tree(tmp_path / "changed", _OAK.replace("return 2 * x", "return 3 * x"))
    told = run_python(
        _MIXED.format(module="crown", name="Crown", prove=False), folder=tmp_path, paths=(sources,)
    )
    place = sources / "oak" / "tools.py"
    assert f"oak comes from {tmp_path / 'Trunk.case'} and from the environment ({place})" in told


def test_two_cases_with_different_sources_of_a_package_are_refused(tmp_path: Path) -> None:
    _packed(tmp_path, _OAK, "oak.net", "Trunk")
    _packed(tmp_path, _OAK.replace("return 2 * x", "return 3 * x"), "oak.crown", "Crown")
    both = """
        import wardian
        try:
            wardian.pack([wardian.load("Trunk.case"), wardian.load("Crown.case")], "both.case", prove=False)
        except wardian.PlanError as error:
            print(error)
    """
    told = run_python(both, folder=tmp_path)
    assert f"oak comes from {tmp_path / 'Trunk.case'} and from {tmp_path / 'Crown.case'}" in told


_EDIT = """
import sys, torch, wardian
import importlib

trunk = wardian.load("Trunk.case")
tools = importlib.import_module(type(trunk).__module__.replace("net", "tools"))

class Larger(type(trunk)):
    def forward(self, x):
        return tools.double(super().forward(x))

type(trunk).scale = 5.0
def forward(self, x):
    return tools.double(self.weight @ x) * self.scale * tools.FACTOR
type(trunk).forward = forward
tools.FACTOR = 3
trunk.note = torch.ones(1)
wardian.pack(trunk, "edited.case", inputs=(torch.ones(2),))
print(trunk(torch.ones(2)).tolist())
larger = Larger(2, 2)
wardian.pack(larger, "larger.case", inputs=(torch.ones(2),))
print(larger(torch.ones(2)).tolist())
"""

_AGAIN = """
import sys, torch, wardian
model = wardian.load(sys.argv[1])
wardian.pack(model, sys.argv[1], inputs=(torch.ones(2),), prove=sys.argv[2] == "prove")
"""


@pytest.mark.slow
def test_what_was_changed_in_a_case_stays_changed_for_ever(tmp_path: Path) -> None:
    _packed(tmp_path, _OAK, "oak.net", "Trunk")
    script = tmp_path / "script.py"
    script.write_text(_EDIT)
    outputs = run_python(
        f"exec(compile(open({str(script)!r}).read(), {str(script)!r}, 'exec'))", folder=tmp_path
    )
    for name, expected in zip(("edited", "larger"), outputs.splitlines(), strict=True):
        case = tmp_path / f"{name}.case"
        assert _loaded(case) == (expected, "captured oak")
        content = case.read_bytes()
        run_python(_AGAIN, case, "prove", folder=tmp_path)
        assert case.read_bytes() == content
        run_python(_AGAIN, case, "", folder=tmp_path)
        assert _loaded(case) == (expected, "captured oak")


_BYTECODE = """
import pathlib, py_compile, sys, torch, wardian
folder = pathlib.Path(sys.path[1]) / "oak"
py_compile.compile(str(folder / "tools.py"), str(folder / "tools.pyc"))
(folder / "tools.py").unlink()
from oak.net import Trunk
assert sys.modules["oak.tools"].__file__.endswith(".pyc")
wardian.pack(Trunk(2, 2), "Trunk.case", prove=False)
"""


def test_a_module_without_source_is_packed_again(tmp_path: Path) -> None:
    sources = write_tree(tmp_path / "sources", _OAK)
    run_python(f"import sys; sys.path.insert(1, {str(sources)!r})\n" + _BYTECODE, folder=tmp_path)
    case = tmp_path / "Trunk.case"
    content, expected = case.read_bytes(), _loaded(case)
    run_python(_AGAIN.replace("inputs=(torch.ones(2),), ", ""), case, "", folder=tmp_path)
    assert case.read_bytes() == content
    assert _loaded(case) == expected
