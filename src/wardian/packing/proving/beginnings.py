"""How the clean process of a proof begins, and how it likely will, before it is known what the case needs.

It imports PyTorch behind a filter that finds what the case may import. PyTorch imports numpy and some more if
they are there, so whether the case needs those must be known, or guessed: docs/design/templates.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from wardian.domain.modules import TORCH
from wardian.domain.names import top_level
from wardian.domain.trace import Evidence
from wardian.environment.distributions import Distributions
from wardian.packing.proving.fence import allowed_distributions
from wardian.processes.clean import Start

__all__ = ["beginning", "guess_after_run", "guess_before_run"]


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
