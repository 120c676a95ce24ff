"""The proof: the finished case does in a clean process what the object did (design decision D5)."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.metadata
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from packaging.utils import canonicalize_name

from wardian.child import ChildError, run_in_clean_process
from wardian.environment import Distributions, is_stdlib
from wardian.errors import ProofError
from wardian.manifest import Manifest
from wardian.names import ModuleName

__all__ = ["prove", "prove_in_child"]

_OWN = ("wardian", "torch", "blake3", "packaging", "platformdirs")


def prove(path: Path, manifest: Manifest) -> None:
    """Load every object of a case, and run the self-tests, where only the hard externs can be imported.

    Args:
        path: The finished file, not yet at its place.
        manifest: What it declares.

    Raises:
        ProofError: if something is missing there, or an output differs. Its `used` names soft externs
            that are needed after all.
    """
    try:
        allowed = _allowed(manifest)
        run_in_clean_process("wardian.prove.prove_in_child", {"path": str(path), "allowed": allowed})
    except ChildError as error:
        raise ProofError(
            f"the finished case does not work in a clean process: {error.summary}\n\n{error.output}",
            output=error.output,
            used=frozenset(error.facts.get("used", ())),
        ) from None


def _allowed(manifest: Manifest) -> dict[str, list[str]]:
    """Return what may be imported: the externs that are not soft, what they require, Wardian itself."""
    installed = Distributions.current()
    hard = [extern for extern in manifest.externs if not extern.soft]
    names = {*_OWN, *(e.distribution for e in hard if e.distribution is not None)}
    distributions = {required for name in names for required in installed.closure(name)}
    roots = {root for name in distributions for root in installed[name].roots}
    roots |= {module.partition(".")[0] for extern in hard for module in extern.modules}
    return {"distributions": sorted(distributions), "roots": sorted(roots | set(_OWN))}


class _Filter(importlib.abc.MetaPathFinder):
    """A finder that finds only what is allowed."""

    def __init__(self, finder: Any, roots: frozenset[str], distributions: frozenset[str]) -> None:
        self._finder = finder
        self._roots = roots
        self._distributions = distributions

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        top = ModuleName(fullname.partition(".")[0])
        if top not in self._roots and not is_stdlib(top):
            return None
        spec: importlib.machinery.ModuleSpec | None = self._finder.find_spec(fullname, path, target)
        return spec

    def find_distributions(self, context: Any = None) -> Iterator[importlib.metadata.Distribution]:
        """Yield the metadata of allowed distributions, as `importlib.metadata` asks its finders."""
        find = getattr(self._finder, "find_distributions", None)
        for found in find(context) if find is not None else ():
            if canonicalize_name(found.metadata["Name"] or "") in self._distributions:
                yield found


def prove_in_child(request: dict[str, Any]) -> dict[str, Any]:
    """Do the work of `prove` in the child."""
    # Where the case does not need numpy, it is hidden, and torch says so; under `-W error` it would raise.
    warnings.filterwarnings("ignore", message="Failed to initialize NumPy")
    roots, distributions = (frozenset(request["allowed"][key]) for key in ("roots", "distributions"))
    sys.meta_path[:] = [_Filter(f, roots, distributions) for f in sys.meta_path if hasattr(f, "find_spec")]
    os.chdir(os.sep)  # a data file beside the caller must not be found by a relative path

    from wardian.live.case import Case
    from wardian.live.stand_ins import used_externs

    case = Case.open(request["path"])
    try:
        for entry in case.manifest.entries:
            if entry.test is None:
                case.load(entry.name)
        case.check(exact=True)
    except Exception as error:
        used = set(used_externs(error))
        if "Numpy is not available" in str(error):  # torch's own words where it needs it
            used.add("numpy")
        error.child_facts = {"used": sorted(used)}  # type: ignore[attr-defined]
        raise
    return {}
