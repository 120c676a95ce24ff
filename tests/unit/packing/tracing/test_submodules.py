"""Submodules that code takes from packages which something else has filled."""

from __future__ import annotations

import pathlib
from pathlib import Path

from tests.support import importable, write_tree
from wardian.packing.tracing.submodules import code_of, find_submodules, is_imported_above, stays_outside

TREE = """
--- arbor/__init__.py
from arbor import pruned
--- arbor/pruned.py
--- arbor/deep/__init__.py
--- arbor/deep/leaf.py
--- user.py
import arbor as a
from arbor import deep

def use(x):
    if hasattr(a, "loose"):
        return a.deep.leaf.grow(a.pruned)
"""


def test_what_no_import_of_the_module_names_is_found(tmp_path: Path) -> None:
    write_tree(tmp_path, TREE + "--- arbor/loose.py\n--- arbor/other.py\n")
    with importable(tmp_path) as load:
        for name in ("arbor.loose", "arbor.other", "arbor.deep.leaf"):
            load(name)
        user = load("user")
        code = code_of(user)
        assert code is not None
        found = find_submodules(code, vars(user).values())
        assert [module.__name__ for module in found] == ["arbor.loose", "arbor.pruned", "arbor.deep.leaf"]
        assert [module.__name__ for module in found if is_imported_above(module)] == ["arbor.pruned"]


def test_an_attribute_of_the_name_of_a_module_is_no_module(tmp_path: Path) -> None:
    write_tree(tmp_path, "--- arbor/__init__.py\n--- arbor/leaf.py\n")
    with importable(tmp_path) as load:
        load("arbor.leaf")
        load("arbor").leaf = "green"
        code = compile("import arbor; arbor.leaf", "user.py", "exec")
        assert find_submodules(code, ()) == []


def test_a_submodule_of_a_library_with_machine_code_stays_outside() -> None:
    import numpy.ma
    import packaging.tags

    assert stays_outside(numpy.ma)
    assert not stays_outside(packaging.tags)
    assert not stays_outside(pathlib)
