"""Submodules that code takes from packages which something else has filled."""

from __future__ import annotations

import pathlib
from pathlib import Path

import pytest

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
        found = find_submodules(code, vars(user))
        assert [module.__name__ for module in found] == ["arbor.deep.leaf", "arbor.loose", "arbor.pruned"]
        assert [module.__name__ for module in found if is_imported_above(module)] == ["arbor.pruned"]


@pytest.mark.parametrize(
    "source",
    [
        "import arbor; arbor.deep.leaf",
        "import arbor as a\ndef use(): return a.deep.leaf.grow()",
        "def use():\n    import arbor.deep as d\n    return d.leaf.grow()",
        "def use():\n    from arbor import deep as d\n    return getattr(d, 'leaf', None)",
        "import arbor.deep\ntry:\n    grow = arbor.deep.leaf.grow\nexcept AttributeError:\n    grow = None",
    ],
)
def test_it_is_found_however_the_package_came_to_its_name(source: str, tmp_path: Path) -> None:
    write_tree(tmp_path, TREE)
    with importable(tmp_path) as load:
        load("arbor.deep.leaf")
        found = find_submodules(compile(source, "user.py", "exec"), {})
        assert "arbor.deep.leaf" in [module.__name__ for module in found]


@pytest.mark.parametrize(
    "source",
    [
        "from arbor.deep import leaf\ndef use(net): net.pruned()",
        "import arbor\nclass Net:\n    def use(self): self.pruned(mode='pruned')",
    ],
)
def test_a_name_that_is_taken_from_something_else_counts_for_nothing(source: str, tmp_path: Path) -> None:
    write_tree(tmp_path, TREE)
    with importable(tmp_path) as load:
        load("arbor.deep.leaf")
        found = find_submodules(compile(source, "user.py", "exec"), {})
        assert [module.__name__ for module in found] == []


def test_an_attribute_of_the_name_of_a_module_is_no_module(tmp_path: Path) -> None:
    write_tree(tmp_path, "--- arbor/__init__.py\n--- arbor/leaf.py\n")
    with importable(tmp_path) as load:
        load("arbor.leaf")
        load("arbor").leaf = "green"
        code = compile("import arbor; arbor.leaf", "user.py", "exec")
        assert find_submodules(code, {}) == []


def test_a_submodule_of_a_library_with_machine_code_stays_outside() -> None:
    import numpy.ma
    import packaging.tags

    assert stays_outside(numpy.ma)
    assert not stays_outside(packaging.tags)
    assert not stays_outside(pathlib)
