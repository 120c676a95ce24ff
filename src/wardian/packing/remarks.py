"""Remarks on packs that are allowed and seldom meant: told once the case is made, by the rows of `REMARKS`.

What cannot be meant at all is refused before the object is looked at: `wardian.packing.arguments`.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from wardian.domain.graph import ImportContext
from wardian.domain.modules import is_stdlib
from wardian.domain.names import top_level
from wardian.domain.plan import Plan
from wardian.domain.policy import Action
from wardian.environment.distributions import Distributions
from wardian.pickling.reducers.training import is_nothing
from wardian.wording import with_article

__all__ = ["Made", "REMARKS"]

_SHOWN = 3
"""How many names a sentence has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A case that is made, as far as there is something to say about it."""

    objects: Mapping[str, Any]
    """The objects that are packed, by entry point."""
    plan: Plan
    bytecode_only: Sequence[str]
    """Modules and functions that are packed without source."""
    is_deep: bool = False
    """Whether it works only with the recursion limit of this process, which is above that of a new one."""

    def warnings(self) -> list[str]:
        """Return what is likely not meant, as sentences."""
        return [text for level, find in REMARKS if level == "warning" for text in find(self)]

    def notes(self) -> list[str]:
        """Return what is good to know, as sentences."""
        return [text for level, find in REMARKS if level == "note" for text in find(self)]


def _a_class(made: Made) -> Iterator[str]:
    for entry, obj in made.objects.items():
        if isinstance(obj, type):
            name = obj.__qualname__
            yield (
                f"{entry} is the class {name}, not an instance of it: the case has its code and no weights."
                f" To pack a model, pass an instance: {name}(...)"
            )


def _a_trainer(made: Made) -> Iterator[str]:
    for entry, obj in made.objects.items():
        if is_nothing(obj):
            yield (
                f"{entry} is {with_article(type(obj).__qualname__)}, which belongs to the training here:"
                " the case holds None. Pack the module that it trains: trainer.lightning_module"
            )


def _weights_only(made: Made) -> Iterator[str]:
    from wardian.tensors.objects import is_state_dict

    for entry, obj in made.objects.items():
        if is_state_dict(obj):
            yield (
                f"{entry} is a state_dict: the case has weights only, and no model to load them into. Pack"
                " the model itself; or, to keep weights alone, use safetensors: safetensors.torch.save_file"
            )


def _this_python_only(made: Made) -> Iterator[str]:
    if made.bytecode_only:
        have, are = ("has", "is") if len(made.bytecode_only) == 1 else ("have", "are")
        python = f"{platform.python_implementation()} {'.'.join(platform.python_version_tuple()[:2])}"
        yield (
            f"{_few(made.bytecode_only)} {have} no source and {are} packed as bytecode, so the case loads in"
            f" {python} only"
        )


def _deep(made: Made) -> Iterator[str]:
    if made.is_deep:
        yield (
            f"{made.plan.entry} works only with the recursion limit that is set here, which no new process"
            f" has. Call sys.setrecursionlimit({sys.getrecursionlimit()}) before it is loaded and called"
        )


_GUARDS = tuple(f"{action}: " for action in (Action.DENY, Action.MOCK))
"""Beginnings of rules that may well match nothing: they say which modules must not be inside."""


def _is_meant(rule: str) -> bool:
    return rule.startswith(_GUARDS) and "near to it" not in rule


def _subject(made: Made) -> str:
    return f"{made.plan.entry} {'reaches' if len(made.objects) == 1 else 'reach'}"


def _mistyped_rules(made: Made) -> Iterator[str]:
    for rule in made.plan.unmatched:
        if not _is_meant(rule):
            yield f"the rule {rule} matches no module that {_subject(made)}"


def _unkept_rules(made: Made) -> Iterator[str]:
    for rule in made.plan.unkept:
        yield f"a rule packs nothing: {rule}"


def _guards(made: Made) -> Iterator[str]:
    for rule in made.plan.unmatched:
        if _is_meant(rule):
            yield f"the rule {rule} matches no module that {_subject(made)}, and had nothing to do"


def _compiles_itself(made: Made) -> Iterator[str]:
    from wardian.tensors.objects import find_compiled_modules

    for entry, obj in made.objects.items():
        for place in find_compiled_modules(obj, entry):
            yield (
                f"{place} was made by torch.compile: the module and the options are packed, not the machine"
                " code; it compiles itself again at its first call"
            )


def _not_compiled(made: Made) -> Iterator[str]:
    from wardian.tensors.graphs import find_compiled

    for entry, obj in made.objects.items():
        for place in find_compiled(obj, entry):
            yield f"{place} is compiled by torch.compile and comes back uncompiled: compile it after loading"


def _in_training(made: Made) -> Iterator[str]:
    from wardian.tensors.objects import find_training

    for entry, obj in made.objects.items():
        found = find_training(obj, entry)
        if found:
            yield (
                f"{entry} is in training mode and comes back so; {_few(found)} then"
                f" {'does' if len(found) == 1 else 'do'} something else than after {entry}.eval()"
            )


def _imported_later(made: Made) -> Iterator[str]:
    """Tell of libraries that the user's functions import, and that are neither inside nor asked for."""
    plan = made.plan
    own = {d.module for d in plan.decisions if d.action is Action.INTERN and d.distribution is None}
    there = {top_level(d.module) for d in plan.decisions} | {"torch", "wardian"}
    distributions = Distributions.current()
    found: dict[str, str] = {}
    for edge in plan.graph:
        top = top_level(edge.imported)
        if edge.importer not in own or edge.context is not ImportContext.FUNCTION or top in there:
            continue
        if not is_stdlib(top) and distributions.providing(top):
            found.setdefault(top, f"{top} ({edge.importer}, line {edge.line})")
    if found:
        it = "it" if len(found) == 1 else "them"
        yield (
            f"{_few([*found.values()])}: functions import {it} that did not run, and the case neither holds"
            f" {it} nor asks for {it}. Pass inputs that lead there, or have {it} installed where the case is"
            " loaded"
        )


def _denied(made: Made) -> Iterator[str]:
    yield from made.plan.denied


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


REMARKS: tuple[tuple[Literal["warning", "note"], Callable[[Made], Iterator[str]]], ...] = (
    ("warning", _a_class),
    ("warning", _a_trainer),
    ("warning", _weights_only),
    ("warning", _this_python_only),
    ("warning", _deep),
    ("warning", _mistyped_rules),
    ("warning", _unkept_rules),
    ("note", _guards),
    ("note", _compiles_itself),
    ("note", _not_compiled),
    ("note", _in_training),
    ("note", _imported_later),
    ("note", _denied),
)
"""How grave it is, and what finds it."""
