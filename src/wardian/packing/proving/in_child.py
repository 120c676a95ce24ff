"""The part of a proof that runs in the clean process."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.metadata
import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

from wardian.domain.names import top_level
from wardian.errors import CheckError, ModuleNotInCaseError
from wardian.packing.proving.advice import (
    NEEDS,
    _externs_named,
    _fails_alike,
    _place_above,
    chain_of,
)
from wardian.packing.proving.fence import Filter

if TYPE_CHECKING:
    pass

__all__ = ["prepare", "prove_in_child"]


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


def prove_in_child(request: dict[str, Any]) -> dict[str, Any]:
    """Do the work of `prove` in the child."""
    for finder in sys.meta_path:
        if isinstance(finder, Filter):
            finder.allow(request["allowed"])
    os.chdir(os.sep)  # a data file beside the caller must not be found by a relative path

    from wardian.loading.case import Case
    from wardian.loading.stand_ins.externs import used_externs

    case = Case.open(request["path"])
    case.mount.gate.vouch()  # the user packs it: no policy is asked about it
    try:
        for entry in case.entries:
            if entry.test is None or entry.name in case.manifest.groups:
                case.load(entry.name)
        case.check(exact=True)
    except Exception as error:
        used = used_externs(error) | _externs_named(error, case.manifest)
        versions = any(isinstance(e, importlib.metadata.PackageNotFoundError) for e in chain_of(error))
        missing: set[str] = {
            top_level(e.name) for e in chain_of(error) if isinstance(e, ImportError) and e.name
        }
        missing |= {name for e in chain_of(error) for text, name in NEEDS.items() if text in str(e)}
        alike = isinstance(error, CheckError) and _fails_alike(case, error)
        facts = {
            "used": sorted(used),
            "versions": versions,
            "missing": sorted(missing),
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
    return {}
