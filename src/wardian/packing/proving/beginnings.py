"""How the clean process of a proof begins, and how it likely will, before it is known what the case needs.

It imports PyTorch behind a filter that finds what the case may import. PyTorch imports numpy and some more if
they are there, so whether the case needs those must be known, or guessed: docs/design/templates.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from wardian.domain.manifest import Manifest
from wardian.domain.modules import TORCH
from wardian.domain.names import top_level
from wardian.domain.trace import Evidence
from wardian.environment.distributions import Distributions
from wardian.packing.proving.again import begun_as_last
from wardian.packing.proving.fence import allowed_distributions
from wardian.packing.proving.kept_needs import find_needs, keep_needs
from wardian.processes.clean import CleanProcesses, Start

__all__ = ["EarlyProof", "beginning", "guess_after_run", "guess_before_run", "guess_by_last"]


def beginning(allowed: Mapping[str, Sequence[str]]) -> Start:
    """Return what the process begins with where only what is allowed can be imported.

    Args:
        allowed: The answer of `wardian.packing.proving.fence.allowed_distributions`.
    """
    return Start("wardian.packing.proving.in_child.prepare", allowed, partial(_serves, allowed))


def guess_before_run(top_levels: Iterable[str]) -> Start | None:
    """Return what it likely begins with, before the object has run in a clean process.

    Args:
        top_levels: Top-level names of modules that the object or its code has.

    Returns:
        It; None if there are libraries that may be packed, since they require more than they use.
    """
    installed = Distributions.current()
    by_torch = installed.closure(TORCH)
    owners = {found.name for top in top_levels for found in installed.providing(top)}
    for owner in owners - by_torch:
        # What of a library for PyTorch is compiled may be operators only, which can be packed.
        if not installed[owner].is_compiled or TORCH in installed.closure(owner):
            return None
    return beginning(allowed_distributions((), also=owners))


def guess_by_last(modules: Iterable[str]) -> Start | None:
    """Return what it began with the last time that such an object was packed, by this process or another one.

    Args:
        modules: The modules that the pickle names, by their original names.

    Returns:
        It; None if no such object was packed.
    """
    needs = find_needs(modules)
    if needs is None:
        return None
    installed = Distributions.current()
    there = [name for name in needs if installed.get(name) is not None]
    return beginning(allowed_distributions((), also=there))


def guess_after_run(evidence: Evidence, top_levels: Collection[str]) -> Start:
    """Return what it likely begins with, when the object has run and it is not yet planned what to pack.

    Args:
        evidence: What the run has shown.
        top_levels: Top-level names of modules that the pickle names.
    """
    installed = Distributions.current()
    compiled = installed.owners_of_libraries(evidence.libraries, frozenset(evidence.operators))
    used = {*(evidence.used or ()), *(top_level(demand.imported) for demand in evidence.demands), *top_levels}
    needed = [name for name in compiled if name in evidence.checked or used & installed[name].roots]
    return beginning(allowed_distributions((), also=needed))


class EarlyProof:
    """Begins the process of a proof as soon as it is likely what that may import, and nothing is in its way.

    Args:
        processes: How it is started.
        meanwhile: What ends when the proof has ended.
        modules: The modules that the pickle names, by their original names.
        top_levels: Top-level names of modules that the object or its code has.
    """

    def __init__(
        self,
        processes: CleanProcesses,
        meanwhile: ExitStack,
        modules: Collection[str],
        top_levels: Collection[str],
    ) -> None:
        self._processes, self._meanwhile, self._modules = processes, meanwhile, modules
        self._surely = guess_before_run(top_levels)
        self._likely = guess_by_last(modules) if self._surely is None else None
        if self._surely is not None:
            processes.start_early(self._surely)

    def when_idle(self) -> None:
        """Begin as the last one of such an object began: another processor has nothing to do by now."""
        if self._likely is not None:
            self._processes.start_early(self._likely)

    def when_run(self, evidence: Evidence, top_levels: Collection[str]) -> None:
        """Begin when the object has run, if it was not known before how.

        Before, no processor was free. The threads of a call wait for each other busily (OpenMP). So beside
        another process on two processors a call of 0.2 s takes ten times as long.

        Args:
            evidence: What the run has shown.
            top_levels: Top-level names of modules that the pickle names.
        """
        self._processes.start_early(self._likely or guess_after_run(evidence, top_levels))
        self._meanwhile.enter_context(begun_as_last(self._processes))

    def when_proven(self, manifest: Manifest) -> None:
        """Remember what the case needs for the next one of its kind."""
        if self._surely is None:
            keep_needs(self._modules, manifest)


def _serves(allowed: Mapping[str, Any], begun: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Tell whether a template has met, behind its filter, what it would have met behind another one.

    Args:
        allowed: What may be imported.
        begun: What the template might import.
        facts: What it imported, and what was hidden from it.
    """
    return set(facts["found"]) <= set(allowed["roots"]) and not (
        set(facts["hidden"]).intersection(allowed["roots"])
        or set(facts["hidden_plugins"]).intersection(allowed["distributions"])
        or not set(facts["plugins"]) <= set(allowed["distributions"])
    )
