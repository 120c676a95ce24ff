"""Importers lead from an object to its names and back, or say that they do not."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import pytest

from tests.packages import imported
from wardian.package.importer import (
    Importer,
    ObjMismatchError,
    ObjNotFoundError,
    OrderedImporter,
    leaves,
    sys_importer,
)


class Shelf(Importer):
    """Has a few modules of its own."""

    def __init__(self, **sources: str) -> None:
        self.modules = {}
        for name, source in sources.items():
            module = self.modules[name] = types.ModuleType(name)
            exec(source, module.__dict__)

    def import_module(self, module_name: str) -> ModuleType:
        try:
            return self.modules[module_name]
        except KeyError:
            raise ModuleNotFoundError(f"No module named {module_name!r}", name=module_name) from None


TREE = "class Tree:\n    class Leaf: pass\ndef plant(): pass\nTINY = object()\n"


def module(importer: Importer, name: str) -> Any:
    return importer.import_module(name)


@pytest.mark.parametrize("name", ["Tree", "Tree.Leaf", "plant"])
def test_names_lead_back_to_the_object(name: str) -> None:
    shelf = Shelf(trees=TREE)
    found: Any = module(shelf, "trees")
    for part in name.split("."):
        found = getattr(found, part)
    assert shelf.get_name(found) == ("trees", name)


def test_an_object_may_say_its_name_and_its_module_is_found_by_looking() -> None:
    shelf = Shelf(trees=TREE, others="x = 1")

    class Named:
        __module__ = None  # type: ignore[assignment]

        def __reduce__(self) -> str:
            return "here"

    named = Named()
    module(shelf, "others").here = named
    assert shelf.get_name(named) == ("others", "here")
    assert shelf.whichmodule(module(shelf, "trees").TINY, "TINY") == "trees"
    assert shelf.whichmodule(object(), "TINY") == "__main__"
    assert shelf.get_name(module(shelf, "trees").Tree, "Tree") == ("trees", "Tree")


def test_what_has_no_such_name_is_not_found() -> None:
    shelf, other = Shelf(trees=TREE), Shelf(bushes=TREE)
    for importer, obj in (
        (other, module(shelf, "trees").Tree),
        (shelf, shelf),
        (sys_importer, Shelf(t=TREE)),
    ):
        with pytest.raises(ObjNotFoundError):
            importer.get_name(obj, "Nothing")
    with pytest.raises(ObjNotFoundError, match=r"was not found as trees\.Tree in Shelf"):
        other.get_name(module(shelf, "trees").Tree)


def test_another_object_of_the_same_name_is_a_mismatch() -> None:
    shelf, other = Shelf(trees=TREE), Shelf(trees=TREE)
    with pytest.raises(ObjMismatchError, match="is another object, from this interpreter; name the importer"):
        other.get_name(module(shelf, "trees").Tree)


def test_the_interpreter_is_an_importer() -> None:
    assert sys_importer.import_module("json") is json
    assert sys_importer.modules is sys.modules
    assert sys_importer.get_name(json.JSONDecoder) == ("json.decoder", "JSONDecoder")
    assert sys_importer.get_name(len) == ("builtins", "len")
    assert repr(sys_importer) == "sys_importer"


def test_of_an_object_of_a_package_the_package_is_told_with_the_way_out() -> None:
    package = imported(lambda e: e.save_source_string("trees", TREE))
    tree = module(package, "trees").Tree
    assert package.get_name(tree) == ("trees", "Tree")
    with pytest.raises(ObjNotFoundError, match=r"trees\.Tree in _SysImporter") as caught:
        sys_importer.get_name(tree)
    assert vars(caught.value)["fix"].endswith("PackageExporter(f, importer=(importer, sys_importer))")
    with pytest.raises(ObjMismatchError, match=r"from the package wardian\.live"):
        Shelf(trees=TREE).get_name(tree)


# Several.


def several() -> tuple[Shelf, Shelf, OrderedImporter]:
    first, second = Shelf(trees=TREE), Shelf(trees=TREE, bushes=TREE)
    return first, second, OrderedImporter(first, second)


def test_the_first_that_has_a_module_gives_it() -> None:
    first, second, both = several()
    assert both.import_module("trees") is first.modules["trees"]
    assert both.import_module("bushes") is second.modules["bushes"]
    merged: Mapping[str, ModuleType] = both.modules
    assert merged == {"trees": first.modules["trees"], "bushes": second.modules["bushes"]}
    with pytest.raises(ModuleNotFoundError, match="'ferns'"):
        both.import_module("ferns")
    with pytest.raises(ModuleNotFoundError, match="'ferns'") as caught:
        OrderedImporter().import_module("ferns")
    assert caught.value.name == "ferns"


def test_the_first_that_has_an_object_names_it() -> None:
    first, second, both = several()
    for importer in (first, second):
        assert both.get_name(module(importer, "trees").Tree) == ("trees", "Tree")
    with pytest.raises(ObjNotFoundError) as caught:
        both.get_name(module(Shelf(trees=TREE), "trees").Tree)
    assert str(caught.value).count("\n  - ") == 2
    assert both.whichmodule(module(second, "bushes").TINY, "TINY") == "bushes"
    assert both.whichmodule(object(), "TINY") == "__main__"


def test_a_package_that_is_only_a_folder_counts_last() -> None:
    folder = imported(lambda e: e.save_source_string("trees.oak", "x = 1"))
    shelf = Shelf(trees=TREE)
    assert OrderedImporter(folder, shelf).import_module("trees") is shelf.modules["trees"]
    assert OrderedImporter(folder, Shelf()).import_module("trees") is folder.import_module("trees")


def test_what_is_no_importer_is_refused_when_it_is_its_turn() -> None:
    wrong = OrderedImporter(Shelf(trees=TREE), 3)  # type: ignore[arg-type]
    assert wrong.import_module("trees").__name__ == "trees"
    with pytest.raises(TypeError, match="3 is not an Importer"):
        wrong.import_module("bushes")


def test_importers_within_importers_are_taken_apart() -> None:
    first, second, both = several()
    assert list(leaves(OrderedImporter(both, sys_importer))) == [first, second, sys_importer]
    assert list(leaves(first)) == [first]
    assert repr(OrderedImporter(sys_importer)) == "OrderedImporter(sys_importer)"
