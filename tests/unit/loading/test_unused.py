"""Modules that only `sys.modules` holds are in no use; a reference to anything of theirs is one."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import pytest

from wardian.loading.unused import find_holder

PREFIX = "orchard_unused."
SOURCE = """
class Tree:
    rings = [1]
    def grow(self): return self
class Leaf:
    pass
def plant(): return Tree()
table = {"plant": plant}
tree = Tree()
lent = []
"""


def make() -> types.ModuleType:
    module = types.ModuleType(f"{PREFIX}trees")
    exec(SOURCE, module.__dict__)
    module.__dict__["itself"] = module
    return module


def holder_of(*tables: dict[Any, Any], use: Callable[[types.ModuleType], Any] = lambda module: None) -> Any:
    """What is found after something of a module was taken out of it, which is held meanwhile."""
    module = make()
    held = [use(module)]
    objects: list[Any] = [module]
    del module
    found = find_holder(objects, PREFIX, tables)
    assert objects == []
    del held
    return found


def test_what_holds_only_itself_is_in_no_use() -> None:
    assert holder_of() is None


@pytest.mark.parametrize(
    "use",
    [
        lambda module: module,
        lambda module: module.Tree,
        lambda module: module.plant,
        lambda module: module.tree,  # leads to its class
        lambda module: module.tree.grow,
        lambda module: module.__dict__,
        lambda module: module.table,
        lambda module: module.Tree(),
        lambda module: [{"deep": (module.Leaf,)}],
    ],
)
def test_who_holds_something_of_it_holds_it(use: Callable[[types.ModuleType], Any]) -> None:
    assert holder_of(use=use) is not None


def test_who_holds_what_leads_to_nothing_of_it_does_not() -> None:
    assert holder_of(use=lambda module: module.lent) is None
    assert holder_of(use=lambda module: module.Tree.rings) is None


def test_references_of_the_given_tables_do_not_count() -> None:
    table: dict[Any, Any] = {}

    def put(module: types.ModuleType) -> None:
        table["trees"] = module

    assert holder_of(use=put) is not None
    assert holder_of(table, use=put) is None


def test_modules_of_others_are_not_looked_into() -> None:
    other = types.ModuleType("elsewhere")
    exec("def keep(thing): kept.append(thing)\nkept = []", other.__dict__)

    def lend(module: types.ModuleType) -> None:
        module.__dict__["other"] = other  # which is in use, and leads to nothing of it

    assert holder_of(use=lend) is None

    def give(module: types.ModuleType) -> None:
        other.keep(module.Leaf)

    assert holder_of(use=give) is not None
