"""Objects are built with the globals and persistent ids that the caller finds."""

from __future__ import annotations

import copyreg
import gc
import io
import pickle
from types import SimpleNamespace
from typing import Any, Self

import pytest

from wardian.pickling.unpickler import calling_importer, find_unmade, unpickle


class Stubborn:
    """Can be made, and refuses a state."""

    def __setstate__(self, state: Any) -> None:
        raise RuntimeError("no state")

    def __call__(self) -> None:
        raise RuntimeError("not called")


class Demanding:
    def __new__(cls, *, size: int) -> Self:
        if size > 1:
            raise RuntimeError("too large")
        return super().__new__(cls)


class Refusing:
    def __new__(cls) -> Self:
        raise RuntimeError("none is made")


def refuse(*given: Any) -> None:
    raise RuntimeError("refused")


class Reduced:
    """Is pickled as it is told."""

    def __init__(self, *reduced: Any) -> None:
        self.reduced = reduced

    def __reduce__(self) -> Any:
        return self.reduced


def no_ids(pid: Any) -> Any:
    raise AssertionError(pid)


def find_here(module: str, name: str) -> Any:
    return pickle.Unpickler(io.BytesIO()).find_class(module, name)


def unmade(value: Any) -> tuple[str, str] | None:
    return find_unmade(pickle.dumps(value, 4), find_global=find_here, persistent_load=no_ids)


class WithIds(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        return obj.pid if isinstance(obj, SimpleNamespace) else None


def with_ids(value: Any) -> bytes:
    buffer = io.BytesIO()
    WithIds(buffer, 4).dump(value)
    return buffer.getvalue()


def test_globals_are_those_that_the_caller_finds() -> None:
    asked = []

    def find_global(module: str, name: str) -> Any:
        asked.append((module, name))
        return "found"

    data = b"\x80\x04\x8c\x05a.b.c\x8c\x05D.e.f\x93."
    assert unpickle(data, find_global=find_global, persistent_load=no_ids) == "found"
    assert asked == [("a.b.c", "D.e.f")]


def test_persistent_ids_are_loaded_by_the_caller() -> None:
    data = with_ids([SimpleNamespace(pid=("storage", 1)), SimpleNamespace(pid=7)])
    assert unpickle(data, find_global=find_here, persistent_load=repr) == ["('storage', 1)", "7"]


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_rests_meanwhile_and_then_is_as_it_was(enabled: bool) -> None:
    during = []
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        data = with_ids(SimpleNamespace(pid=1))
        unpickle(data, find_global=find_here, persistent_load=lambda pid: during.append(gc.isenabled()))
        with pytest.raises(RuntimeError, match="refused"):
            unpickle(data, find_global=find_here, persistent_load=refuse)
        assert during == [False]
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()


# What a pickle cannot make.


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Reduced(refuse, (1,)), "refuse"),
        (Reduced(Stubborn(), ()), "Stubborn"),  # what is called is an object
        (Reduced(Stubborn, (), {"a": 1}), "Stubborn"),  # it is made, and refuses its state
        (object.__new__(Refusing), "Refusing"),
        (Reduced(copyreg.__newobj_ex__, (Demanding, (), {"size": 2})), "Demanding"),  # type: ignore[attr-defined]
        # A function of copyreg is never at fault, but the class that it makes.
        (Reduced(copyreg._reconstructor, (Refusing, Refusing, None)), "Refusing"),  # type: ignore[attr-defined]
    ],
)
def test_the_class_or_function_whose_call_failed_is_named(value: Any, name: str) -> None:
    good = Reduced(list, ((1, 2),))
    assert unmade([good, value, good]) == (__name__, name)


def test_nothing_is_named_if_all_can_be_made_or_a_global_is_missing() -> None:
    assert unmade([Reduced(list, ((1, 2),)), Stubborn]) is None
    data = pickle.dumps([Reduced(list, ((1, 2),)), Stubborn], 4)
    assert find_unmade(data, find_global=refuse, persistent_load=no_ids) is None
    assert find_unmade(b"\x80\x04R.", find_global=find_here, persistent_load=no_ids) is None


def test_a_helper_of_captured_code_is_not_named_but_what_it_is_given() -> None:
    helpers = {"__name__": "captured"}
    exec("def of_key(key, *rest): raise RuntimeError", helpers)

    def find_global(module: str, name: str) -> Any:
        return helpers["of_key"] if module == "captured" else find_here(module, name)

    def named_by(*arguments: Any) -> tuple[str, str] | None:
        data = pickle.dumps(arguments, 4).replace(b"\x94.", b"R.")
        call = b"\x8c\x08captured\x8c\x06of_key\x93"
        data = b"\x80\x04" + call + (data[11:] if data[2:3] == b"\x95" else data[2:])
        return find_unmade(data, find_global=find_global, persistent_load=no_ids)

    assert named_by(Stubborn, 1) == (__name__, "Stubborn")
    assert named_by("Net.Block", 1) == ("captured", "Net.Block")  # a recipe of a class, which is a key


# Objects with __reduce_package__.


def test_a_function_gets_the_importer_and_one_number_is_one_object() -> None:
    importer = object()
    load = calling_importer(no_ids, importer)

    def make(*given: Any) -> list[Any]:
        return list(given)

    one = load(("reduce_package", 1, make, ("a", 2)))
    assert one == [importer, "a", 2]
    assert load(("reduce_package", 1, make, ("a", 2))) is one
    assert load(("reduce_package", 2, make, ("a", 2))) is not one


def test_old_ids_without_a_number_make_an_object_each() -> None:
    load = calling_importer(no_ids, None)
    pid = ("reduce_package", lambda importer, *given: [given], ())
    assert load(pid) == load(pid)
    assert load(pid) is not load(pid)


@pytest.mark.parametrize("pid", [("storage", 1, 2), (), "reduce_package", 3, ["reduce_package", 1, 2, 3]])
def test_all_other_ids_are_loaded_as_before(pid: Any) -> None:
    assert calling_importer(lambda pid: ("loaded", pid), None)(pid) == ("loaded", pid)
