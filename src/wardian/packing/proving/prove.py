"""The proof: the finished case does in a clean process what the object did (design decision D5)."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from wardian.domain.manifest import Manifest
from wardian.errors import ProofError
from wardian.packing.proving.advice import (
    _required_with,
    advice_on,
)
from wardian.packing.proving.again import find_last, note_proven
from wardian.packing.proving.beginnings import beginning
from wardian.packing.proving.fence import allowed_distributions, spoken_of
from wardian.processes.clean import ChildError, CleanProcesses, Start
from wardian.processes.folders import WorkFolder

__all__ = ["PROOF_FAILED", "prove"]


_WORK = "wardian.packing.proving.in_child.prove_in_child"

_CACHE = "cache"
_MADE_ANEW = ("libraries", "open", "verified")
"""Parts of a cache folder that the next proof makes anew: notes about one file, and shared libraries with
those that they are linked with."""

_USUAL_LIMIT = 1000
"""The recursion limit of a new interpreter, as CPython documents it."""

PROOF_FAILED = "the finished case does not work in a clean process: "
"""How a failed proof begins."""


def prove(path: Path, manifest: Manifest, processes: CleanProcesses) -> bool:
    """Load every object of a case, and run the self-tests, where only the hard externs can be imported.

    Args:
        path: The finished file, not yet at its place.
        manifest: What it declares.
        processes: How the clean process is started.

    Returns:
        Whether it works only with the recursion limit of this process, which is above that of a new one.

    Raises:
        TimeLimitError: if it takes longer than it may.
        ProofError: if something is missing there, or an output differs. Its `used` names soft externs
            that are needed after all.
    """
    try:
        allowed = allowed_distributions(manifest.externs)
        start = beginning(allowed)
        request = {"path": str(path), "allowed": allowed, "externs": (), "files_of": None}
        # Who loads the case has not raised the limit.
        usual = replace(processes, as_deep=False)
        if _proves_again(request, manifest, usual, start):
            return False
        with ExitStack() as unless_proven:
            files = unless_proven.enter_context(closing(WorkFolder()))
            request |= {"cache": str(files.path / _CACHE)}
            try:
                answer, is_deep = usual.run(_WORK, request, start), False
            except ChildError as error:
                if "RecursionError" not in error.output or sys.getrecursionlimit() <= _USUAL_LIMIT:
                    raise
                answer, is_deep = processes.run(_WORK, request, start), True
            unless_proven.pop_all()
        note_proven(manifest, processes.allow, start, answer["externs"], files, answer["digest"])
        return is_deep
    except ChildError as error:
        used = frozenset(error.facts.get("used", ()))
        hidden = frozenset(error.facts.get("hidden", ()))
        if error.facts.get("versions"):
            used = _required_with(used, manifest)
        raise ProofError(
            f"{PROOF_FAILED}{error.summary.replace(f'{path}: ', '')}\n\n{error.output.rstrip()}\n"
            f"{advice_on(error, manifest)}",
            output=error.output,
            used=used,
            missing=spoken_of(hidden, error.facts.get("messages", ())).union(error.facts.get("missing", ())),
            hidden=hidden,
            left_out=frozenset(error.facts.get("left_out", ())),
        ) from None


def _proves_again(
    request: Mapping[str, Any], manifest: Manifest, processes: CleanProcesses, start: Start
) -> bool:
    """Prove a case of the same code as the last one where its externs are imported, and its files made.

    Returns:
        Whether it passed; False, too, if that was of other code, or all shall be made anew. Code that
        prepares for what it imports may fail where that is imported before, which says nothing of the case.
    """
    last = find_last(manifest, processes.allow)
    if last is None or processes.isolated:
        return False
    with ExitStack() as unless_proven:
        files = last.take_files()
        told = {**request, "externs": last.externs, "files_of": None if files is None else last.digest}
        if files is None:
            files = unless_proven.enter_context(closing(WorkFolder()))
        cache = files.path / _CACHE
        for level in _MADE_ANEW:
            shutil.rmtree(cache / level, ignore_errors=True)
        try:
            answer = processes.run(_WORK, {**told, "cache": str(cache)}, start, last.further)
        except ChildError:
            return False
        unless_proven.pop_all()
    externs = (*last.externs, *answer["externs"])
    note_proven(manifest, processes.allow, start, externs, files, answer["digest"])
    return True
