"""What a closed case left in tables of the process goes, unless what it was for is still there."""

from __future__ import annotations

import copyreg
import gc
import threading
import types
from collections.abc import Iterator
from typing import Any

import pytest

from wardian.loading.closing import leftovers
from wardian.loading.closing.leftovers import take_out_leftovers, watch_modules

MOUNT = "wardian.live.yew_0123abcd"
SOURCE = """
class Tree:
    pass
def reduce_tree(tree):
    return Tree, ()
"""


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(leftovers, "_put_off", 0)
    before = dict(copyreg.dispatch_table)
    yield
    copyreg.dispatch_table.clear()
    copyreg.dispatch_table.update(before)
    leftovers._left.pop(MOUNT, None)
    leftovers._lives.pop(MOUNT, None)


def registered(mount: str = MOUNT) -> Any:
    """A module below a mount, whose class is in a table; nothing else holds it."""
    module: Any = types.ModuleType(f"{mount}.yew")
    exec(SOURCE, module.__dict__)
    copyreg.pickle(module.Tree, module.reduce_tree)
    return module


def entries() -> list[str]:
    return [
        kind.__name__ for kind in copyreg.dispatch_table if kind.__module__.startswith("wardian.live.yew")
    ]


def unused() -> bool:
    return False


def used() -> bool:
    return True


def test_an_entry_that_nobody_needs_is_taken_out() -> None:
    registered()
    assert entries() == ["Tree"]
    take_out_leftovers(MOUNT, [], unused)
    assert entries() == []
    assert MOUNT not in leftovers._left


def test_an_entry_of_what_lives_on_stays_until_that_is_gone() -> None:
    tree = registered().Tree()
    take_out_leftovers(MOUNT, [], unused)
    assert entries() == ["Tree"]
    assert not hasattr(type(tree), "__wardian_leftovers__")
    assert MOUNT in leftovers._left
    del tree
    take_out_leftovers("wardian.live.other_0123abcd", [], unused)  # any later closing
    assert entries() == []


def test_entries_of_open_cases_and_of_others_are_left() -> None:
    registered()
    take_out_leftovers("wardian.live.other_0123abcd", [], unused)
    assert entries() == ["Tree"]
    take_out_leftovers(MOUNT, [MOUNT], unused)  # it was opened again
    assert entries() == ["Tree"]


def test_for_what_has_not_run_nothing_is_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[tuple[str, ...]] = []
    find = leftovers._find

    def noting(prefixes: tuple[str, ...]) -> object:
        looked.append(prefixes)
        return find(prefixes)

    monkeypatch.setattr(leftovers, "_find", noting)
    take_out_leftovers("wardian.live.other_0123abcd", [], unused, has_run=False)
    assert looked == []
    tree = registered().Tree()
    take_out_leftovers(MOUNT, [], unused)
    del tree
    take_out_leftovers("wardian.live.other_0123abcd", [], unused, has_run=False)  # any later closing
    assert set(looked) == {(f"{MOUNT}.",)}
    assert entries() == []


_TORCHS = """
def wrap(held):
    def wrapped():
        return held
    return wrapped
"""


def test_what_torch_wraps_is_looked_at_again_only_if_it_is_of_a_case() -> None:
    of_torch: dict[str, Any] = {"__name__": "torch.made_up"}
    exec(_TORCHS, of_torch)
    plain, packed = of_torch["wrap"](len), of_torch["wrap"](registered().reduce_tree)
    elsewhere = types.FunctionType(plain.__code__, {"__name__": "bark"}, closure=plain.__closure__)
    for function in (plain, packed, elsewhere):
        leftovers._note_of_torch_alone(function)
    assert [leftovers._is_of_torch_alone(f) for f in (plain, packed, elsewhere)] == [True, False, False]
    assert list(leftovers._places(plain, (f"{MOUNT}.",))) == []
    assert [place["__name__"] for place in leftovers._places(packed, (f"{MOUNT}.",))] == [f"{MOUNT}.yew"]  # type: ignore[index]
    number = id(plain)
    del plain
    leftovers._of_torch_alone[id(packed)] = leftovers._of_torch_alone.pop(number)  # which may be given again
    assert not leftovers._is_of_torch_alone(packed)


def test_while_an_object_is_used_only_some_closings_look() -> None:
    if threading.active_count() > 1:
        pytest.skip("other threads could look into the tables meanwhile")
    registered()
    for _ in range(7):
        take_out_leftovers(MOUNT, [], used)
        assert entries() == ["Tree"]
    take_out_leftovers(MOUNT, [], used)
    assert entries() == []


def test_while_there_are_other_threads_nothing_is_taken_out_of_what_is_used() -> None:
    registered()
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        for _ in range(2):
            take_out_leftovers(MOUNT, [], used)
        assert entries() == ["Tree"]
        take_out_leftovers(MOUNT, [], unused)
        assert entries() == []
    finally:
        end.set()
        thread.join()


def test_a_case_that_is_closed_by_the_collector_meanwhile_does_no_harm() -> None:
    other = "wardian.live.other_0123abcd"

    class Last:
        """The last object of another case, which nobody has closed."""

        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            take_out_leftovers(other, [], unused)

    gc.disable()
    try:
        registered()
        Last()
        take_out_leftovers(MOUNT, [], unused)
    finally:
        gc.enable()
    assert entries() == []
    assert not leftovers._left.keys() & {MOUNT, other}


def test_a_mount_is_watched_as_long_as_a_module_of_it_lives() -> None:
    one, other = registered(), registered()
    watch_modules(MOUNT, [one, other])
    (life,) = leftovers._lives[MOUNT]
    del one
    gc.collect()
    assert life() is not None
    watch_modules(MOUNT, [registered()])  # opened and closed again
    assert len(leftovers._lives[MOUNT]) == 2
    del other
    copyreg.dispatch_table.clear()
    gc.collect()
    assert life() is None
