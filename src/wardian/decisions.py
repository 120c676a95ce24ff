"""What was decided about every module and file before anything is written: to print, compare and ask."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from packaging.utils import canonicalize_name

from wardian.environment import is_stdlib
from wardian.graph import ImportGraph
from wardian.manifest import Extern, PackedDistribution
from wardian.names import ModuleName, RecordName, top_level
from wardian.policy import Action

__all__ = ["Decision", "FIRST_PARTY", "PackedFile", "Plan", "size_text"]

FIRST_PARTY = "first-party"
"""What stands for code that no distribution owns."""


@dataclass(frozen=True, slots=True, order=True)
class Decision:
    """What happens to one module."""

    module: ModuleName
    action: Action
    reason: str
    distribution: str | None
    """Normalised name; None for first-party code."""


@dataclass(frozen=True, slots=True, order=True)
class PackedFile:
    """One file that goes into the case."""

    record: RecordName
    path: str
    """Where its content is read from."""
    size: int
    """In bytes."""
    module: ModuleName | None
    """The module it is the source of, None for data."""
    distribution: str | None
    content: bytes | None = field(default=None, repr=False)
    """What it holds if it is in no file."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that was decided before anything is written.

    `print(plan)` lists it, `plan.why("numpy")` tells how the object leads to a module.
    """

    entry: str
    decisions: tuple[Decision, ...]
    files: tuple[PackedFile, ...]
    distributions: tuple[PackedDistribution, ...]
    externs: tuple[Extern, ...]
    indirect: tuple[Extern, ...]
    """What only externs import. They require it, or else the proof tells that it is needed."""
    absent: tuple[str, ...]
    mocks: tuple[ModuleName, ...]
    deferrable: tuple[ModuleName, ...]
    """Packages that are imported only because a module below them is: their `__init__` may wait."""
    materialised: tuple[str, ...]
    libraries: tuple[RecordName, ...]
    operators: tuple[str, ...]
    """Schemas of the operators of these libraries."""
    loaded: frozenset[ModuleName]
    """Packed modules that run when the object is loaded and used; their bytecode comes along."""
    bytecode_only: tuple[ModuleName, ...]
    """Packed modules without source."""
    left_out: tuple[str, ...]
    """Data files that stay out because they are large and were not read in the run."""
    metadata: Mapping[str, Mapping[str, bytes]] = field(repr=False)
    graph: ImportGraph = field(repr=False)
    unmatched: tuple[str, ...] = ()
    """Rules of the policy that match no module that the object reaches, with names that are near."""

    def decision(self, module: str) -> Decision | None:
        """Return the decision for *module*, or None if the object does not reach it."""
        return next((d for d in self.decisions if d.module == module), None)

    def chain(self, module: str) -> tuple[str, ...]:
        """Return how the object leads to *module*, one step per import."""
        return self.graph.explain(ModuleName(self.entry), ModuleName(module))

    def why(self, module: str) -> str:
        """Tell why *module* is in the plan.

        Args:
            module: Dotted name of a module, or name of a distribution, which stands for the module of it
                that the object reaches first.

        Returns:
            The decision with its reason, and the shortest chain of imports from the object to the module.
        """
        decision = self.decision(module) or self._nearest_of(module)
        if decision is None and is_stdlib(ModuleName(module)):
            return f"{module} is part of the standard library, which is there wherever Python is"
        if decision is None:
            known = {str(d.module) for d in self.decisions} | {d.distribution or "" for d in self.decisions}
            near = difflib.get_close_matches(module, sorted(known), 3)
            hint = f"; near to it: {', '.join(near)}" if near else ""
            return f"{module} is not in the plan: nothing the object needs imports it{hint}"
        head = f"{decision.module}: {decision.action} ({decision.reason})"
        chain = self.chain(decision.module) or (
            "no import in the sources shows it; it was imported in the run",
        )
        return "\n".join([head, *(f"  {'' if i == 0 else '-> '}{step}" for i, step in enumerate(chain))])

    def _nearest_of(self, distribution: str) -> Decision | None:
        """Return the decision for the module of a distribution to which the chain is shortest."""
        name = str(canonicalize_name(distribution))
        mine = [d for d in self.decisions if d.distribution == name]
        return min(mine, key=lambda d: (len(self.chain(d.module)) or len(self.decisions), d), default=None)

    def __str__(self) -> str:
        rows = [f"plan for {self.entry!r}"]
        versions = {d.name: d.version for d in self.distributions}
        versions |= {e.distribution: e.version for e in self.externs if e.distribution}
        soft = {e.distribution for e in self.externs if e.soft}
        for action in Action:
            mine = [d for d in self.decisions if d.action is action]
            if not mine:
                continue
            rows.append(f"{action}:")
            for name, group in _by_distribution(mine):
                size = sum(f.size for f in self.files if (f.distribution or FIRST_PARTY) == name)
                note = f", {size_text(size)}" if action is Action.INTERN else ""
                if action is Action.EXTERN and name in soft:
                    note = ", soft: may be missing where nothing uses it"
                title = f"{name} {versions[name]}" if versions.get(name) else name
                rows.append(f"  {title} ({_count(len(group), 'module')}{note})")
                rows += _outside_rows(group) if action is Action.EXTERN else self._module_rows(group)
        if self.unmatched:
            rows.append("rules that match no module:")
            rows += [f"  {rule}" for rule in self.unmatched]
        if self.absent:
            rows.append(f"not installed, and hidden when the case is loaded: {', '.join(self.absent)}")
        if self.left_out:
            rows.append("data files left out (large, and not read in the run):")
            rows += [f"  {name}" for name in self.left_out]
        return "\n".join(rows)

    def _module_rows(self, decisions: list[Decision]) -> Iterator[str]:
        sizes = {f.module: f.size for f in self.files}
        for decision in decisions:
            size = f" ({size_text(sizes[decision.module])})" if decision.module in sizes else ""
            yield f"    {decision.module}: {decision.reason}{size}"

    def to_plain(self) -> dict[str, Any]:
        """Return the plan as JSON-able data, to store or compare."""
        return {
            "entry": self.entry,
            "decisions": [
                {
                    "module": d.module,
                    "action": str(d.action),
                    "reason": d.reason,
                    "distribution": d.distribution,
                }
                for d in self.decisions
            ],
            "files": [{"record": f.record, "size": f.size} for f in self.files],
            "distributions": {d.name: d.version for d in self.distributions},
            "externs": {e.distribution or e.modules[0]: e.version for e in self.externs},
            "absent": list(self.absent),
            "left_out": list(self.left_out),
        }

    def to_json(self) -> str:
        """Return the plan as a JSON document, one fact a line, that can be kept beside the code."""
        return json.dumps(self.to_plain(), indent=1, sort_keys=True)

    def diff(self, older: Plan | Mapping[str, Any] | str) -> tuple[str, ...]:
        """Tell what differs from an older plan.

        Args:
            older: A plan, or what `to_plain` or `to_json` returned.

        Returns:
            Sentences, sorted; none if both plans decide the same.

        Raises:
            ValueError: if *older* is no plan.
        """
        known = json.loads(older) if isinstance(older, str) else older
        before: Mapping[str, Any] = known.to_plain() if isinstance(known, Plan) else known
        if not isinstance(before, Mapping) or not {"decisions", "files", "externs"} <= before.keys():
            raise ValueError("older is no plan: pass a Plan, or what its to_json or to_plain returned")
        after = self.to_plain()
        tables = (
            ("module", _actions(before), _actions(after)),
            ("distribution", _versions(before), _versions(after)),
            ("file", _sizes(before), _sizes(after)),
        )
        return tuple(
            sentence for what, old, new in tables for sentence in sorted(_differences(what, old, new))
        )


def _actions(plan: Mapping[str, Any]) -> dict[str, str]:
    return {d["module"]: d["action"] for d in plan["decisions"]}


def _versions(plan: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: str(version) for name, version in (*plan["distributions"].items(), *plan["externs"].items())
    }


def _sizes(plan: Mapping[str, Any]) -> dict[str, str]:
    return {f["record"]: size_text(f["size"]) for f in plan["files"]}


def _differences(what: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for name in old.keys() - new.keys():
        yield f"{what} {name} is gone ({old[name]})"
    for name in new.keys() - old.keys():
        yield f"{what} {name} is new ({new[name]})"
    for name in old.keys() & new.keys():
        if old[name] != new[name]:
            yield f"{what} {name}: {old[name]} became {new[name]}"


def size_text(size: int) -> str:
    """Return a number of bytes as people read it.

    >>> size_text(1), size_text(643), size_text(11_292), size_text(46_800_000)
    ('1 byte', '643 bytes', '11.3 kB', '46.8 MB')
    """
    if size < 1000:
        return _count(size, "byte")
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _outside_rows(decisions: list[Decision]) -> Iterator[str]:
    """Tell what stays outside by top-level name: hundreds of modules of a library have one reason."""
    groups: dict[tuple[str, str], list[ModuleName]] = {}
    for decision in decisions:
        groups.setdefault((top_level(decision.module), decision.reason), []).append(decision.module)
    for (_, reason), modules in groups.items():
        more = f" and {_count(len(modules) - 1, 'module')} below it" if len(modules) > 1 else ""
        yield f"    {modules[0]}{more}: {reason}"


def _by_distribution(decisions: list[Decision]) -> Iterator[tuple[str, list[Decision]]]:
    groups: dict[str, list[Decision]] = {}
    for decision in decisions:
        groups.setdefault(decision.distribution or FIRST_PARTY, []).append(decision)
    yield from sorted(groups.items())
