"""The rules by which a user decides about modules."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, get_args

from wardian.domain.globs import GlobGroup

__all__ = ["Action", "Base", "Patterns", "Policy", "Rule"]

Base = Literal["hermetic", "whole", "thin"]
"""The treatment of modules without a rule: see `Policy`."""


Patterns = str | GlobGroup | Iterable[str | GlobGroup]
"""Patterns of names; a `GlobGroup` has exceptions: `GlobGroup("mylib.**", exclude="mylib.native.**")`."""


class Action(StrEnum):
    """The things that can happen to a module."""

    DENY = "deny"
    """Packing fails if the object needs it."""
    MOCK = "mock"
    """A stand-in takes its place that raises when it is used."""
    EXTERN = "extern"
    """The environment provides it when the case is loaded."""
    INTERN = "intern"
    """Its source is in the case."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One action for the modules that match some patterns.

    Attributes:
        action: What happens to them.
        patterns: Which modules.
        allow_empty: Whether the rule may match no module; if not, packing fails then.

    >>> str(Rule(Action.EXTERN, GlobGroup("numpy.**")))
    'extern: "numpy.**"'
    """

    action: Action
    patterns: GlobGroup
    allow_empty: bool = True

    def __str__(self) -> str:
        return f"{self.action}: {self.patterns}"


@dataclass(frozen=True, slots=True, init=False)
class Policy:
    """The user's rules, and what happens where they say nothing.

    A pattern is a dotted name in which `*` stands for any text within a part and a part `**` for any
    number of parts, also none: `torch.**` matches `torch` and everything below it. If patterns of
    several verbs match a module, deny goes before mock, mock before extern, extern before intern: the
    more cautious wins. `Policy.ordered` takes rules in an order of one's own.

    Args:
        intern: Pattern or patterns of modules whose source goes into the case.
        extern: Those that the environment provides.
        mock: Those that are replaced by a stand-in that raises when it is used.
        deny: Those that make packing fail.
        base: What happens to modules without a rule. `"hermetic"` packs what is not compiled or torch itself:
            of a distribution, if the object is called with inputs and proven, the modules that its code can
            reach, else all. `"whole"` packs all of it in any case. `"thin"` packs first-party code and leaves
            installed distributions to the environment.

    Attributes:
        rules: The rules; the first that matches a module decides.
        base: As given.

    Raises:
        TypeError: if a pattern is not a string, or there is another argument.
        ValueError: if a pattern cannot match a module name, or *base* is unknown.

    >>> policy = Policy(intern="mylib.**", extern=["numpy.**", "mylib.native"])
    >>> print(policy.rule_for("mylib.native"), policy.rule_for("mylib.nn"), sep="; ")
    extern: "mylib.native"; intern: "mylib.**"
    """

    rules: tuple[Rule, ...]
    base: Base

    def __init__(
        self,
        *,
        intern: Patterns = (),
        extern: Patterns = (),
        mock: Patterns = (),
        deny: Patterns = (),
        base: Base = "hermetic",
        **wrong: object,
    ) -> None:
        if wrong:
            raise TypeError("; ".join(map(_unknown, wrong)))
        given = {Action.DENY: deny, Action.MOCK: mock, Action.EXTERN: extern, Action.INTERN: intern}
        # A rule for each pattern, so that an explanation names the pattern that decided.
        rules = tuple(
            Rule(action, pattern)
            for action, patterns in given.items()
            for pattern in _checked(action, patterns)
        )
        _fill(self, rules, base)

    @classmethod
    def ordered(cls, rules: Iterable[Rule], *, base: Base = "hermetic") -> Policy:
        """Make a policy of *rules*, of which the first that matches decides.

        Args:
            rules: Rules in order of precedence.
            base: See `Policy`.

        Returns:
            The policy.

        Raises:
            TypeError: if one of *rules* is not a `Rule`.
            ValueError: if *base* is unknown.

        >>> mine = Rule(Action.INTERN, GlobGroup("mylib.**", exclude="mylib.native"))
        >>> print(Policy.ordered([mine]).rule_for("mylib.native"))
        None
        """
        rules = tuple(rules)
        for rule in rules:
            if not isinstance(rule, Rule):
                raise TypeError(f"a Rule(Action.INTERN, GlobGroup('mylib.**')) is needed, not {rule!r}")
        policy = cls.__new__(cls)
        _fill(policy, rules, base)
        return policy

    def rule_for(self, module: str) -> Rule | None:
        """Return the rule that decides about *module*, or None if the base does.

        >>> Policy(extern="numpy.**").rule_for("scipy") is None
        True
        """
        return next((rule for rule in self.rules if rule.patterns.matches(module)), None)


_WORDS = {
    "interns": "intern",
    "internal": "intern",
    "include": "intern",
    "pack": "intern",
    "external": "extern",
    "externs": "extern",
    "exclude": "extern",
    "ignore": "extern",
    "stub": "mock",
    "forbid": "deny",
    "default": "base",
}
"""Words that other tools use → the words that are used here."""


def _unknown(name: str) -> str:
    known = [*map(str, Action), "base"]
    near = [_WORDS[name]] if name in _WORDS else difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}=?" if near else f"it has {', '.join(known)}"
    return f"Policy has no argument {name!r}; {hint}"


def _fill(policy: Policy, rules: tuple[Rule, ...], base: Base) -> None:
    if base not in get_args(Base):
        raise ValueError(f'base must be "hermetic", "whole" or "thin", not {base!r}')
    object.__setattr__(policy, "rules", rules)  # policies are frozen
    object.__setattr__(policy, "base", base)


def _checked(verb: Action, given: object) -> Iterable[GlobGroup]:
    example = f'such as {verb}=["mylib.**"]'
    if isinstance(given, str | GlobGroup):
        given = (given,)
    if isinstance(given, bytes | dict) or not isinstance(given, Iterable):
        raise TypeError(f"{verb} takes a pattern or several, {example}, not {given!r}")
    for pattern in given:
        if isinstance(pattern, GlobGroup):
            _check_names(verb, (*pattern.include, *pattern.exclude))
            yield pattern
            continue
        if not isinstance(pattern, str):
            raise TypeError(f"{verb} takes patterns that are strings, {example}, not {pattern!r}")
        _check_names(verb, (pattern,))
        yield GlobGroup(pattern)


def _check_names(verb: Action, patterns: Iterable[str]) -> None:
    for pattern in patterns:
        if not all(_may_match_a_part(part) for part in pattern.split(".")):
            hint = ""
            if "/" in pattern or "\\" in pattern or pattern.endswith(".py"):
                hint = "; write dots, not a path"
            elif "-" in pattern:
                hint = f"; a module, not a distribution: perhaps {pattern.replace('-', '_')!r}"
            raise ValueError(f"{verb}: {pattern!r} matches no module name{hint}")


def _may_match_a_part(part: str) -> bool:
    return part.replace("*", "_").isidentifier()
