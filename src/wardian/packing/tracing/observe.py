"""Run the object in a clean process and report what it needed."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardian.archive import FolderReader
from wardian.capture.synthesis import CapturedModule
from wardian.domain.live_names import mount_of
from wardian.domain.names import ModuleName, RecordName, top_level
from wardian.domain.trace import Evidence
from wardian.errors import PackError, Problem
from wardian.packing.tracing.finders import loaded_elsewhere
from wardian.packing.tracing.in_child import BEGINNING, find_global
from wardian.pickling.unpickler import unpickle
from wardian.processes.clean import ChildError, CleanProcesses, Start
from wardian.processes.folders import work_folder

if TYPE_CHECKING:
    from wardian.loading.importing.mount import Mount

__all__ = ["Draft", "Observation", "observe"]


@dataclass(frozen=True, slots=True)
class Draft:
    """A pickled object and its inputs, before the case exists."""

    name: str
    """The name of the case in messages."""
    one: bool
    """Whether it is one object; else it is a dictionary of entry points, and the inputs are those of some."""
    pickle: bytes
    globals: tuple[tuple[str, str], ...]
    """The globals that the pickle names, in its order."""
    calls: tuple[str, ...]
    """The entry points that are called."""
    inputs: bytes | None
    archive: Path
    """File that holds the storages."""
    offsets: dict[str, tuple[int, int]]
    sources: Mapping[ModuleName, CapturedModule] = field(default_factory=dict)
    """Modules that no import finds."""
    find_live: Callable[[str, str], Any] | None = None
    """Returns the live object of a name in one of them."""
    cases: tuple[Mount, ...] = ()
    """Mounts of the open cases that parts of the object were loaded from."""
    find_global: Callable[[str, str], Any] = field(default_factory=lambda: find_global)
    """Finds the classes of the outputs in this process."""
    resources: Mapping[RecordName, bytes] = field(default_factory=dict)
    """Files that objects with `__reduce_package__` wrote."""
    find_place: Callable[[str, str], tuple[str | None, str]] = field(
        default=lambda module, qualname: (None, f"{module}.{qualname}")
    )
    """Returns where in the object the first of a class is, if that is found, and what to call the class."""
    call_here: Callable[[str], str | None] = field(default=lambda name: None)
    """Tells what the call of an entry point raises in this process, "" if nothing; None if that cannot be
    told."""
    find_loss: Callable[[str], str | None] = field(default=lambda name: None)
    """Tells what pickling an entry point loses, so that its call raises; None if it is not that."""
    silenced: tuple[str, ...] = ()
    """Logging libraries that do nothing in the run: they may want a run that this process has begun."""
    classes: Mapping[str, str] = field(default_factory=dict)
    """The entry points that are classes, with their names."""
    beforehand: tuple[str, ...] = ()
    """Modules that the pickle imports before anything else."""
    submodules: tuple[str, ...] = ()
    """Modules of which is asked whether anything has imported them by the end."""


@dataclass(frozen=True, slots=True)
class Observation:
    """The evidence of a run, and what the calls gave, by the entry points whose outputs can be kept."""

    evidence: Evidence
    outputs: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The changes that each call has made, by their places."""
    unimported: tuple[str, ...] = ()
    """The submodules of the draft that nothing had imported by the end."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """The reasons why outputs cannot be kept, by entry point: sentences without a full stop."""


def observe(
    draft: Draft,
    processes: CleanProcesses,
    meanwhile: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Observation:
    """Load the draft in a clean process, call it with the inputs, and report.

    Args:
        draft: What is loaded.
        processes: How the clean process is started.
        meanwhile: A context that lasts as long as the clean process.

    Raises:
        TimeLimitError: if it takes longer than it may.
        PackError: if the object cannot be loaded or called there.
    """
    with work_folder() as work:
        request = _write_request(draft, work)
        try:
            with meanwhile():
                answer = processes.run(
                    "wardian.packing.tracing.in_child.observe_in_child",
                    request,
                    BEGINNING,
                    _beforehand(draft, request, processes.allow),
                )
        except ChildError as error:
            raise _did_not_run(draft, error) from None
        results, reasons = _read_answer(draft, work, answer)
        return Observation(
            Evidence.from_plain(answer["evidence"]),
            {name: outputs for name, (outputs, _) in results.items()},
            {name: changes for name, (_, changes) in results.items()},
            tuple(answer["unimported"]),
            reasons,
        )


def _write_request(draft: Draft, work: Path) -> dict[str, Any]:
    """Write the draft into a folder for `observe_in_child`, and return what that is told."""
    (work / "object.pkl").write_bytes(draft.pickle)
    if draft.inputs is not None:
        (work / "inputs.pkl").write_bytes(draft.inputs)
    for record, resource in draft.resources.items():
        place = work / "resources" / record
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(resource)
    return {
        "folder": str(work),
        "one": draft.name if draft.one else None,
        "calls": draft.calls,
        "archive": str(draft.archive),
        "offsets": draft.offsets,
        "cases": [_describe_mount(mount, work) for mount in draft.cases],
        "sources": {name: [m.source, m.is_package, m.file] for name, m in draft.sources.items()},
        "places": loaded_elsewhere(),
        "silenced": draft.silenced,
        "beforehand": draft.beforehand,
        "submodules": draft.submodules,
        "globals": draft.globals,
    }


def _read_answer(
    draft: Draft, work: Path, answer: Mapping[str, Any]
) -> tuple[Mapping[str, tuple[Any, Mapping[str, Any]]], Mapping[str, str]]:
    """Return what each call gave and changed, and the reasons why that of others cannot be kept."""
    reasons = answer["reasons"]
    if not answer["outputs"]:
        return {}, reasons
    try:
        return _read_results(draft, work, answer["offsets"]), reasons
    except (AttributeError, ImportError) as error:
        why = f"they hold something that only the clean process has: {error}"
        return {}, dict.fromkeys(draft.calls, why) | reasons


def _read_results(
    draft: Draft, work: Path, offsets: Mapping[str, tuple[int, int]]
) -> Mapping[str, tuple[Any, Mapping[str, Any]]]:
    """Return what each call gave and changed.

    Raises:
        AttributeError, ImportError: if there is a class in it that this process has not.
    """
    from wardian.tensors.host import copied
    from wardian.tensors.storages import StorageReader, restoring

    places = {key: (offset, size) for key, (offset, size) in offsets.items()}
    content = (work / "outputs.case").read_bytes()
    storages = StorageReader(lambda: copied(content), places.__getitem__)

    def find_global(module: str, qualname: str) -> Any:
        if ModuleName(module) in draft.sources and draft.find_live is not None:
            return draft.find_live(module, qualname)
        return draft.find_global(module, qualname)

    data = (work / "outputs.pkl").read_bytes()
    with restoring():
        results: dict[str, tuple[Any, Mapping[str, Any]]] = unpickle(
            data, find_global=find_global, persistent_load=storages.persistent_load
        )
    return results


def _did_not_run(draft: Draft, error: ChildError) -> PackError:
    """Return the error about a run that failed, for the user."""
    unimported = error.facts.get("unimported")
    if error.facts.get("unmade") and unimported is None:
        return _not_made(draft, error)
    output = _with_places(error.output, draft.sources)
    if (called := error.facts.get("called")) is not None:
        message = _call_failed(draft, called, error.summary, unimported)
    else:
        advice = _advice(error.summary, unimported)
        message = f"{draft.name} does not load and run in a clean process: {error.summary}{advice}"
    return PackError(f"{message}\n\n{output}", output=output, unimported=unimported)


def _beforehand(draft: Draft, request: Mapping[str, Any], allow: tuple[str, ...]) -> Start | None:
    """Return what imports the modules of the draft for this and for every later one with an equal pickle.

    None if that is not worth while, or parts of the object come from open cases, which may be closed by then.
    """
    if draft.cases or all(top_level(module) in _THERE for module, _ in draft.globals):
        return None
    told = [request[name] for name in ("sources", "places", "silenced")]
    digest = hashlib.sha256(draft.pickle)
    digest.update(json.dumps([*told, allow], sort_keys=True).encode())
    return Start("wardian.packing.tracing.in_child.import_beforehand", {"digest": digest.hexdigest()})


_THERE = sys.stdlib_module_names | {"torch"}
"""Top-level names of what is imported in every clean process, or soon is."""


def _advice(summary: str, unimported: str | None) -> str:
    if unimported is not None:
        return f"\n  fix: {_IMPORT_IT.format(unimported)}"
    if summary.startswith("SystemExit"):
        return (
            "\n  fix: code that is imported ends the process, as it would where the case is loaded; let it"
            ' read the command line in a function, or under: if __name__ == "__main__":'
        )
    return ""


_IMPORT_IT = "let the code that uses {0} import it itself: import {0}"


def _call_failed(draft: Draft, name: str, summary: str, unimported: str | None) -> str:
    """Return the message about a call that raised: the user's error, whose fault it is, and where."""
    here = draft.call_here(name)
    call, takes = f"{name}(...)", f"pass inputs that {name} takes"
    if name in draft.classes:
        kind = draft.classes[name]
        takes = f"{name} is the class {kind}, not an instance of it: pass {kind}(...)"
    lost = (
        "it uses something of this process that it does not hold: keep that in it, or in a module it imports"
    )
    if not here:
        lost = draft.find_loss(name) or lost
    if unimported is not None and not here:
        advice = _IMPORT_IT.format(unimported)
    elif here is None:
        advice = f"does {call} with these inputs work here? If not, {takes}. If it does, {lost}"
    elif not here:
        advice = f"{call} works here and not in a clean process, so {lost}"
    elif here == summary:
        advice = f"{call} does not work here, either: {takes}"
    else:
        advice = f"{call} does not work here, either, which raises {here:.200}: {takes}"
    where = f"raised by {call} with the given inputs, in a clean process"
    return f"{summary}\n  {where}\n  fix: {advice}"


def _with_places(output: str, sources: Mapping[ModuleName, CapturedModule]) -> str:
    """Return a traceback with the lines of synthesised modules called what the user calls them."""

    def place(found: re.Match[str]) -> str:
        module = sources.get(ModuleName(found[1]))
        line = int(found[2])
        if module is None or not 0 < line <= len(module.origins) or not module.origins[line - 1][0]:
            return found[0]
        return 'File "{}", line {}'.format(*module.origins[line - 1])

    return re.sub(r'File "([\w.]+)\.py", line (\d+)', place, output)


def _describe_mount(mount: Mount, work: Path) -> dict[str, Any]:
    """Return what the child needs to open a case under the name that it has here."""
    archive = mount.archive
    place = str(archive.path) if isinstance(archive, FolderReader) else archive.find_place()
    if place is None:  # it is in memory
        assert not isinstance(archive, FolderReader)
        place = str(work / f"{mount.name}.case")
        Path(place).write_bytes(archive.whole())
    return {
        "name": mount_of(mount.name),
        "path": place,
        "fingerprint": mount.archive.fingerprint,
        "share": bool(mount.shared),
    }


_WRAPPERS = frozenset({"DistributedDataParallel", "FullyShardedDataParallel"})
"""Classes of PyTorch that belong to a group of processes, and hold the model as `module`."""


def _not_made(draft: Draft, error: ChildError) -> PackError:
    """Return the error about an object that cannot be made again, with its place."""
    module, qualname = error.facts["unmade"]
    path, name = draft.find_place(module, qualname)
    fix = f"let pickle.loads(pickle.dumps({path or '...'})) work, or leave it out in a __getstate__"
    if qualname in _WRAPPERS:
        fix = f"pack what it wraps: {path or '...'}.module"
    problem = Problem(
        f"{path or f'something in {draft.name}'} is a {name}, which cannot be made again: {error.summary}",
        fix,
        name.removesuffix(f".{qualname}"),
    )
    refused = PackError(
        f"{draft.name} does not load and run in a clean process",
        problems=[problem],
        output=error.output,
    )
    refused.add_note(error.output)
    return refused
