"""What a case carries to make functions, classes and odd objects again."""

from __future__ import annotations

import abc
import collections
import contextvars
import enum
import functools
import gc
import io
import marshal
import multiprocessing
import sys
import threading
import types
import typing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from wardian.capture import runtime


@pytest.fixture
def namespace() -> dict[str, Any]:
    """Return the globals of a synthesised module."""
    return {"__name__": "captured.notebook", "RATE": 10}


# Functions


def test_a_factory_gives_what_it_makes_the_cells_and_globals(namespace: dict[str, Any]) -> None:
    @runtime.factory(namespace)  # type: ignore[untyped-decorator]
    def make(n: Any) -> Any:
        def act(x: int) -> Any:
            return n * x + RATE  # type: ignore[name-defined]  # noqa: F821  it is in the namespace

        return act

    cell = types.CellType(2)
    one, two = make(cell), make(cell)
    assert one(3) == 16
    assert one.__globals__ is namespace
    cell.cell_contents = 5
    assert [one(3), two(3)] == [25, 25]
    with pytest.raises(ValueError, match="shorter"):
        make()


def test_bytecode_becomes_a_function_with_its_cells(namespace: dict[str, Any]) -> None:
    def outer(n: int) -> Callable[[], int]:
        return lambda: n + RATE  # type: ignore[name-defined]  # noqa: F821  it is in the namespace

    made = runtime.code_of(namespace)(marshal.dumps(outer(0).__code__), types.CellType(3))
    assert made() == 13


def test_a_name_that_a_deferred_package_lacks_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deferred(types.ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name != "LATE":
                raise AttributeError(name)
            self.LATE = 7
            return 7

    package = Deferred("nursery")
    monkeypatch.setitem(sys.modules, "nursery", package)
    code = compile("lambda: LATE", "", "eval").co_consts[0]
    assert runtime.code_of(vars(package))(marshal.dumps(code))() == 7


def test_variables_of_functions_are_set_and_followed() -> None:
    def decorate(inner: Any) -> Any:
        @functools.wraps(inner)
        def act() -> Any:
            return inner()

        return act

    def one() -> int:
        return 1

    act = decorate(one)
    assert runtime.inside(act, ("__wrapped__",)) is one
    assert runtime.inside(decorate(act), ("__wrapped__", "inner")) is one
    runtime.set_variable(act, "inner", lambda: 2)
    assert act() == 2
    cell = types.CellType()
    runtime.fill(cell, (None,))
    assert cell.cell_contents is None


def test_a_function_gets_a_cache_of_its_own() -> None:
    made = runtime.cached(abs, 3, True)
    assert made.cache_parameters() == {"maxsize": 3, "typed": True}
    assert [made(-2), made.cache_info().currsize] == [2, 1]


# Classes


def _class(namespace: dict[str, Any], *bases: type, metaclass: type = type, **way: Any) -> Any:
    return runtime.class_of(namespace)("Net 0", metaclass, "Net", "make.<locals>.Net", bases, way)


def test_a_class_is_empty_until_it_is_finished(namespace: dict[str, Any]) -> None:
    made = _class(namespace, dict)
    assert (made.__module__, made.__qualname__, made.__bases__) == (
        "captured.notebook",
        "make.<locals>.Net",
        (dict,),
    )
    runtime.finish(made, {"size": 3, "run": lambda self: self.size})
    assert made().run() == 3


def test_one_class_is_made_of_one_key_while_it_lives(namespace: dict[str, Any]) -> None:
    make = runtime.class_of(namespace)
    told: tuple[Any, ...] = (type, "Net", "Net", (), {})
    unfinished = make("Net 0", *told)
    first = make("Net 0", *told)
    assert first is not unfinished  # whose loading has failed
    runtime.finish(first, {"size": 1})
    assert make("Net 0", *told) is first
    assert make("Net 1", *told) is not first
    runtime.finish(first, {"size": 2})
    assert first.size == 1  # what has happened to it since is not undone
    del first, unfinished
    gc.collect()
    assert not hasattr(make("Net 0", *told), "size")


def test_hooks_of_subclasses_run_only_if_they_are_to(namespace: dict[str, Any]) -> None:
    seen: list[tuple[str, object]] = []

    class Told:
        def __init_subclass__(cls, key: object = None) -> None:
            seen.append((cls.__name__, key))

    assert issubclass(_class(namespace, Told, keywords={"key": 2}), Told)
    assert issubclass(_class(namespace, Told, quiet=Told), Told)
    assert seen == [("Net", 2)]
    type("Other", (Told,), {})
    assert seen[-1] == ("Other", None)


def test_a_hook_is_there_again_after_a_class_that_cannot_be_made(namespace: dict[str, Any]) -> None:
    class Told:
        def __init_subclass__(cls) -> None:
            cls.told = True  # type: ignore[attr-defined]

    with pytest.raises(TypeError, match="acceptable"):
        _class(namespace, Told, bool, quiet=Told)
    assert type("Other", (Told,), {}).told  # type: ignore[attr-defined]


def test_a_plain_metaclass_makes_the_class_in_the_place_of_its_own(namespace: dict[str, Any]) -> None:
    class Meta(type):
        def __init__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> None:
            raise AssertionError("it has done what it does")

    assert type(_class(namespace, metaclass=Meta, plain=type)) is Meta


def test_what_is_finished_knows_its_abstract_methods(namespace: dict[str, Any]) -> None:
    made = _class(namespace, metaclass=abc.ABCMeta)

    runtime.finish(made, {"run": abc.abstractmethod(lambda self: None)})
    with pytest.raises(TypeError, match="abstract"):
        made()


def test_members_of_an_enumeration_keep_their_values_and_attributes(namespace: dict[str, Any]) -> None:
    members = (("LOW", "low", 10), ("HIGH", "high", 20), ("TOP", "high", 20))
    arguments: tuple[Any, ...] = (enum.EnumType, "Level", "Level", (int, enum.Enum), {}, None, int, members)
    made = runtime.enum_of(namespace)("Level 0", *arguments)
    runtime.finish(made, {"@enum": ({"LOW": {"label": "l"}}, None, True)})
    assert [(m.name, m.value, m + 1) for m in made] == [("LOW", "low", 11), ("HIGH", "high", 21)]
    assert made.TOP is made.HIGH
    assert made("high") is made.HIGH
    assert made.LOW.label == "l"
    assert "__init__" not in vars(made)


def test_an_enumeration_of_another_kind_of_values_is_made_of_them(namespace: dict[str, Any]) -> None:
    arguments: tuple[Any, ...] = (
        enum.EnumType,
        "Two",
        "Two",
        (enum.Enum,),
        {},
        None,
        False,
        (("A", frozenset({1})),),
    )
    made = runtime.enum_of(namespace)("Two 0", *arguments)
    assert made.A.value == frozenset({1})


def test_a_flag_keeps_its_boundary(namespace: dict[str, Any]) -> None:
    arguments: tuple[Any, ...] = (
        enum.EnumType,
        "F",
        "F",
        (enum.Flag,),
        {},
        enum.FlagBoundary.KEEP,
        None,
        (("A", 1),),
    )
    assert runtime.enum_of(namespace)("F 0", *arguments)(8).value == 8


def test_named_tuples_keep_fields_defaults_and_generic_bases(namespace: dict[str, Any]) -> None:
    make = runtime.named_tuple_of(namespace)
    made = make("Bed 0", "Bed", "make.<locals>.Bed", ("rows", "_1"), (4,), ())
    assert (made(1), made.__qualname__, made.__module__) == (
        (1, 4),
        "make.<locals>.Bed",
        "captured.notebook",
    )
    generic = make("Bed 1", "Bed", "Bed", ("rows",), (), (tuple, typing.Generic))
    runtime.finish(generic, {"__parameters__": (typing.TypeVar("T"),)})
    assert generic[int](2).rows == 2


@pytest.mark.parametrize(
    ("generic", "bases"), [(None, None), ((), (typing.TypedDict,))], ids=["without bases", "with"]
)
def test_typed_dictionaries(namespace: dict[str, Any], generic: Any, bases: object) -> None:
    made = runtime.typed_dict_of(namespace)("Bed 0", typing.TypedDict, "Bed", "Bed", generic, False)
    assert (made.__total__, made.__module__) == (False, "captured.notebook")
    assert vars(made).get("__orig_bases__") == bases


# What objects are given


def test_hooks_that_are_registered_later_take_no_number_that_is_used() -> None:
    class Handle:
        next_id = 3

    class Tensor:
        pass

    hooks: dict[int, object] = {7: "halve", 2: "count"}
    tensor: Any = Tensor()
    runtime.set_hooks(tensor, ({"_backward_hooks": hooks}, Handle))
    assert tensor._backward_hooks is hooks
    assert Handle.next_id == 8
    runtime.set_hooks(tensor, ({"_backward_hooks": {1: "other"}}, Handle))
    assert Handle.next_id == 8


class _Guarded:
    __slots__ = ("__dict__", "b")

    def __setattr__(self, name: str, value: object) -> None:
        raise AssertionError("it is asked for nothing")


@pytest.mark.parametrize(
    ("state", "found"),
    [({"a": 1}, {"a": 1}), (({"a": 1}, {"b": 2}), {"a": 1, "b": 2}), ((None, {"b": 2}), {"b": 2})],
)
def test_state_is_set_without_asking(state: Any, found: dict[str, int]) -> None:
    made = _Guarded()
    runtime.set_state(made, state)
    assert {name: getattr(made, name) for name in "ab" if hasattr(made, name)} == found


def test_slots_are_set_beside_a_state() -> None:
    class Net:
        __slots__ = ("__dict__", "size")

        def __setstate__(self, state: object) -> None:
            self.told = state

    made: Any = Net()
    runtime.set_state_and_slots(made, ([1], {"size": 2}))
    assert (made.told, made.size) == ([1], 2)


def test_attributes_have_the_order_of_the_state_and_the_constructor_s_come_last() -> None:
    class Net:
        def __init__(self) -> None:
            self.c, self.b, self.a = 3, 0, 0

    made = Net()
    runtime.set_state_in_order(made, {"a": 1, "b": 2})
    assert list(vars(made).items()) == [("a", 1), ("b", 2), ("c", 3)]


def test_an_object_of_a_class_above_becomes_one_of_its_own() -> None:
    class Own(collections.UserList[int]):
        pass

    made = runtime.of_class(Own, collections.UserList, [1])
    assert (type(made), made.data) == (Own, [1])


def test_a_derived_descriptor_is_made_as_its_base_is() -> None:
    class Own(property):
        def __init__(self) -> None:
            raise AssertionError("its arguments are not known")

    made = runtime.descriptor(Own, property, lambda self: 3)
    assert type("Net", (), {"size": made})().size == 3


@pytest.mark.parametrize(
    ("container", "after"),
    [({"net": 1}, {"net": 2}), ({1}, {1, 2}), ([1], [1, 2]), ([2], [2])],
)
def test_what_was_registered_is_in_the_container_once(container: Any, after: Any) -> None:
    runtime.register(container, "net", 2)
    runtime.register(container, "net", 2)
    assert container == after


def test_what_is_changed_is_known_to_whoever_packs_again() -> None:
    owner = types.ModuleType("nursery")
    before = len(runtime.changed)
    try:
        runtime.change(owner, {"RATE": 3})
        assert owner.RATE == 3
        assert runtime.changed[before:] == [(owner, "RATE")]
    finally:
        del runtime.changed[before:]


# What stands for what is of a process


def test_a_context_variable_has_its_default_and_value() -> None:
    def made(default: tuple[int, ...], value: tuple[int, ...]) -> object:
        variable = runtime.context_variable("depth", default, value)
        return variable.get(None), variable.get() if default or value else variable.name

    answers = [contextvars.Context().run(made, *told) for told in [((), ()), ((1,), (2,)), ((1,), ())]]
    assert answers == [(None, "depth"), (2, 2), (None, 1)]


def test_a_reference_to_what_is_gone_is_dead() -> None:
    assert runtime.dead_reference()() is None


def test_files_drop_what_is_written() -> None:
    file = runtime.dropping("/gone/log.txt", "latin-1", False)
    assert isinstance(file, io.TextIOWrapper)
    assert (file.name, file.encoding, file.write("né"), file.seek(0)) == ("/gone/log.txt", "latin-1", 2, 0)
    file.flush()
    raw = runtime.dropping(3, None, False)
    assert (raw.write(b"abc"), raw.mode, raw.closed) == (3, "wb", False)
    assert runtime.dropping("log", None, True).closed
    runtime.dropping_rows().writerow(["a", 1])


def test_a_silent_run_has_settings_and_notes_nothing() -> None:
    run = runtime.silent("Run", {"config": {"lr": 0.1}, "id": "r1"})
    assert run.log({"loss": 1}).deeper is run
    assert (run.id, run.config["lr"], run.config.get("no", 5), "lr" in run.config) == ("r1", 0.1, 5, True)
    run.config["epochs"] = 3
    run.config.update(lr=0.2)
    assert dict(run.config.items()) == {"lr": 0.2, "epochs": 3}
    assert list(run.config) == list(run.config.keys()) == ["lr", "epochs"]
    run.step = 4
    assert run.step == 4
    assert repr(run) == "<Run that notes nothing>"


def test_a_silent_run_decorates_and_is_entered() -> None:
    run = runtime.silent("Run", {})

    @run  # type: ignore[untyped-decorator]
    def act() -> int:
        return 2

    assert act() == 2
    assert run.watch(int) is int
    assert run(act, 1) is run
    with run as entered:
        assert entered is run
    assert len(run) == 0
    assert run
    with pytest.raises(AttributeError, match="__array__"):
        run.__array__  # noqa: B018  what has a protocol is asked for it


def test_sockets_and_loops_are_closed_where_they_were() -> None:
    assert runtime.closed_socket().fileno() == -1
    loop = runtime.event_loop(False)
    try:
        assert not loop.is_closed()
    finally:
        loop.close()
    assert runtime.event_loop(True).is_closed()


def test_an_executor_takes_work_unless_it_was_shut_down() -> None:
    class Own(ThreadPoolExecutor):
        def __init__(self) -> None:
            raise AssertionError("its arguments are not known")

    with runtime.executor(Own, ThreadPoolExecutor, {"max_workers": 1}, False) as made:
        assert type(made) is Own
        assert made.submit(abs, -2).result() == 2
    with pytest.raises(RuntimeError, match="after shutdown"):
        runtime.executor(Own, ThreadPoolExecutor, {}, True).submit(abs, 1)


def test_a_thread_was_not_started_or_has_ended_elsewhere() -> None:
    class Own(threading.Thread):
        def run(self) -> None:
            raise AssertionError("it has run elsewhere")

    ended = runtime.thread(Own, threading.Thread, "sower", True, True)
    ended.join()
    assert (ended.name, ended.daemon, ended.is_alive(), "run" in vars(ended)) == ("sower", True, False, False)
    with pytest.raises(RuntimeError, match="cannot join thread before"):
        runtime.thread(Own, threading.Thread, "sower", False, False).join()


def test_processes_start_as_they_did_if_this_platform_can() -> None:
    assert runtime.process_context("spawn").get_start_method() == "spawn"
    usual = multiprocessing.get_context().get_start_method()
    assert runtime.process_context("by magic").get_start_method() == usual


def test_a_parametrized_module_is_made_as_pytorch_makes_its_class() -> None:
    def inject_class(module: Any) -> None:
        module.__class__ = type("Parametrized", (type(module),), {})

    def inject_property(module: Any, name: str) -> None:
        setattr(type(module), name, property(lambda self: 2))

    class Base:
        def __init__(self) -> None:
            raise AssertionError("its state comes afterwards")

    made = runtime.parametrized(inject_class, inject_property, Base, ("weight",))
    assert (type(made).__name__, made.weight) == ("Parametrized", 2)
