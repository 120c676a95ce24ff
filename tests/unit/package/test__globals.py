"""Which importer has the class of an object, and how a pickle reaches it."""

from __future__ import annotations

import collections
import types
from typing import Any

import pytest

from wardian.package._closure import Scans
from wardian.package._globals import ImportedGlobals
from wardian.package.importer import (
    Importer,
    ObjMismatchError,
    ObjNotFoundError,
    OrderedImporter,
    sys_importer,
)


class Oak:
    class Leaf:
        pass


class Nursery(Importer):
    """Has an `OrderedDict` of its own."""

    def import_module(self, module_name: str) -> types.ModuleType:
        found = types.ModuleType(module_name)
        if module_name != "collections":
            raise ModuleNotFoundError(module_name, name=module_name)
        found.OrderedDict = Oak  # type: ignore[attr-defined]
        return found


def reduced(obj: Any, *importers: Importer) -> Any:
    importer = OrderedImporter(*importers)
    return ImportedGlobals(importer, Scans(importer)).reduce(obj)


def test_a_nested_class_is_reached_by_the_one_around_it() -> None:
    assert reduced(Oak, sys_importer) is NotImplemented
    assert reduced(Oak.Leaf, sys_importer) == (getattr, (Oak, "Leaf"))


def test_what_no_importer_has_is_not_found() -> None:
    with pytest.raises(ObjNotFoundError):
        reduced(Oak, Nursery())
    with pytest.raises(ObjNotFoundError, match="the exporter has no importers"):
        reduced(Oak)


def test_an_importer_with_another_object_of_the_name_is_in_the_way() -> None:
    assert reduced(collections.OrderedDict, sys_importer, Nursery()) is NotImplemented
    with pytest.raises(ObjMismatchError):
        reduced(collections.OrderedDict, Nursery(), sys_importer)


def test_a_package_has_one_copy_of_a_module() -> None:
    importer = OrderedImporter(sys_importer)
    scans = Scans(importer)
    first = Nursery()
    scans.claim(Oak.__module__, first)  # type: ignore[arg-type]
    with pytest.raises(ObjMismatchError, match="were saved before"):
        ImportedGlobals(importer, scans).reduce(Oak)
