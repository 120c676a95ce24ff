"""What packed code finds in `sys.modules`, `importlib` and `pkgutil`: its own modules by their own names."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import wardian
from tests.support import write_case

SAGE = """
--- sage/__init__.py
--- sage/leaf.py
COLOUR = "grey"
--- sage/view.py
import sys, importlib, importlib.util, importlib.metadata, pkgutil
from importlib import import_module, util, metadata
import sage.leaf

def modules():
    m = sys.modules
    return ["sage.leaf" in m, m["sage.leaf"] is sage.leaf, m.get("sage.leaf") is sage.leaf,
            m.get("sage.none", 5), "json" in m, m["sys"].version == sys.version, isinstance(m, dict)]

def write_modules():
    sys.modules["sage.made"] = sage.leaf
    from sage import made
    import sage.made as again
    del sys.modules["sage.made"]
    return [made.COLOUR, again is sage.leaf, "sage.made" in sys.modules]

def sys_itself():
    sys.sage_was_here = 1
    seen = sys.sage_was_here
    del sys.sage_was_here
    return [seen, sys.path is __import__("sys").path, sys.getrecursionlimit() > 0]

def specs():
    return [util.find_spec("sage.leaf").name.endswith("sage.leaf"), importlib.util.find_spec("sage.none"),
            importlib.util.find_spec("hidden_library"), importlib.util.find_spec("json").name]

def imports():
    try:
        import_module("hidden_library")
    except ModuleNotFoundError as error:
        missing = error.name
    return [import_module("sage.leaf") is sage.leaf, import_module(".leaf", "sage") is sage.leaf,
            import_module(__name__.split(".")[0]).__name__.endswith(".sage"), missing,
            import_module("json").__name__]

def versions():
    try:
        metadata.version("hidden-library")
    except importlib.metadata.PackageNotFoundError:
        hidden = True
    return [hidden, metadata.version("packaging") == importlib.metadata.version("packaging")]
"""

EXPECTED: dict[str, list[Any]] = {
    "modules": [True, True, True, 5, True, True, True],
    "sys_itself": [1, True, True],
    "specs": [True, None, None, "json"],
    "imports": [True, True, True, "hidden_library", "json"],
    "versions": [True, True],
    "write_modules": ["grey", True, False],
}


@pytest.mark.parametrize("question", EXPECTED)
def test_packed_code_sees_its_own_modules(
    question: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It is there, but was not when the case was packed.
    monkeypatch.setitem(sys.modules, "hidden_library", sys)
    path = write_case(tmp_path / "sage.case", SAGE, absent=("hidden_library",))
    with wardian.open(path) as case:
        assert getattr(case.import_module("sage.view"), question)() == EXPECTED[question]
    assert not hasattr(sys, "sage_was_here")
    assert "sage.leaf" not in sys.modules


def test_a_module_of_the_user_that_is_not_packed_is_told_by_its_own_name(tmp_path: Path) -> None:
    tree = """
    --- sage/__init__.py
    --- sage/view.py
    import importlib
    def grow(name):
        return importlib.import_module("sage." + name), __import__("sage." + name)
    def graft():
        return grow("broken")
    --- sage/broken.py
    import no_such_library
    """
    with wardian.open(write_case(tmp_path / "sage.case", tree)) as case:
        view = case.import_module("sage.view")
        with pytest.raises(wardian.ModuleNotInCaseError, match=r"'sage\.root' in .*sage\.case") as caught:
            view.grow("root")
        assert caught.value.name == "sage.root"
        assert "fix: pack with inputs" in str(caught.value)
        with pytest.raises(ModuleNotFoundError, match="no_such_library") as other:
            view.graft()
        assert type(other.value) is ModuleNotFoundError
