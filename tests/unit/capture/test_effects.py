"""What loading does beside making the object, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from wardian.capture.constructor_notes import TableEntry
from wardian.capture.effects import Effects
from wardian.capture.naming import Call, Global, Names
from wardian.capture.patches import Change, Holder
from wardian.capture.replaced_values import ClosureOf
from wardian.capture.script import Script
from wardian.capture.trials import Trials
from wardian.domain.names import ModuleName


class _Origin:
    """A script, whose module gets its name when it is asked for."""

    def __init__(self, number: int, names: Iterator[str], **variables: Any) -> None:
        self.script = Script({"__name__": f"notebook{number}", **variables})
        self.number = number
        self._names = names

    @property
    def module(self) -> ModuleName:
        if not hasattr(self, "_module"):
            self._module = ModuleName(next(self._names))
        return self._module


def _never() -> bool:
    return False


@pytest.fixture
def trials() -> Trials:
    return Trials()


@pytest.fixture
def effects(trials: Trials) -> Effects:
    return Effects(Names(), trials)


@pytest.fixture
def origins() -> list[_Origin]:
    names = iter(["captured.one", "captured.two"])
    return [_Origin(number, names, a=1, b=2) for number in (0, 1)]


def _spelled(found: Any) -> list[str]:
    """Return the calls around an object as text; a call of `captured.x` as `x`."""
    if not isinstance(found, Call):
        return [str(found)]
    everything, index = found.arguments
    assert found.function == Global("operator", "getitem")

    def spell(part: Any) -> str:
        if not isinstance(part, Call):
            return str(part)
        name = part.function.qualname if isinstance(part.function, Global) else part.function.__name__
        arguments = [a.qualname if isinstance(a, Global) else a for a in part.arguments]
        return f"{name}{(*arguments,)}"

    return [spell(part) if place != index else f"[{part}]" for place, part in enumerate(everything)]


def test_an_object_without_effects_is_itself(effects: Effects) -> None:
    net = object()
    assert effects.written_around(net) is net


def test_effects_happen_in_order_whenever_they_were_found(effects: Effects, origins: list[_Origin]) -> None:
    one, two = origins
    effects.set_last("net", "own", "net")
    effects.change("shop.settings", Change("settings", "RATE", 5))
    effects.set_global(two, "a", 1, _never)
    effects.set_inside(one, ("Net", "size"), "Net", "size", 3)
    effects.set_global(one, "b", 2, _never)
    effects.set_global(one, "a", 1, _never)
    effects.set_entries([TableEntry("shop", "TABLE", int, by_text=True, value=7)])
    effects.begin(["Block"])
    assert _spelled(effects.written_around("net")) == [
        _spelled(effects.written_around("net"))[0],
        "Block",
        "captured_set('a', 1)",
        "captured_set('b', 2)",
        "restore('Net', {'size': 3})",
        "captured_set('a', 1)",
        "change('settings', {'RATE': 5})",
        "[net]",
        "setattr('net', 'own', 'net')",
    ]


@pytest.mark.parametrize(
    ("owner", "name", "expected"),
    [
        ("Net", "size", "restore('Net', {'size': 3})"),
        (ClosureOf(len, "memo"), "memo", f"set_variable({len}, 'memo', 3)"),  # type: ignore[arg-type]
        (Holder("shop", "KINDS"), "net", "register('KINDS', 'net', 3)"),
    ],
)
def test_forms_of_what_is_set_inside(
    effects: Effects, origins: list[_Origin], owner: Any, name: str, expected: str
) -> None:
    effects.set_inside(origins[0], ("Net", name), owner, name, 3)
    assert _spelled(effects.written_around("net")) == [expected, "[net]"]


def test_the_first_of_two_at_one_place_counts(effects: Effects, origins: list[_Origin]) -> None:
    assert effects.change("shop", Change("shop", "RATE", 5))
    assert not effects.change("shop", Change("shop", "RATE", 6))
    assert effects.set_inside(origins[0], ("shop", "RATE"), "f", "RATE", 6)


def test_what_cannot_be_pickled_is_given_up_and_told(
    effects: Effects, trials: Trials, origins: list[_Origin]
) -> None:
    one, two = origins
    effects.change("shop.settings", Change("settings", "RATE", "bad"))
    effects.set_global(two, "a", "bad", _never)
    effects.set_global(one, "b", "bad", _never)
    effects.set_global(one, "a", "good", _never)
    effects.set_inside(one, ("Net", "size"), "Net", "size", "bad")
    with trials.trying(lambda value: "it is bad" if value == "bad" else None):
        assert effects.try_some()
        assert not effects.try_some()
    assert [line.split(" cannot be packed and is not ") for line in effects.left_out()] == [
        ["notebook0.Net.size", "set in the case: it is bad"],
        ["notebook0.b", "defined in the case: it is bad"],
        ["notebook1.a", "defined in the case: it is bad"],
        ["shop.settings.RATE", "set in the case: it is bad"],
    ]
    assert effects.knows(one, "b")
    assert not effects.change("shop.settings", Change("settings", "RATE", "good"))
    assert _spelled(effects.written_around("net")) == ["captured_set('a', 'good')", "[net]"]


def test_what_can_be_taken_otherwise_is_not_told(
    effects: Effects, trials: Trials, origins: list[_Origin]
) -> None:
    effects.set_global(origins[0], "a", "bad", lambda: True)
    with trials.trying(lambda value: "it is bad"):
        effects.try_some()
    assert effects.left_out() == []
    assert not effects.knows(origins[0], "a")


def test_trying_one_value_can_bring_others(effects: Effects, trials: Trials, origins: list[_Origin]) -> None:
    tried: list[Any] = []

    def fails(value: Any) -> None:
        tried.append(value)
        effects.set_global(origins[1], "b", 2, _never)

    effects.set_global(origins[0], "a", 1, _never)
    effects.change("shop", Change("shop", "RATE", 5))
    with trials.trying(fails):
        while effects.try_some():
            pass
    assert tried == [1, 5, 2]


def test_modules_get_their_names_in_the_order_of_the_scripts(
    effects: Effects, trials: Trials, origins: list[_Origin]
) -> None:
    for origin in reversed(origins):
        effects.set_global(origin, "a", 1, _never)
    effects.try_some()
    assert [origin.module for origin in origins] == ["captured.one", "captured.two"]


def test_a_later_pickle_does_not_do_again_what_the_first_did(
    effects: Effects, origins: list[_Origin]
) -> None:
    effects.begin(["Block"])
    effects.set_global(origins[0], "a", 1, _never)
    effects.commit()
    assert _spelled(effects.written_around("inputs")) == ["inputs"]
    effects.change("shop", Change("shop", "RATE", 5))
    assert _spelled(effects.written_around("inputs")) == ["change('shop', {'RATE': 5})", "[inputs]"]
    effects.begin([])
    assert _spelled(effects.written_around("net"))[0] == "captured_set('a', 1)"


def test_what_is_set_last_is_of_one_pickle(effects: Effects) -> None:
    effects.set_last("net", "own", 1)
    effects.commit()
    assert len(_spelled(effects.written_around("net"))) == 2
    effects.forget_last()
    assert _spelled(effects.written_around("net")) == ["net"]


@pytest.mark.parametrize("fails", [lambda value: "no", lambda value: None])
def test_an_entry_of_a_table_is_left_out_silently(
    effects: Effects, trials: Trials, fails: Callable[[Any], str | None]
) -> None:
    assert effects.set_entries([TableEntry("shop", "TABLE", int, by_text=False, value=7)])
    assert not effects.set_entries([])
    effects.set_entries([TableEntry("shop", "TABLE", int, by_text=False, value=7)])
    with trials.trying(fails):
        written = _spelled(effects.written_around("net"))
    assert written == (["net"] if fails(7) else [f"dict.setdefault('TABLE', {int}, 7)", "[net]"])
    assert effects.left_out() == []


def test_globals_that_are_taken_by_value_are_known_by_name(effects: Effects, origins: list[_Origin]) -> None:
    one, two = origins
    effects.set_global(two, "a", "x", _never)
    effects.set_global(one, "b", "y", _never)
    effects.set_global(one, "gone", "z", _never)
    assert effects.globals_of(one) == {"b", "gone"}
    assert list(effects.global_values()) == [
        ("y", "notebook0.b"),
        ("z", "notebook0.gone"),
        ("x", "notebook1.a"),
    ]
    # A global that was deleted meanwhile is not set again.
    assert len(_spelled(effects.written_around("net"))) == 3
    assert effects.remove(one, "b")
    assert not effects.remove(one, "b")


def test_what_scripts_have_is_described_in_order(effects: Effects, origins: list[_Origin]) -> None:
    effects.set_last("net", "own", "net")
    effects.change("shop.settings", Change("settings", "RATE", 5))
    effects.set_inside(origins[0], ("shop.KINDS", "'net'"), Holder("shop", "KINDS"), "net", 3)
    effects.set_inside(origins[0], ("Net", "size"), "Net", "size", 3)
    effects.set_global(origins[0], "b", 2, _never)
    effects.begin(["Block"])
    assert effects.described() == [
        "notebook0.b (no source gives this value)",
        "notebook0.shop.KINDS.'net' (the script put it there)",
        "notebook0.Net.size (the source gives another value, or none)",
        "shop.settings.RATE (the script changed it)",
    ]
