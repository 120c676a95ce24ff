"""The part of a proof that runs in the clean process."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.metadata
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from wardian.domain.names import top_level
from wardian.environment.cache import CACHE_VARIABLE
from wardian.environment.modules import known_attribute
from wardian.environment.stamps import Stamps, any_changed, imported_places, stamps_of
from wardian.errors import CheckError, ModuleNotInCaseError
from wardian.packing.proving.advice import (
    _externs_named,
    _fails_alike,
    _place_above,
    chain_of,
)
from wardian.packing.proving.fence import Filter
from wardian.processes.clean import OUTDATED

__all__ = ["import_externs", "prepare", "prove_in_child"]


def prepare(allowed: dict[str, list[str]]) -> dict[str, list[str]]:
    """Import what a proof needs, where only what is allowed is found; tell what was found, and what not."""
    # Where the case does not need numpy, it is hidden, and torch says so; under `-W error` it would raise.
    warnings.filterwarnings("ignore", message="Failed to initialize NumPy")
    filters = [Filter(f, allowed) for f in sys.meta_path if hasattr(f, "find_spec")]
    sys.meta_path[:] = filters
    from wardian.loading import case  # noqa: F401
    from wardian.loading.stand_ins import externs as stand_ins  # noqa: F401
    from wardian.tensors import scripts, selftest  # noqa: F401

    return {
        "found": sorted({name for f in filters for name in f.found}),
        "hidden": sorted({name for f in filters for name in f.hidden}),
        "plugins": sorted({name for f in filters for name, loaded in f.plugins.items() if loaded}),
        "hidden_plugins": sorted({name for f in filters for name, loaded in f.plugins.items() if not loaded}),
    }


_stamps: list[Stamps] = []
"""Those of the files that were imported beforehand, if any were."""


def import_externs(request: Mapping[str, Any]) -> None:
    """Import what the last proof of the same code had imported of hard externs, for proofs of that code."""
    _hide_what_is_not_allowed(request["allowed"])
    for name in request["externs"]:
        # If one needs what some packed code does before, this fails, and proofs begin without.
        importlib.import_module(name)
    _stamps.append(stamps_of(imported_places()))


def _hide_what_is_not_allowed(allowed: Mapping[str, Sequence[str]]) -> None:
    for finder in sys.meta_path:
        if isinstance(finder, Filter):
            finder.allow(allowed)
    os.chdir(os.sep)  # a data file beside the caller must not be found by a relative path


def prove_in_child(request: dict[str, Any]) -> dict[str, Any]:
    """Do the work of `prove` in the child."""
    if any(map(any_changed, _stamps)):
        return dict(OUTDATED)
    _hide_what_is_not_allowed(request["allowed"])
    # Files of this case are of no use to the next process: the next epoch has another one.
    os.environ[CACHE_VARIABLE] = request["cache"]
    before = set(sys.modules)

    from wardian.loading.case import Case
    from wardian.loading.importing.files import CaseFiles
    from wardian.loading.stand_ins.externs import used_externs

    case = Case.open(request["path"])
    case.mount.gate.vouch()  # the user packs it: no policy is asked about it
    if request["files_of"] is not None and isinstance(case.mount.files, CaseFiles):
        case.mount.files.adopt(request["files_of"])
    try:
        for entry in case.entries:
            if entry.test is None or entry.name in case.manifest.groups:
                case.load(entry.name)
        case.check(exact=True)
    except Exception as error:
        hidden = {name for f in sys.meta_path if isinstance(f, Filter) for name in f.hidden}
        used = used_externs(error) | _externs_named(error, case.manifest, hidden)
        versions = any(isinstance(e, importlib.metadata.PackageNotFoundError) for e in chain_of(error))
        missing: set[str] = {
            top_level(e.name) for e in chain_of(error) if isinstance(e, ImportError) and e.name
        }
        alike = isinstance(error, CheckError) and _fails_alike(case, error)
        facts = {
            "used": sorted(used),
            "versions": versions,
            "missing": sorted(missing),
            "hidden": sorted(hidden),
            "messages": [str(e)[:_MESSAGE] for e in chain_of(error)],
            "left_out": sorted(
                e.name
                for e in chain_of(error)
                if isinstance(e, ModuleNotInCaseError) and e.name and e.name in case.mount.contents.left_out
            ),
            "alike": alike,
            "above": _place_above(error, case),
        }
        error.child_facts = facts  # type: ignore[attr-defined]
        raise
    externs = [name for name in list(sys.modules) if name not in before and _is_of_extern(name)]
    return {"externs": externs, "digest": case.digest}


_MESSAGE = 10_000
"""Characters of a message that are looked at: an error may show a tensor."""


def _is_of_extern(name: str) -> bool:
    """Tell whether a module was found outside of the case, as it would be by anybody who imports it."""
    spec = known_attribute(sys.modules[name], "__spec__")
    return (
        top_level(name) != "wardian"
        and isinstance(spec, importlib.machinery.ModuleSpec)
        and spec.name == name
        and spec.has_location
    )
