"""The use case on one screen: trace → plan → write → prove → publish."""

from __future__ import annotations

import itertools
import os
import time
import warnings
from collections.abc import Callable, Collection, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from wardian.archive import ArchiveWriter
from wardian.assembly import Contents, amend, assemble
from wardian.collector import collector_paused
from wardian.credentials import find_credentials
from wardian.decisions import Plan
from wardian.drafting import Drafting
from wardian.errors import PlanError, ProofError, WardianWarning
from wardian.manifest import Extern, Manifest
from wardian.names import ModuleName, RecordName, record_name
from wardian.pickling.paths import find_texts
from wardian.planning import find_homeless, make_plan, with_hard, with_missing
from wardian.policy import Action, Base, Policy
from wardian.processes.clean import DEFAULT_LIMIT, CleanProcesses
from wardian.processes.fence import ALLOWABLE, kind_of
from wardian.processes.folders import work_folder
from wardian.prove import PROOF_FAILED, find_installed
from wardian.prove import prove as prove_case
from wardian.reporters import Reporter, reporting
from wardian.reports import Attempt, PackReport

if TYPE_CHECKING:
    from collections.abc import Iterator


__all__ = ["PackReport", "Resource", "pack", "plan"]

Resource = bytes | str | os.PathLike[str]


_GUESSES = 3
"""Failed proofs after which no extern counts as soft: each costs as long as loading the object."""


@collector_paused()
def pack(
    obj: Any,
    path: str | os.PathLike[str],
    *,
    inputs: tuple[Any, ...] | dict[str, Any] | None = None,
    policy: Policy | None = None,
    prove: bool = True,
    name: str = "model",
    resources: Mapping[str, Resource] | None = None,
    metadata: Mapping[str, str] | None = None,
    limit: float | None = DEFAULT_LIMIT,
    allow: Collection[str] = (),
    progress: Callable[[str], None] | bool | None = None,
) -> PackReport:
    """Pack a live object with its code, weights and data files into one file.

    Args:
        obj: Any object that can be pickled, usually a `torch.nn.Module`. Not modified, and not
            called in this process.
        path: Where the case goes. An existing file is replaced only when the new one is finished and proven.
        inputs: Arguments of a call, a tuple of positional or a dictionary of keyword arguments. The object
            is called with them in a clean process, to see what it needs; they stay in the case, with the
            result, as its self-test.
        policy: Rules that win over the default; see `Policy`.
        prove: Open the finished case in a clean process and compare outputs before it is published. With
            False no other process is started, and what is loaded in this one is taken for what is needed.
        name: Name of the entry point, an identifier.
        resources: Extra files: record name (a POSIX path) → content (bytes, or text as str) or the path of
            a file (`os.PathLike`).
        metadata: Notes to keep in the manifest.
        limit: Seconds that each clean process may take, half an hour without it; None for no limit.
        allow: What code of the object may do in clean processes: "processes" to start programs, "network" to
            reach other machines. PyTorch's own compilers may always be started.
        progress: True shows the stages, on a terminal with `rich` as bars, elsewhere as lines on stderr; a
            function is called with the name of each stage.

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
    _check_arguments(obj, inputs, policy, name)
    _check_target(path, prove, progress)
    processes = _clean_processes(limit, allow)
    extra = _read_resources(resources)
    notes = _check_metadata(metadata)
    with reporting(progress) as tell, ArchiveWriter(path) as archive:
        stages = _Stages(tell)
        with stages("pickle"):
            draft = Drafting(obj, name, inputs, archive, policy or Policy(), processes)
        with stages("trace"):
            trace = draft.trace(clean=prove)
        with stages("plan"):
            the_plan = make_plan(trace, policy or Policy())
        capture = draft.capture
        contents = Contents(
            entries=(draft.entry,),
            pickles=draft.pickles(),
            tensors=draft.tensors,
            resources={**draft.records(), **extra},
            metadata=notes,
            torch=trace.torch,
            bytecode_only=tuple(sorted({*capture.bytecode, *the_plan.bytecode_only})),
            proof="passed" if prove else "skipped",
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
        warned = [
            *capture.warnings(packed),
            *draft.doubts(packed),
            *map(_outside, draft.held_files(read)),
            *map(_refused, processes.refused),
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
        for warning in warned:
            warnings.warn(warning, WardianWarning, stacklevel=2)
        # After the warnings: one that is made an error leaves the target as it was.
        archive.publish()
        return PackReport(
            path=archive.target,
            digest=digest,
            size=archive.target.stat().st_size,
            plan=replace(the_plan, externs=manifest.externs),
            manifest=manifest,
            warnings=(*warned, *map(_sealed, contents.bytecode_only), *the_plan.denied, *draft.compiled()),
            left_out=tuple(capture.left_out),
            seconds=stages.seconds,
            attempts=tuple(attempts),
        )


def plan(
    obj: Any,
    *,
    inputs: tuple[Any, ...] | dict[str, Any] | None = None,
    policy: Policy | None = None,
    limit: float | None = DEFAULT_LIMIT,
    allow: Collection[str] = (),
) -> Plan:
    """Tell what `pack` would do, without writing a case.

    Args:
        obj: The object to pack.
        inputs: As for `pack`.
        policy: As for `pack`.
        limit: As for `pack`.
        allow: As for `pack`.

    Returns:
        The plan; `print` it, or ask `plan.why("module")`.

    Raises:
        PackError: as for `pack`.
    """
    _check_arguments(obj, inputs, policy, "model")
    processes = _clean_processes(limit, allow)
    with work_folder() as folder, ArchiveWriter(folder / "plan.case") as archive:
        draft = Drafting(obj, "model", inputs, archive, policy or Policy(), processes)
        return make_plan(draft.trace(clean=True), policy or Policy())


def _own_files(the_plan: Plan) -> Iterator[tuple[str, bytes]]:
    """Yield the files that are the user's: a distribution holds nobody's secrets."""
    for file in the_plan.files:
        if file.distribution is None:
            try:
                content = Path(file.path).read_bytes() if file.content is None else file.content
            except OSError:  # assembling has told
                continue
            yield file.record, content


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


def _sealed(name: str) -> str:
    return f"{name} has no source; it is packed as bytecode, and the case loads in this Python only"


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
    if the_plan.deferrable and contents.entries[0].outputs and attempts is not None:
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


def _check_arguments(obj: Any, inputs: Any, policy: Any, name: Any) -> None:
    if inputs is not None and not isinstance(inputs, tuple | dict):
        raise TypeError(
            "inputs must be a tuple of positional or a dict of keyword arguments, "
            f"not {type(inputs).__name__}; for a single argument write inputs=(x,)"
        )
    if inputs is not None and not callable(obj):
        raise TypeError(f"inputs were given, but a {type(obj).__name__} cannot be called")
    if isinstance(inputs, dict) and not all(isinstance(key, str) for key in inputs):
        raise TypeError("inputs has keys that are not str; a dict holds keyword arguments")
    if policy is not None and not isinstance(policy, Policy):
        example = f"Policy(base={policy!r})" if policy in get_args(Base) else 'Policy(extern=["numpy.**"])'
        example = example.replace("'", '"')
        raise TypeError(f"policy must be a wardian.Policy, such as {example}, not {policy!r:.60}")
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {type(name).__name__}")
    if not name.isidentifier():
        raise ValueError(f"name must be an identifier, not {name!r}")


def _check_target(path: Any, prove: Any, progress: Any) -> None:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a str or an os.PathLike, not {type(path).__name__}")
    if not isinstance(prove, bool):
        raise TypeError(f"prove must be True or False, not {prove!r:.60}")
    if progress is not None and not isinstance(progress, bool) and not callable(progress):
        raise TypeError(f"progress must be True, False or a function, not {progress!r:.60}")


def _clean_processes(limit: Any, allow: Any) -> CleanProcesses:
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float)):
        raise TypeError(f"limit must be a number of seconds or None, not {limit!r:.60}")
    if limit is not None and not limit > 0:
        raise ValueError(f"limit must be more than 0 seconds, not {limit!r}")
    if isinstance(allow, str) or not isinstance(allow, Collection):
        raise TypeError(f'allow must be a collection such as ("processes",), not {allow!r:.60}')
    for what in allow:
        if what not in ALLOWABLE:
            raise ValueError(f"allow has {what!r:.60}; it may have {' and '.join(map(repr, ALLOWABLE))}")
    return CleanProcesses(limit=limit, allow=tuple(allow))


def _read_resources(resources: Mapping[str, Resource] | None) -> dict[RecordName, bytes]:
    if resources is not None and not isinstance(resources, Mapping):
        raise TypeError(f"resources must map record names to contents, not be a {type(resources).__name__}")
    read: dict[RecordName, bytes] = {}
    for key, value in (resources or {}).items():
        if not isinstance(key, str):
            raise TypeError(f"resources must map record names, which are str; {key!r:.60} is none")
        name = record_name(key)
        if name.startswith("."):
            raise ValueError(f"resource {key!r}: names that begin with a dot are reserved")
        if isinstance(value, bytes):
            read[name] = value
        elif isinstance(value, str):
            read[name] = value.encode()
        elif isinstance(value, os.PathLike):
            read[name] = Path(value).read_bytes()
        else:
            raise TypeError(f"resource {key!r} must be bytes, text or a path, not {type(value).__name__}")
    return read


def _check_metadata(metadata: Mapping[str, str] | None) -> dict[str, str]:
    if metadata is not None and not isinstance(metadata, Mapping):
        raise TypeError(f"metadata must map str to str, not be a {type(metadata).__name__}")
    notes = dict(metadata or {})
    for key, value in notes.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"metadata must map str to str, not {key!r} to {type(value).__name__}")
    return notes


class _Stages:
    """Tell an observer which stage begins, and keep the time of each."""

    def __init__(self, tell: Reporter) -> None:
        self.seconds: dict[str, float] = {}
        self._tell = tell

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        self._tell(stage)
        start = time.perf_counter()
        try:
            yield
        finally:
            taken = time.perf_counter() - start
            # Proofs are told one by one, as attempts.
            self.seconds[stage] = taken + (0.0 if stage == "prove" else self.seconds.get(stage, 0.0))
