"""A copy by way of a pickle: new objects, the same classes, and what the pickle forgets is missing."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest

from wardian.pickling.copies import pickled_copy


class Forgetful:
    def __init__(self) -> None:
        self.kept = [1]
        self.lost = [2]

    def __getstate__(self) -> dict[str, Any]:
        return {"kept": self.kept}


def test_objects_are_new_and_what_the_pickle_forgets_is_missing() -> None:
    obj = Forgetful()
    copy = pickled_copy(obj)
    assert vars(copy) == {"kept": [1]}
    assert copy.kept is not obj.kept


def test_an_object_that_is_there_twice_is_copied_once() -> None:
    part: list[Any] = []
    one, other = pickled_copy((part, part))
    assert one is other


def test_code_is_the_same_also_where_no_import_finds_it() -> None:
    class Local:
        pass

    def local() -> None:
        pass

    copied = pickled_copy([Local, local, len, sys, Local()])
    assert copied[:4] == [Local, local, len, sys]
    assert type(copied[4]) is Local


def test_instances_of_shared_classes_are_not_copied() -> None:
    lock, obj = threading.Lock(), Forgetful()
    copied = pickled_copy({"lock": lock, "obj": obj, "again": lock}, (type(lock), Forgetful))
    assert copied == {"lock": lock, "obj": obj, "again": lock}


def test_what_cannot_be_pickled_says_so() -> None:
    with pytest.raises(TypeError, match="cannot pickle"):
        pickled_copy(threading.Lock())
