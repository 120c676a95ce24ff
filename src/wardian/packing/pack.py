"""The use case on one screen: trace → plan → write → prove → publish."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any, Literal, TypeVar

from wardian.archive.writer import ArchiveWriter
from wardian.collector import collector_paused
from wardian.domain.plan import Plan
from wardian.domain.policy import Policy
from wardian.domain.provenance import KEY as PROVENANCE
from wardian.domain.provenance import Provenance
from wardian.domain.trace import Trace
from wardian.errors import PackError, TimeLimitError, WardianWarning
from wardian.keywords import knowing_keywords
from wardian.packing.arguments import NOTHING, Asked, Resource
from wardian.packing.doubts import find_doubts, find_notes
from wardian.packing.drafting.draft import Drafting
from wardian.packing.finishing import finish
from wardian.packing.planning.decide import make_plan
from wardian.packing.provenance import find_provenance, own_modules
from wardian.packing.proving.beginnings import EarlyProof
from wardian.packing.remarks import Made
from wardian.packing.report import PackReport
from wardian.packing.tracing.ahead import keeping_facts
from wardian.packing.tracing.in_child import BEGINNING
from wardian.packing.writing.assembly import Contents
from wardian.processes.clean import DEFAULT_LIMIT, CleanProcesses
from wardian.processes.folders import work_folder
from wardian.reporters import Observer, Stages, reporting

__all__ = ["PackReport", "Resource", "pack", "plan"]

_T = TypeVar("_T")


# It is long for its arguments: what each is for is told here, where users look.
@collector_paused()
@knowing_keywords
def pack(
    obj: Any = NOTHING,
    path: str | os.PathLike[str] = NOTHING,
    *,
    entries: Mapping[str, Any] | None = None,
    inputs: tuple[Any, ...] | Mapping[str, Any] | None = None,
    policy: Policy | None = None,
    prove: bool | Literal["isolated"] = True,
    name: str = "model",
    resources: Mapping[str, Resource] | None = None,
    metadata: Mapping[str, str] | None = None,
    provenance: bool = False,
    limit: float | None = DEFAULT_LIMIT,
    allow: Collection[str] = (),
    progress: Callable[[str], None] | bool | None = None,
) -> PackReport:
    """Pack a live object with its code, weights and data files into one file.

    Args:
        obj: Any object that can be pickled, usually a `torch.nn.Module`. Not modified, and not
            called in this process. A dictionary is one object.
        path: Where the case goes. An existing file is replaced only when the new one is finished and proven.
        entries: Several objects in place of one, by the names of their entry points, which are identifiers:
            `pack(path="bert.case", entries={"model": model, "tokenizer": tokenizer})`. They have one plan and
            one proof, and what they share is packed once.
        inputs: Arguments of a call, a tuple of positional or a dictionary of keyword arguments. The object
            is called with them in a clean process, to see what it needs; they stay in the case, with the
            result, as its self-test. With *entries*, a dictionary: name of the entry point → its arguments.
        policy: Rules that win over the default; see `Policy`.
        prove: Open the finished case in a clean process and compare outputs before it is published. With
            False no other process is started, and what is loaded in this one is taken for what is needed.
            On Linux clean processes are forks of one that has imported PyTorch and nothing of yours; with
            "isolated" each is a new interpreter, which takes longer and is in no way different.
        name: Name of the entry point, an identifier.
        resources: Extra files: record name (a POSIX path) → content (bytes, or text as str) or the path of
            a file (`os.PathLike`).
        metadata: Notes to keep in the manifest.
        provenance: Note in the metadata where the case comes from: the command that packs, without names of
            users, hosts and folders; and for each git repository that your files are from, its commit, and
            whether the working tree differs from it.
        limit: Seconds that each clean process may take, half an hour without it; None for no limit.
        allow: What code of the object may do in clean processes: "processes" to start programs, "network" to
            reach other machines. PyTorch's own compilers may always be started.
        progress: None shows the stages on stderr where that is a terminal or the output of a notebook and
            packing takes longer than two seconds; True shows them at once, and anywhere. On a terminal they
            are bars if `rich` is installed. False shows nothing. A function is called with the name of each
            stage.

    Returns:
        What was packed, with the plan and the time of each stage.

    Raises:
        TypeError, ValueError: if an argument has the wrong type or form.
        PackError: if the object cannot be packed: `UnpicklableError`, `PlanError`, `ProofError` or
            `TimeLimitError`.
        OSError: if the file cannot be written.

    >>> import tempfile, torch, wardian
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = wardian.pack(torch.nn.Linear(2, 1), f"{folder}/linear.case", inputs=(torch.ones(2),))
    >>> report.manifest.proof
    'passed'
    """
    asked = Asked(
        obj=obj,
        entries=entries,
        path=path,
        inputs=inputs,
        policy=policy,
        prove=prove,
        name=name,
        resources=resources,
        metadata=metadata,
        provenance=provenance,
        limit=limit,
        allow=allow,
        progress=progress,
    )
    asked.require_sound()
    rules, processes = policy or Policy(), asked.processes()
    with reporting(progress) as tell:
        return _anew_if_stale(partial(_pack, asked, rules, processes, tell), processes, tell)


def _pack(asked: Asked, rules: Policy, processes: CleanProcesses, tell: Observer) -> PackReport:
    with ArchiveWriter(asked.path) as archive, ExitStack() as meanwhile:
        stages = Stages(tell)
        if asked.prove:
            processes.start_early(BEGINNING)
        with stages("pickle"):
            draft = Drafting(asked.objects, asked.calls, archive, rules, processes, tell.again)
        early: EarlyProof | None = None
        if asked.prove:
            named, top_levels = draft.named_modules, draft.named_top_levels()
            early = EarlyProof(processes, meanwhile, named, top_levels)
        with stages("trace"):
            trace = draft.trace(clean=bool(asked.prove), watcher=early)
        meanwhile.enter_context(draft.comparing())
        meanwhile.enter_context(keeping_facts())
        with stages("plan"):
            planned = make_plan(trace, rules)
        origin = find_provenance(own_modules(planned), sys.orig_argv) if asked.provenance else None
        contents = _contents(asked, draft, trace, planned, origin)
        whole = partial(make_plan, trace, rules, whole=True)
        case = finish(archive, planned, contents, stages, rules, processes, whole=whole)
        made = Made(
            objects=asked.objects,
            plan=case.plan,
            bytecode_only=contents.bytecode_only,
            is_deep=case.is_deep,
        )
        if early is not None:
            early.when_proven(case.manifest)
        doubts = find_doubts(made, draft, trace, asked.contents, contents.metadata, origin, processes.refused)
        tell.done()
        for doubt in doubts:
            # Above what begins anew, what pauses the collector and what knows the keywords.
            warnings.warn(doubt, WardianWarning, stacklevel=6)
        # After the warnings: one that is made an error leaves the target as it was.
        archive.publish()
        return PackReport(
            path=archive.target,
            digest=case.digest,
            size=archive.target.stat().st_size,
            plan=replace(case.plan, externs=case.manifest.externs),
            manifest=case.manifest,
            warnings=tuple(doubts),
            notes=tuple(find_notes(made, draft)),
            left_out=(*draft.capture.left_out, *case.plan.unread),
            seconds=stages.seconds,
            attempts=case.attempts,
        )


def _anew_if_stale(work: Callable[[], _T], processes: CleanProcesses, tell: Observer) -> _T:
    """Do the work; once more if it fails in a process that began with what an earlier pack had imported.

    Code may note when it is imported what is otherwise by now: whether a file is there, the current folder.

    Args:
        work: What is done.
        processes: How its clean processes are started.
        tell: Told why it is done once more.
    """
    while True:
        try:
            return work()
        except PackError as error:
            # What took too long would take as long again.
            if isinstance(error, TimeLimitError) or not processes.forget_reused():
                # The error tells what is wrong with the object. Frames of Wardian, twenty or more, do not.
                raise error.with_traceback(None)  # noqa: B904  it is the same error
            reason = str(error).partition("\n")[0]
        tell.again(f"{reason}; now with nothing imported before")


@knowing_keywords
def plan(
    obj: Any = NOTHING,
    *,
    entries: Mapping[str, Any] | None = None,
    inputs: tuple[Any, ...] | Mapping[str, Any] | None = None,
    policy: Policy | None = None,
    limit: float | None = DEFAULT_LIMIT,
    allow: Collection[str] = (),
    progress: Callable[[str], None] | bool | None = None,
) -> Plan:
    """Tell what `pack` would do, without writing a case.

    Args:
        obj: The object to pack.
        entries: Several objects, as for `pack`.
        inputs: As for `pack`.
        policy: As for `pack`.
        limit: As for `pack`.
        allow: As for `pack`.
        progress: As for `pack`.

    Returns:
        The plan; `print` it, or ask `plan.why("module")`.

    Raises:
        PackError: as for `pack`.

    >>> import torch, wardian
    >>> plan = wardian.plan(torch.nn.Linear(2, 1), inputs=(torch.ones(2),))
    >>> [extern.distribution for extern in plan.externs]
    ['torch']
    """
    asked = Asked(obj=obj, entries=entries, inputs=inputs, policy=policy, limit=limit, allow=allow)
    asked.require_sound()
    processes = asked.processes()
    with reporting(progress) as tell:
        return _anew_if_stale(partial(_plan, asked, processes, tell), processes, tell)


def _plan(asked: Asked, processes: CleanProcesses, tell: Observer) -> Plan:
    rules = asked.policy or Policy()
    with work_folder() as folder, ArchiveWriter(folder / "plan.case") as archive:
        stages = Stages(tell)
        with stages("pickle"):
            draft = Drafting(asked.objects, asked.calls, archive, rules, processes, tell.again)
        with stages("trace"):
            trace = draft.trace(clean=True)
        with stages("plan"):
            return make_plan(trace, rules)


def _contents(asked: Asked, draft: Drafting, trace: Trace, plan: Plan, origin: Provenance | None) -> Contents:
    """Return what a case holds beside the files of its plan."""
    noted = {} if origin is None else {PROVENANCE: origin.to_text()}
    return Contents(
        entries=draft.entries,
        pickles=draft.pickles(),
        tensors=draft.tensors,
        resources={**draft.records(), **asked.contents},
        metadata={**(asked.metadata or {}), **noted},
        torch=trace.torch,
        bytecode_only=tuple(sorted({*draft.capture.bytecode, *plan.bytecode_only})),
        proof="passed" if asked.prove else "skipped",
        origins=draft.origins(),
    )
