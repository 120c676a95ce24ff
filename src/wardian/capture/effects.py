"""Effects: what loading does beside making the object, in the order in which it does it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from wardian.capture.constructor_notes import TableEntry
from wardian.capture.naming import Call, Names
from wardian.capture.patches import Change, Holder
from wardian.capture.replaced_values import ClosureOf
from wardian.capture.script import Script
from wardian.capture.trials import Trials
from wardian.domain.live_names import original_name
from wardian.domain.names import ModuleName

__all__ = ["Effect", "Effects", "Key", "Origin", "SET", "When"]

SET = "captured_set"
"""Name of the function of a synthesised module that sets a value in it."""


class When(enum.Enum):
    """The moment of loading at which an effect happens."""

    FIRST = "before anything else"
    VALUE = "in a synthesised module that was imported"
    INSIDE = "inside what the source of a synthesised module has made"
    CHANGE = "in modules that are imported"
    LAST = "when the object is made"


_IN_ORDER = ((When.FIRST,), (When.VALUE, When.INSIDE), (When.CHANGE,), (When.LAST,))
"""Synthesised modules are completed one after the other: values of each, then what is inside."""

_TRIED = (When.VALUE, When.INSIDE, When.CHANGE)
"""Values of the others are tried when they are written, or must be there."""


class Origin(Protocol):
    """The part of a script that becomes a synthesised module."""

    script: Script
    number: int
    """Numbers are in the order in which the scripts were met."""

    @property
    def module(self) -> ModuleName:
        """The name of the synthesised module, which is given when it is asked for first."""


Key = tuple[Origin | None, tuple[str, ...]]
"""Tells one effect from others: the script that it is for, and the path to what is set."""


@dataclass(frozen=True, slots=True, eq=False)
class Effect:
    """One thing that is set when the object is loaded: `settings.RATE = 2`."""

    origin: Origin | None
    """The script that it is for; None if it is for other modules or for parts of the object."""
    path: tuple[str, ...]
    """Leads to what is set. There is one effect for each origin and path."""
    value: Any
    """The value it gives, which may turn out not to be picklable."""
    call: Callable[[], Any]
    """Returns what is pickled for it; None if it is to be left out."""
    when: When
    reason: str
    """Why it is not just part of the source or of the object."""
    take_otherwise: Callable[[], bool] = lambda: False
    """Called if the value cannot be pickled; returns whether there is another way to take it."""

    @property
    def key(self) -> Key:
        """The key by which this effect differs from all others."""
        return self.origin, self.path

    @property
    def place(self) -> str:
        """The name that users have for the place that is set."""
        path = ".".join(self.path)
        return original_name(path) if self.origin is None else f"{self.origin.script.users_name}.{path}"


class Effects:
    """All effects of one case.

    Args:
        names: Names of what sets them.
        trials: Tells which values can be pickled.
    """

    def __init__(self, names: Names, trials: Trials) -> None:
        self._names, self._trials = names, trials
        self._effects: dict[Key, Effect] = {}
        self._given_up: dict[Key, str] = {}
        """Effects that were given up, as sentences. No values: those held here would count as shared."""
        self._tried: set[tuple[ModuleName | None, tuple[str, ...]]] = set()
        self._done: set[Key] = set()
        """Those that a pickle which is loaded earlier has."""

    # Forms of effects

    def set_global(self, origin: Origin, name: str, value: Any, take_otherwise: Callable[[], bool]) -> bool:
        """Set a global of a synthesised module, which is taken by value.

        Args:
            origin: Its script.
            name: Its name.
            value: Its value.
            take_otherwise: Called if it cannot be pickled; returns whether there is another way to take it.

        Returns:
            Whether it is new; so do all of these methods.
        """

        def call() -> Call:
            return Call(self._names.named(origin.module, SET), (name, value))

        reason = "no source gives this value"
        return self._add(Effect(origin, (name,), value, call, When.VALUE, reason, take_otherwise))

    def set_inside(self, origin: Origin, path: tuple[str, str], owner: Any, name: Any, value: Any) -> bool:
        """Set a part of what a script has made, or what it has put into a container of another module.

        Args:
            origin: The script.
            path: Leads to the owner, and names the part.
            owner: A function or class, a `ClosureOf` or a `Holder`.
            name: The attribute, or the key in a container.
            value: Its value.
        """
        in_container = type(owner) is Holder
        reason = "the script put it there" if in_container else "the source gives another value, or none"
        call = partial(self._inside, owner, name, value)
        return self._add(Effect(origin, path, value, call, When.INSIDE, reason))

    def change(self, owner: str, change: Change) -> bool:
        """Set what a script changed in a module that is imported, or in a class of one.

        Args:
            owner: Full name of the module or class.
            change: What is changed.
        """

        def call() -> Call:
            return Call(self._names.helper("change"), (change.owner, {change.name: change.value}))

        reason = "the script changed it"
        return self._add(Effect(None, (owner, change.name), change.value, call, When.CHANGE, reason))

    def set_last(self, owner: Any, name: str, value: Any) -> bool:
        """Set an attribute when its owner, which it leads back to, is made."""

        def call() -> Call:
            return Call(setattr, (owner, name, value))

        reason = "it leads back to its owner"
        return self._add(Effect(None, (f"object {id(owner)}", name), value, call, When.LAST, reason))

    def set_entries(self, entries: Iterable[TableEntry]) -> bool:
        """Write into tables of libraries what they say of classes. It is left out if it cannot be pickled."""
        reason = "a constructor, which does not run again, wrote it"
        self._replace_first(
            "table", [(entry.value, partial(self._entry, entry), reason) for entry in entries]
        )
        return any(path[0] == "table" for _, path in self._effects)

    def begin(self, beforehand: Iterable[Any]) -> None:
        """Say that the next pickle is loaded first.

        Args:
            beforehand: Classes, functions and modules that must be there before what it holds is made.
        """
        self._done.clear()
        reason = "it is registered when it is imported"
        self._replace_first("global", [(found, partial(_itself, found), reason) for found in beforehand])

    # What is known of them

    def knows(self, origin: Origin, name: str) -> bool:
        """Tell whether a global is taken by value, or could not be."""
        key = (origin, (name,))
        return key in self._effects or key in self._given_up

    def remove(self, origin: Origin, name: str) -> bool:
        """Take a global no more by value; return whether it was."""
        return self._effects.pop((origin, (name,)), None) is not None

    def globals_of(self, origin: Origin) -> set[str]:
        """Return the names of the globals of a script that are taken by value."""
        return {e.path[0] for e in self._effects.values() if e.when is When.VALUE and e.origin is origin}

    def global_values(self) -> Iterator[tuple[Any, str]]:
        """Yield the globals that are taken by value, and their names."""
        found = [(e.origin, e) for e in self._effects.values() if e.origin and e.when is When.VALUE]
        for origin, effect in sorted(found, key=lambda pair: pair[0].number):
            yield effect.value, f"{original_name(origin.script.name)}.{effect.path[0]}"

    def described(self) -> list[str]:
        """Return what scripts have that is set when the object is loaded, with the reasons, in order."""
        told = [effect for moments in _IN_ORDER for effect in self._ordered(moments) if effect.when in _TRIED]
        return [f"{effect.place} ({effect.reason})" for effect in told]

    def left_out(self) -> list[str]:
        """Return what could not be taken, as sentences."""
        return [self._given_up[key] for key in sorted(self._given_up, key=_place_in_report)]

    # The way into the pickle

    def try_some(self) -> bool:
        """Try values that were not yet tried, which can bring more; return False if there were none."""
        found = False
        for when in _TRIED:
            # Asked for their modules here, these get names in the order in which they are tried.
            places = [
                (None if effect.origin is None else effect.origin.module, effect)
                for effect in self._ordered((when,))
            ]
            for module, effect in places:
                if (module, effect.path) in self._tried:
                    continue
                found = True
                self._tried.add((module, effect.path))
                why = self._trials.why_not(effect.value)
                if why is None or effect.key not in self._effects:
                    continue
                del self._effects[effect.key]
                if not effect.take_otherwise():
                    done = "defined" if when is When.VALUE else "set"
                    sentence = f"{effect.place} cannot be packed and is not {done} in the case: {why}"
                    self._given_up[effect.key] = sentence
        return found

    def written_around(self, obj: Any) -> Any:
        """Return what to pickle for *obj*: it, with the effects that are not done before and after it."""
        calls: list[Any] = []
        before = 0
        for moments in _IN_ORDER:
            if When.LAST in moments:
                before = len(calls)
                calls.append(obj)
            todo = [effect for effect in self._ordered(moments) if effect.key not in self._done]
            calls += [call for effect in todo if (call := effect.call()) is not None]
        return (
            obj if len(calls) == 1 else Call(self._names.named("operator", "getitem"), (tuple(calls), before))
        )

    def commit(self) -> None:
        """Say that the pickle so far is loaded before the next, which need not do the same again."""
        self._done |= {effect.key for effect in self._effects.values() if effect.when is not When.LAST}

    def forget_last(self) -> None:
        """Forget what is set when the object is made: the next pickle is of another."""
        self._effects = {k: e for k, e in self._effects.items() if e.when is not When.LAST}

    def _add(self, effect: Effect) -> bool:
        if effect.key in self._effects or effect.key in self._given_up:
            return False
        self._effects[effect.key] = effect
        return True

    def _replace_first(self, kind: str, found: Iterable[tuple[Any, Callable[[], Any], str]]) -> None:
        self._effects = {
            k: e for k, e in self._effects.items() if e.when is not When.FIRST or k[1][0] != kind
        }
        for number, (value, call, reason) in enumerate(found):
            self._add(Effect(None, (kind, str(number)), value, call, When.FIRST, reason))

    def _ordered(self, moments: tuple[When, ...]) -> list[Effect]:
        """Return the effects of some moments in the order in which they happen."""
        found = [effect for effect in self._effects.values() if effect.when in moments]
        origins = {effect.origin for effect in found if effect.origin and effect.when is When.VALUE}
        places: dict[Origin | None, dict[str, int]] = {origin: _places_of(origin) for origin in origins}

        def place(effect: Effect) -> tuple[int, int, int]:
            if effect.origin is None:
                return 0, 0, 0
            if effect.when is not When.VALUE:
                return effect.origin.number, 1, 0
            # In the order in which the script made them: the later may need the earlier.
            return effect.origin.number, 0, places[effect.origin][effect.path[0]]

        there = (e for e in found if e.when is not When.VALUE or e.path[0] in places[e.origin])
        return sorted(there, key=place)

    def _inside(self, owner: Any, name: Any, value: Any) -> Call:
        if type(owner) is ClosureOf:
            return Call(self._names.helper("set_variable"), (*owner, value))
        if type(owner) is not Holder:
            return Call(self._names.helper("restore"), (owner, {name: value}))
        container = self._names.named(self._names.rename(owner.module), owner.path)
        return Call(self._names.helper("register"), (container, name, value))

    def _entry(self, entry: TableEntry) -> Call | None:
        if not self._trials.can_pickle(entry.value):
            return None
        table = self._names.named(original_name(entry.module), entry.name)
        key = Call(str, (entry.cls,)) if entry.by_text else entry.cls
        return Call(self._names.named("builtins", "dict.setdefault"), (table, key, entry.value))


def _itself(found: Any) -> Any:
    return found


def _places_of(origin: Origin) -> dict[str, int]:
    return {name: place for place, name in enumerate(origin.script.variables)}


def _place_in_report(key: Key) -> tuple[bool, int, str]:
    origin, path = key
    return origin is None, 0 if origin is None else origin.number, ".".join(path)
