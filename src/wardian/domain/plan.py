"""The decisions about all modules and files before anything is written: to print, compare and ask."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wardian.domain.decisions import FIRST_PARTY, Decision, PackedFile
from wardian.domain.graph import ImportGraph
from wardian.domain.manifest import Extern, PackedDistribution
from wardian.domain.modules import is_stdlib
from wardian.domain.names import ModuleName, RecordName, normalised
from wardian.domain.plan_differences import differences_of
from wardian.domain.policy import Action
from wardian.wording import count_text, size_text

__all__ = ["Plan"]


_SHOWN = 12
"""How many distributions of one action a printed plan lists."""

_FEW = 3
"""How many of what is rarely there it lists."""


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """Everything that was decided before anything is written.

    `print(plan)` lists it by distribution, `plan.modules()` by module, and `plan.why("numpy")` tells how the
    object leads to a module.

    >>> import torch, wardian
    >>> plan = wardian.plan(torch.nn.Linear(2, 1))
    >>> print(plan.decision("torch.nn.modules.linear"))
    torch.nn.modules.linear: extern (it is PyTorch)
    """

    entry: str
    decisions: tuple[Decision, ...]
    files: tuple[PackedFile, ...]
    distributions: tuple[PackedDistribution, ...]
    externs: tuple[Extern, ...]
    indirect: tuple[Extern, ...]
    """Externs that only externs import. They require them, or else the proof tells that they are needed."""
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
    unneeded: Mapping[str, tuple[ModuleName, ...]] = field(default_factory=dict, repr=False)
    """Modules that stay outside because nothing that runs can reach them, by the packed distribution."""
    unmatched: tuple[str, ...] = ()
    """Rules of the policy that match no module that the object reaches, with names that are near."""
    unkept: tuple[str, ...] = ()
    """Rules that would pack modules, all of which stay outside nevertheless, each with why."""
    denied: tuple[str, ...] = ()
    """Imports of denied modules in functions of packed libraries, as sentences."""
    unread: tuple[str, ...] = ()
    """Data files that first-party code names and that stay out because nothing has read them in the run, as
    sentences."""
    set_at_load: tuple[str, ...] = ()
    """Names of scripts that are set when the object is loaded, as no source sets them, in that order."""

    def decision(self, module: str) -> Decision | None:
        """Return the decision for *module*, or None if the object does not reach it.

        >>> plan.decision("torchvision") is None
        True
        """
        return next((d for d in self.decisions if d.module == module), None)

    def chain(self, module: str) -> tuple[str, ...]:
        """Return how the object leads to *module*, one step per import.

        >>> plan.chain("torch.nn.modules.linear")
        ('model is a torch.nn.modules.linear.Linear',)
        """
        return self.graph.explain(ModuleName(self.entry), ModuleName(module))

    def why(self, module: str) -> str:
        """Tell why *module* is in the plan.

        Args:
            module: Dotted name of a module, or name of a distribution, which stands for the module of it
                that the object reaches first.

        Returns:
            The decision with its reason, and the shortest chain of imports from the object to the module.

        >>> print(plan.why("torch.nn.modules.linear"))
        torch.nn.modules.linear: extern (it is PyTorch)
          model is a torch.nn.modules.linear.Linear
        """
        decision = self.decision(module) or self._nearest_of(module)
        if decision is None and is_stdlib(ModuleName(module)):
            return f"{module} is part of the standard library, which is there wherever Python is"
        if decision is None and (owner := self._leaves_out(module)) is not None:
            return (
                f"{module}: left out (nothing that runs can reach it; the case has a part of {owner})\n"
                f'  Policy(intern=["{module}"]) takes it and what it reaches, Policy(base="whole") all of it'
            )
        if decision is None:
            known = {str(d.module) for d in self.decisions} | {d.distribution or "" for d in self.decisions}
            near = difflib.get_close_matches(module, sorted(known), 3)
            hint = f"; near to it: {', '.join(near)}" if near else ""
            return f"{module} is not in the plan: nothing the object needs imports it{hint}"
        head = str(decision)
        chain = self.chain(decision.module) or (
            "no import in the sources shows it; it was imported in the run",
        )
        return "\n".join([head, *(f"  {'' if i == 0 else '-> '}{step}" for i, step in enumerate(chain))])

    def _leaves_out(self, module: str) -> str | None:
        """Return the distribution of a module that stays outside because nothing can reach it."""
        return next((name for name, modules in self.unneeded.items() if module in modules), None)

    def _nearest_of(self, distribution: str) -> Decision | None:
        """Return the decision for the module of a distribution to which the chain is shortest."""
        name = normalised(distribution)
        mine = [d for d in self.decisions if d.distribution == name]
        return min(mine, key=lambda d: (len(self.chain(d.module)) or len(self.decisions), d), default=None)

    def modules(self, distribution: str | None = None) -> tuple[Decision, ...]:
        """Return what was decided about each module, sorted by name.

        Args:
            distribution: Only its modules; "first-party" stands for code that no distribution owns.

        >>> [str(decision.module) for decision in plan.modules("torch") if "linear" in decision.module]
        ['torch.nn.modules.linear']
        """
        name = distribution if distribution in (None, FIRST_PARTY) else normalised(distribution)
        return tuple(d for d in self.decisions if name in (None, d.distribution or FIRST_PARTY))

    def __repr__(self) -> str:
        inside = [d for d in self.decisions if d.action is Action.INTERN]
        return (
            f"<Plan for {self.entry!r}: {count_text(len(inside), 'module')} inside,"
            f" {count_text(len(self.externs), 'extern')}; print it, or ask its modules() and why()>"
        )

    def __str__(self) -> str:
        rows = [f"plan for {self.entry!r}"]
        versions = {d.name: d.version for d in self.distributions}
        versions |= {e.distribution: e.version for e in self.externs if e.distribution}
        soft = {e.distribution for e in self.externs if e.soft}
        for action in Action:
            mine = [d for d in self.decisions if d.action is action]
            groups = list(_by_distribution(mine))
            if mine:
                rows.append(f"{action}:")
            for name, group in groups[:_SHOWN]:
                size = sum(f.size for f in self.files if (f.distribution or FIRST_PARTY) == name)
                note = f", {size_text(size)}" if action is Action.INTERN else ""
                if action is Action.INTERN and name in self.unneeded:
                    note = f" of {len(group) + len(self.unneeded[name]):,}{note}"
                if action is Action.EXTERN:
                    note = ", optional" if name in soft else ", needed" if name in versions else ""
                title = f"{name} {versions[name]}" if versions.get(name) else name
                reason = group[0].reason
                if action is Action.INTERN and name in self.unneeded:
                    title, reason = (
                        f"part of {title}",
                        "what was imported in the run, and what that can reach",
                    )
                rows.append(f"  {title} ({count_text(len(group), 'module')}{note}): {reason}")
            if len(groups) > _SHOWN:
                rows.append(f"  and {len(groups) - _SHOWN} more")
        if self.unmatched:
            rows.append("rules that match no module:")
            rows += _shortened(self.unmatched)
        if self.unkept:
            rows.append("rules that pack nothing:")
            rows += _shortened(self.unkept)
        if self.denied:
            rows.append("imports of denied modules that will fail:")
            rows += _shortened(self.denied)
        if self.set_at_load:
            rows.append("set when it is loaded:")
            rows += _shortened(self.set_at_load)
        if self.absent:
            rows.append(f"not installed, and hidden when the case is loaded: {', '.join(self.absent)}")
        if self.left_out:
            rows.append("data files left out (large, and not read in the run):")
            rows += _shortened(self.left_out)
        if self.unread:
            rows.append("data files left out that first-party code names:")
            rows += _shortened(self.unread)
        return "\n".join(rows)

    def to_plain(self) -> dict[str, Any]:
        """Return the plan as JSON-able data, to store or compare.

        >>> sorted(plan.to_plain())
        ['absent', 'decisions', 'distributions', 'entry', 'externs', 'files', 'left_out']
        """
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
            "left_out": [*self.left_out, *self.unread],
        }

    def to_json(self) -> str:
        """Return the plan as a JSON document, one fact a line, that can be kept beside the code.

        >>> kept = plan.to_json()
        """
        return json.dumps(self.to_plain(), indent=1, sort_keys=True)

    def diff(self, older: Plan | Mapping[str, Any] | str) -> tuple[str, ...]:
        """Tell what differs from an older plan.

        Args:
            older: A plan, or what `to_plain` or `to_json` returned.

        Returns:
            Sentences, sorted; none if both plans decide the same.

        Raises:
            ValueError: if *older* is no plan.

        >>> plan.diff(plan.to_json())
        ()
        """
        known = json.loads(older) if isinstance(older, str) else older
        before: Mapping[str, Any] = known.to_plain() if isinstance(known, Plan) else known
        if not isinstance(before, Mapping) or not before.keys() >= _COMPARED:
            raise ValueError("older is no plan: pass a Plan, or what its to_json or to_plain returned")
        return differences_of(before, self.to_plain())


_COMPARED = frozenset({"decisions", "files", "distributions", "externs"})
"""The keys of plans that are compared."""


def _shortened(items: Sequence[str]) -> list[str]:
    more = [f"  and {len(items) - _FEW} more"] if len(items) > _FEW else []
    return [*(f"  {item}" for item in items[:_FEW]), *more]


def _by_distribution(decisions: list[Decision]) -> Iterator[tuple[str, list[Decision]]]:
    groups: dict[str, list[Decision]] = {}
    for decision in decisions:
        groups.setdefault(decision.distribution or FIRST_PARTY, []).append(decision)
    yield from sorted(groups.items())
