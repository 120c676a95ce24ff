"""The use case on one screen: trace → plan → write → prove → publish."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardian.archive import ArchiveWriter
from wardian.assembly import Contents, assemble
from wardian.errors import ProofError
from wardian.facts import Trace
from wardian.manifest import Entry, Manifest
from wardian.names import GlobalRef, RecordName, original_name, record_name
from wardian.pickling.paths import find_type_paths
from wardian.pickling.pickler import PickledObject, pickle_object
from wardian.planning import Plan, make_plan
from wardian.policy import Policy
from wardian.prove import prove as prove_case
from wardian.trace.observe import Draft, Observation, observe
from wardian.trace.tracer import make_trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wardian.tensors.storages import StorageWriter

__all__ = ["PackReport", "pack", "plan"]

Resource = bytes | str | os.PathLike[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackReport:
    """What `wardian.pack` did."""

    path: Path
    digest: str
    """Identifies the case."""
    size: int
    """Of the file, in bytes."""
    plan: Plan
    manifest: Manifest
    seconds: Mapping[str, float] = field(compare=False)
    """Wall time of each stage."""

    def __str__(self) -> str:
        inside = ", ".join(f"{d.name} {d.version or ''}".strip() for d in self.manifest.distributions)
        outside = ", ".join(
            f"{e.distribution or e.modules[0]} {e.version or ''}".strip() for e in self.manifest.externs
        )
        return (
            f"{self.path}: {self.size / 1e6:.1f} MB, {len(self.manifest.records)} records,"
            f" digest {self.digest[:16]}\n"
            f"  inside: {inside or 'no code'}\n"
            f"  outside: {outside}\n"
            f"  proof: {self.manifest.proof}; "
            + ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in self.seconds.items())
        )


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
    progress: Callable[[str], None] | bool | None = None,
) -> PackReport:
    """Pack a live object with its code, weights and data files into one file.

    Args:
        obj: Any object that can be pickled, usually a `torch.nn.Module`. Not modified, and not called.
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
        progress: True prints the stages to stderr; a function is called with the name of each stage.

    Returns:
        What was packed, with the plan and the time of each stage.

    Raises:
        TypeError, ValueError: if an argument has the wrong type or form.
        PackError: if the object cannot be packed: `UnpicklableError`, `PlanError` or `ProofError`.
        OSError: if the file cannot be written.

    >>> report = wardian.pack(model, "model.case", inputs=(x,))
    """
    _check_arguments(obj, inputs, name)
    from wardian.tensors.named import tensor_index

    extra = _read_resources(resources)
    notes = _check_metadata(metadata)
    stages = _Stages(progress)
    with ArchiveWriter(path) as archive:
        with stages("pickle"):
            pickled, storages, entry = _pickle(obj, name, inputs, archive)
        with stages("trace"):
            observation, test, trace = _trace(obj, entry, pickled, inputs, storages, archive, clean=prove)
        with stages("plan"):
            the_plan = make_plan(trace, policy or Policy())
        pickles = {RecordName(entry.record): pickled.data}
        if test is not None and entry.test is not None:
            pickles[RecordName(entry.test)] = test.data
        contents = Contents(
            entries=(replace(entry, outputs=observation is not None and observation.has_outputs),),
            pickles=pickles,
            tensors=tensor_index(obj, name, storages.key_of),
            resources=extra,
            metadata=notes,
            torch=trace.torch,
            proof="passed" if prove else "skipped",
        )
        manifest, digest = _write_and_prove(archive, the_plan, contents, stages, prove=prove)
        archive.publish()
        return PackReport(
            path=archive.target,
            digest=digest,
            size=archive.target.stat().st_size,
            plan=the_plan,
            manifest=manifest,
            seconds=stages.seconds,
        )


def plan(
    obj: Any, *, inputs: tuple[Any, ...] | dict[str, Any] | None = None, policy: Policy | None = None
) -> Plan:
    """Tell what `pack` would do, without writing a case.

    Args:
        obj: The object to pack.
        inputs: As for `pack`.
        policy: As for `pack`.

    Returns:
        The plan; `print` it, or ask `plan.why("module")`.

    Raises:
        PackError: as for `pack`.
    """
    _check_arguments(obj, inputs, "model")
    with (
        tempfile.TemporaryDirectory(prefix="wardian-") as folder,
        ArchiveWriter(Path(folder, "plan.case")) as archive,
    ):
        pickled, storages, entry = _pickle(obj, "model", inputs, archive)
        _, _, trace = _trace(obj, entry, pickled, inputs, storages, archive, clean=True)
        return make_plan(trace, policy or Policy())


def _pickle(
    obj: Any, name: str, inputs: Any, archive: ArchiveWriter
) -> tuple[PickledObject, StorageWriter, Entry]:
    from wardian.tensors.storages import StorageWriter

    storages = StorageWriter(archive)
    pickled = pickle_object(obj, name=name, persistent_id=storages.persistent_id, rename=original_name)
    entry = Entry(
        name=name,
        record=f"{name}/{name}.pkl",
        type=str(GlobalRef(original_name(type(obj).__module__), type(obj).__qualname__)),
        test=None if inputs is None else f".wardian/tests/{name}.pkl",
        outputs=False,
    )
    return pickled, storages, entry


def _trace(
    obj: Any,
    entry: Entry,
    pickled: PickledObject,
    inputs: Any,
    storages: StorageWriter,
    archive: ArchiveWriter,
    *,
    clean: bool,
) -> tuple[Observation | None, PickledObject | None, Trace]:
    """Run the object in a clean process, make the self-test of what it returned, and trace it all."""
    persistent_id = storages.persistent_id
    observation = None
    if clean:
        arguments = None
        if inputs is not None:
            arguments = pickle_object(
                inputs, name="inputs", persistent_id=persistent_id, rename=original_name
            ).data
        archive.flush()
        observation = observe(Draft(entry.name, pickled.data, arguments, archive.path, storages.offsets))
    test = None
    if inputs is not None:
        outputs = observation.outputs if observation is not None else None
        test = pickle_object(
            {"inputs": inputs, "outputs": outputs, "seed": 0},
            name="inputs",
            persistent_id=persistent_id,
            rename=original_name,
        )
    named = pickled.globals + (test.globals if test is not None else ())
    refs = {GlobalRef(original_name(module), qualname) for module, qualname in named}
    paths = find_type_paths(obj, entry.name, {(ref.module, ref.qualname) for ref in refs})
    trace = make_trace(
        entry=entry.name,
        type=GlobalRef(original_name(type(obj).__module__), type(obj).__qualname__),
        globals=refs,
        paths={GlobalRef(original_name(m), q): path for (m, q), path in paths.items()},
        evidence=None if observation is None else observation.evidence,
    )
    return observation, test, trace


def _write_and_prove(
    archive: ArchiveWriter, the_plan: Plan, contents: Contents, stages: _Stages, *, prove: bool
) -> tuple[Manifest, str]:
    """Finish the file and prove it, with deferred packages if outputs can vouch for them, else without."""
    packages = tuple(
        sorted(
            f.record.removesuffix("/__init__.py").replace("/", ".")
            for f in the_plan.files
            if f.record.endswith("/__init__.py")
        )
    )
    attempts = (
        [replace(contents, deferred=packages), contents]
        if contents.entries[0].outputs and prove
        else [contents]
    )
    for attempt in attempts:
        with stages("write"):
            manifest, digest = assemble(archive, the_plan, attempt)
        if not prove:
            break
        try:
            with stages("prove"):
                prove_case(archive.path, manifest)
            break
        except ProofError:
            if attempt is attempts[-1]:
                raise
            archive.rewind()
    return manifest, digest


def _check_arguments(obj: Any, inputs: Any, name: str) -> None:
    if inputs is not None and not isinstance(inputs, tuple | dict):
        raise TypeError(
            "inputs must be a tuple of positional or a dict of keyword arguments, "
            f"not {type(inputs).__name__}; for a single argument write inputs=(x,)"
        )
    if inputs is not None and not callable(obj):
        raise TypeError(f"inputs were given, but a {type(obj).__name__} cannot be called")
    if isinstance(inputs, dict) and not all(isinstance(key, str) for key in inputs):
        raise TypeError("inputs has keys that are not str; a dict holds keyword arguments")
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {type(name).__name__}")
    if not name.isidentifier():
        raise ValueError(f"name must be an identifier, not {name!r}")


def _read_resources(resources: Mapping[str, Resource] | None) -> dict[RecordName, bytes]:
    read: dict[RecordName, bytes] = {}
    for key, value in (resources or {}).items():
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
    notes = dict(metadata or {})
    for key, value in notes.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"metadata must map str to str, not {key!r} to {type(value).__name__}")
    return notes


class _Stages:
    """Tell an observer which stage begins, and keep the time of each."""

    def __init__(self, progress: Callable[[str], None] | bool | None) -> None:
        self.seconds: dict[str, float] = {}
        self._tell: Callable[[str], None] = (
            progress if callable(progress) else (_print_stage if progress else _silent)
        )

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        self._tell(stage)
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start


def _print_stage(stage: str) -> None:
    sys.stderr.write(f"wardian: {stage}\n")


def _silent(stage: str) -> None:
    pass
