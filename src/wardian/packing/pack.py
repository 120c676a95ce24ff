"""The use case on one screen: trace → plan → write → prove → publish."""

from __future__ import annotations

import itertools
import os
import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wardian.archive import ArchiveWriter
from wardian.collector import collector_paused
from wardian.domain.manifest import Entry, Extern, Manifest
from wardian.domain.names import ModuleName
from wardian.domain.plan import Plan
from wardian.domain.policy import Action, Policy
from wardian.domain.provenance import KEY as PROVENANCE
from wardian.errors import PlanError, ProofError, WardianWarning
from wardian.inspection.credentials import find_credentials
from wardian.packing.arguments import NOTHING, Asked, Resource
from wardian.packing.drafting.draft import Drafting
from wardian.packing.planning.decide import make_plan
from wardian.packing.planning.externs import find_homeless, with_hard, with_missing
from wardian.packing.provenance import find_provenance
from wardian.packing.proving.fence import find_installed
from wardian.packing.proving.prove import PROOF_FAILED, beginning
from wardian.packing.proving.prove import prove as prove_case
from wardian.packing.remarks import Made
from wardian.packing.report import Attempt, PackReport
from wardian.packing.tracing.in_child import BEGINNING
from wardian.packing.writing.assembly import Contents, amend, assemble
from wardian.pickling.paths import find_texts
from wardian.processes.clean import DEFAULT_LIMIT, CleanProcesses
from wardian.processes.fence import kind_of
from wardian.processes.folders import work_folder
from wardian.reporters import Observer, reporting

if TYPE_CHECKING:
    from collections.abc import Iterator


__all__ = ["PackReport", "Resource", "pack", "plan"]

_GUESSES = 3
"""Failed proofs after which no extern counts as soft: each costs as long as loading the object."""


@collector_paused()
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
    processes, extra, notes = asked.processes(), asked.contents, dict(metadata or {})
    with reporting(progress) as tell, ArchiveWriter(path) as archive:
        stages = _Stages(tell)
        if prove:
            processes.start_early(BEGINNING)
        with stages("pickle"):
            draft = Drafting(asked.objects, asked.calls, archive, policy or Policy(), processes, tell.again)
        if prove:
            processes.start_early(beginning(draft.met()))
        with stages("trace"):
            trace = draft.trace(clean=bool(prove))
        with stages("plan"):
            the_plan = make_plan(trace, policy or Policy())
        origin = find_provenance(_own_modules(the_plan), sys.orig_argv) if provenance else None
        if origin is not None:
            notes[PROVENANCE] = origin.to_text()
        capture = draft.capture
        contents = Contents(
            entries=draft.entries,
            pickles=draft.pickles(),
            tensors=draft.tensors,
            resources={**draft.records(), **extra},
            metadata=notes,
            torch=trace.torch,
            bytecode_only=tuple(sorted({*capture.bytecode, *the_plan.bytecode_only})),
            proof="passed" if prove else "skipped",
            origins=draft.origins(),
        )
        attempts: list[Attempt] = []
        manifest, digest, the_plan = _write_and_prove(
            archive,
            the_plan,
            contents,
            stages,
            policy or Policy(),
            attempts if prove else None,
            processes,
            whole=lambda: make_plan(trace, policy or Policy(), whole=True),
        )
        packed = [d.module for d in the_plan.decisions if d.action is Action.INTERN]
        # Tools that compile functions remember, and read, the files that these are of.
        sources = {file.path for file in the_plan.files if file.module is not None}
        read = [path for path in trace.evidence.files if path not in sources]
        made = Made(objects=asked.objects, plan=the_plan, bytecode_only=contents.bytecode_only)
        warned = [
            *capture.warnings(packed),
            *draft.doubts(packed),
            *made.warnings(),
            *map(_outside, draft.held_files(read)),
            *map(_refused, processes.refused),
            *([_NO_REPOSITORY] if origin is not None and not origin.repositories else []),
            *find_credentials(
                lambda: itertools.chain.from_iterable(find_texts(*found) for found in draft.held()),
                b"".join(draft.pickles().values()),
                [
                    *_own_files(the_plan),
                    *((f"resource {key}", data) for key, data in extra.items()),
                    *((f"metadata {key}", f"{key}: {value}".encode()) for key, value in notes.items()),
                ],
                draft.find_line,
            ),
        ]
        tell.done()
        for warning in warned:
            warnings.warn(warning, WardianWarning, stacklevel=3)  # above what pauses the collector
        # After the warnings: one that is made an error leaves the target as it was.
        archive.publish()
        return PackReport(
            path=archive.target,
            digest=digest,
            size=archive.target.stat().st_size,
            plan=replace(the_plan, externs=manifest.externs),
            manifest=manifest,
            warnings=tuple(warned),
            notes=tuple(made.notes()),
            left_out=(*capture.left_out, *the_plan.unread),
            seconds=stages.seconds,
            attempts=tuple(attempts),
        )


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
    with (
        reporting(progress) as tell,
        work_folder() as folder,
        ArchiveWriter(folder / "plan.case") as archive,
    ):
        stages = _Stages(tell)
        with stages("pickle"):
            draft = Drafting(asked.objects, asked.calls, archive, policy or Policy(), processes, tell.again)
        with stages("trace"):
            trace = draft.trace(clean=True)
        with stages("plan"):
            return make_plan(trace, policy or Policy())


def _own_files(the_plan: Plan) -> Iterator[tuple[str, bytes]]:
    """Yield the files that are the user's: a distribution holds nobody's secrets."""
    for file in the_plan.files:
        if file.distribution is None:
            try:
                content = Path(file.path).read_bytes() if file.content is None else file.content
            except OSError:  # assembling has told
                continue
            yield file.record, content


def _own_modules(the_plan: Plan) -> dict[str, str]:
    """Return the paths of the user's own files, the running script included → the top-level name."""
    own = {
        file.path: (file.module or file.record.partition("/")[0]).partition(".")[0]
        for file in the_plan.files
        if file.distribution is None and file.content is None
    }
    main = sys.modules.get("__main__")
    script = getattr(main, "__file__", None)
    spec = getattr(main, "__spec__", None)
    # A script is a user's own if it is started by its path, and not a command of an environment.
    if isinstance(script, str) and spec is None and not Path(script).is_relative_to(sys.prefix):
        own.setdefault(os.path.abspath(script), "__main__")
    return own


_NO_REPOSITORY = (
    "provenance=True: none of the files that were packed is in a git repository, or git is not installed;"
    " only the command was noted"
)


def _refused(what: str) -> str:
    return (
        f"while it was packed, code of the object wanted to {what}; it might not, and went on without. If it"
        f' is meant: allow=("{kind_of(what)}",)'
    )


def _outside(path: str) -> str:
    return (
        f"{path}, a path that the object holds, was read; it will not be there where the case is loaded. Keep"
        " its content in the object, or read it beside the code: Path(__file__).parent"
    )


def _are_called(entries: Iterable[Entry]) -> bool:
    """Tell whether a proof shows what each entry point does."""
    return all(entry.outputs for entry in entries if "+" not in entry.name)


def _is_denied(extern: Extern, policy: Policy) -> bool:
    rules = (policy.rule_for(ModuleName(module)) for module in extern.modules)
    return any(rule is not None and rule.action is Action.DENY for rule in rules)


def _write_and_prove(
    archive: ArchiveWriter,
    the_plan: Plan,
    contents: Contents,
    stages: _Stages,
    policy: Policy,
    attempts: list[Attempt] | None,
    processes: CleanProcesses,
    *,
    whole: Callable[[], Plan],
) -> tuple[Manifest, str, Plan]:
    """Finish the file and prove it: as free of the environment, and as fast, as the proof shows possible.

    A failed proof is followed by one that asks more of the environment or has less freedom: with what only
    externs import, without the soft externs that were used, without soft externs, without deferred packages,
    with whole distributions in place of what code can reach, at once if such a module was asked for.

    Args:
        archive: The file.
        the_plan: What goes into it.
        contents: What else does.
        stages: Told of each stage.
        policy: The rules: nothing is declared that is denied.
        attempts: Each proof is added; None for no proof.
        processes: How the clean process of a proof is started.
        whole: Makes the plan with whole distributions.
    """
    if the_plan.deferrable and _are_called(contents.entries) and attempts is not None:
        contents = replace(contents, deferred=the_plan.deferrable)
    with stages("write"):
        manifest, digest = assemble(archive, the_plan, contents)
    while attempts is not None:
        try:
            with stages("prove"):
                prove_case(archive.path, manifest, processes)
        except ProofError as error:
            relaxed = _relaxed(the_plan, manifest, error, policy, final=len(attempts) + 1 >= _GUESSES)
            changed = None if relaxed is None else _difference(manifest, relaxed)
            if (relaxed is None or error.left_out) and (fuller := whole()).files != the_plan.files:
                the_plan = fuller
                archive.reopen()
                with stages("write"):
                    full, _ = assemble(archive, the_plan, contents)
                relaxed = replace(full, externs=manifest.externs, deferred=manifest.deferred)
                changed = "distributions packed whole"
            if relaxed is None or changed is None:
                raise
            failure = str(error).partition("\n")[0].removeprefix(PROOF_FAILED)
            attempts.append(Attempt(stages.seconds["prove"], failure, changed))
            stages.tell.again(f"{failure}; now with {changed}")
            manifest = relaxed
        else:
            attempts.append(Attempt(stages.seconds["prove"], None, None))
            break
        with stages("write"):
            digest = amend(archive, manifest)
    problems = find_homeless(the_plan, manifest.externs)
    if problems:
        raise PlanError(f"{the_plan.entry} cannot be packed", problems=problems)
    return manifest, digest, the_plan


def _relaxed(
    the_plan: Plan, manifest: Manifest, error: ProofError, policy: Policy, *, final: bool
) -> Manifest | None:
    """Return what is proven next, None if nothing is left to try."""
    before = manifest.externs
    externs = with_missing(the_plan, before, error.missing)
    if externs == before:
        found = find_installed(error.missing, manifest)
        externs = (*externs, *(extern for extern in found if not _is_denied(extern, policy)))
    if externs == before:
        externs = with_hard(externs, None if final else error.used or None)
    if externs == before:
        externs = with_hard(externs, None)
    if externs != before:
        return replace(manifest, externs=externs)
    return replace(manifest, deferred=()) if manifest.deferred else None


def _difference(before: Manifest, after: Manifest) -> str:
    """Tell what is asked of the environment in the second of two manifests and not in the first."""
    hard = {extern.distribution or extern.modules[0] for extern in after.externs if not extern.soft}
    hard -= {extern.distribution or extern.modules[0] for extern in before.externs if not extern.soft}
    return f"{', '.join(sorted(hard))} needed" if hard else "no package deferred"


class _Stages:
    """Tell an observer which stage begins, and keep the time of each."""

    def __init__(self, tell: Observer) -> None:
        self.seconds: dict[str, float] = {}
        self.tell = tell

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        self.tell.stage(stage)
        start = time.perf_counter()
        try:
            yield
        finally:
            taken = time.perf_counter() - start
            # Proofs are told one by one, as attempts.
            self.seconds[stage] = taken + (0.0 if stage == "prove" else self.seconds.get(stage, 0.0))
