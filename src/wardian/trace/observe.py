"""Run the object in a clean process and report what it needed."""

from __future__ import annotations

import builtins
import importlib
import os
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from wardian.archive import ArchiveReader, ArchiveWriter, FolderReader
from wardian.capture.synthesis import CapturedModule
from wardian.environment import mapped_libraries
from wardian.errors import CaseError, PackError, Problem
from wardian.facts import Evidence
from wardian.names import LIVE_PREFIX, ModuleName, RecordName, original_name
from wardian.pickling.pickler import pickle_object
from wardian.pickling.unpickler import calling_importer, find_unmade, unpickle
from wardian.processes.clean import ChildError, CleanProcesses
from wardian.processes.folders import work_folder
from wardian.trace.recorder import Recorder, forget_packable
from wardian.trace.sources import LoadedFinder, SilencingFinder, SourceFinder, loaded_elsewhere

if TYPE_CHECKING:
    from wardian.live.root import Root
    from wardian.tensors.storages import StorageReader

__all__ = ["Draft", "Observation", "observe", "observe_in_child"]


@dataclass(frozen=True, slots=True)
class Draft:
    """A pickled object and its inputs, before the case exists."""

    name: str
    pickle: bytes
    inputs: bytes | None
    archive: Path
    """File that holds the storages."""
    offsets: dict[str, tuple[int, int]]
    sources: Mapping[ModuleName, CapturedModule] = field(default_factory=dict)
    """Modules that no import finds."""
    find_live: Callable[[str, str], Any] | None = None
    """Returns the live object of a name in one of them."""
    cases: tuple[Root, ...] = ()
    """Roots of the open cases that parts of the object were loaded from."""
    find_global: Callable[[str, str], Any] = field(default_factory=lambda: _find_global)
    """Finds the classes of the outputs in this process."""
    resources: Mapping[RecordName, bytes] = field(default_factory=dict)
    """Files that objects with `__reduce_package__` wrote."""
    find_place: Callable[[str, str], tuple[str | None, str]] = field(
        default=lambda module, qualname: (None, f"{module}.{qualname}")
    )
    """Returns where in the object the first of a class is, if that is found, and what to call the class."""
    silenced: tuple[str, ...] = ()
    """Logging libraries that do nothing in the run: they may want a run that this process has begun."""


@dataclass(frozen=True, slots=True)
class Observation:
    """The evidence of a run, and the outputs if there are any that can be kept."""

    evidence: Evidence
    outputs: Any
    has_outputs: bool
    changes: Mapping[str, Any] = field(default_factory=dict)
    """What the call has changed, by its place."""


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
    from wardian.tensors.host import copied
    from wardian.tensors.storages import StorageReader, restoring

    with work_folder() as work:
        (work / "object.pkl").write_bytes(draft.pickle)
        if draft.inputs is not None:
            (work / "inputs.pkl").write_bytes(draft.inputs)
        for record, resource in draft.resources.items():
            place = work / "resources" / record
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(resource)
        request = {
            "folder": str(work),
            "archive": str(draft.archive),
            "offsets": draft.offsets,
            "cases": [_tell_of(root, work) for root in draft.cases],
            "sources": {name: [m.source, m.is_package, m.file] for name, m in draft.sources.items()},
            "places": loaded_elsewhere(),
            "silenced": draft.silenced,
        }
        try:
            with meanwhile():
                answer = processes.run("wardian.trace.observe.observe_in_child", request)
        except ChildError as error:
            if error.facts.get("unmade"):
                raise _not_made(draft, error) from None
            output = _with_places(error.output, draft.sources)
            raise PackError(
                f"{draft.name} does not load and run in a clean process: {error.summary}"
                f"{_advice(draft, error)}\n\n{output}",
                output=output,
            ) from None
        evidence = Evidence.from_plain(answer["evidence"])
        if not answer["outputs"]:
            return Observation(evidence, None, False)
        offsets = {key: (offset, size) for key, (offset, size) in answer["offsets"].items()}
        with open(work / "outputs.case", "rb") as file:
            content = file.read()
        storages = StorageReader(lambda: copied(content), offsets.__getitem__)

        def find_global(module: str, qualname: str) -> Any:
            if ModuleName(module) in draft.sources and draft.find_live is not None:
                return draft.find_live(module, qualname)
            return draft.find_global(module, qualname)

        try:
            with restoring():
                outputs, changes = unpickle(
                    (work / "outputs.pkl").read_bytes(),
                    find_global=find_global,
                    persistent_load=storages.persistent_load,
                )
        except (AttributeError, ImportError):  # of a class that only the clean process has
            return Observation(evidence, None, False)
        return Observation(evidence, outputs, True, changes)


def _advice(draft: Draft, error: ChildError) -> str:
    if error.summary.startswith("SystemExit"):
        return (
            "\n  fix: code that is imported ends the process, as it would where the case is loaded; let it"
            ' read the command line in a function, or under: if __name__ == "__main__":'
        )
    if not error.facts.get("called"):
        return ""
    return (
        f"\n  fix: pass inputs that {draft.name} takes; if {draft.name}(...) works with them here, it uses"
        " something of this process that it does not hold: keep that in it, or in a module that it imports"
    )


def _with_places(output: str, sources: Mapping[ModuleName, CapturedModule]) -> str:
    """Return a traceback with the lines of synthesised modules called what the user calls them."""

    def place(found: re.Match[str]) -> str:
        module = sources.get(ModuleName(found[1]))
        line = int(found[2])
        if module is None or not 0 < line <= len(module.origins) or not module.origins[line - 1][0]:
            return found[0]
        return 'File "{}", line {}'.format(*module.origins[line - 1])

    return re.sub(r'File "([\w.]+)\.py", line (\d+)', place, output)


def _tell_of(root: Root, work: Path) -> dict[str, Any]:
    """Return what the child needs to open a case under the name that it has here."""
    archive = root.archive
    place = str(archive.path) if isinstance(archive, FolderReader) else archive.find_place()
    if place is None:  # it is in memory
        assert not isinstance(archive, FolderReader)
        place = str(work / f"{root.name}.case")
        Path(place).write_bytes(archive.whole())
    return {
        "name": root.name.removeprefix(LIVE_PREFIX),
        "path": place,
        "fingerprint": root.archive.fingerprint,
        "share": bool(root.shared),
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


def observe_in_child(request: dict[str, Any]) -> dict[str, Any]:
    """Do the work of `observe` in the child."""
    # First, so that what torch and the self-test import is not taken for the object's need.
    from wardian.tensors import selftest
    from wardian.tensors.changes import run_noting_changes
    from wardian.tensors.host import map_file
    from wardian.tensors.needs import noting_needs
    from wardian.tensors.storages import StorageReader, restoring

    selftest.run(lambda: None, ())
    work = Path(request["folder"])
    draft = Path(request["archive"])
    places = {key: (offset, size) for key, (offset, size) in request["offsets"].items()}
    storages = StorageReader(lambda: map_file(draft), places.__getitem__)
    forget_packable()
    schemas, operators, _ = _native_state()
    cases = _Cases(request["cases"], frozenset(request["sources"]))
    sys.meta_path.insert(0, SilencingFinder(request["silenced"]))
    sys.meta_path.insert(0, LoadedFinder(request["places"]))
    sys.meta_path.insert(0, SourceFinder(request["sources"], cases.import_for if request["cases"] else None))
    find_global = cases.find_global
    recorder = Recorder()
    persistent_load = calling_importer(
        storages.persistent_load, _DraftImporter(work, draft, storages, cases.import_module)
    )
    inputs = work / "inputs.pkl"
    outputs: Any = None
    with recorder.recording(), noting_needs(recorder.note_need):
        with restoring():
            data = (work / "object.pkl").read_bytes()
            try:
                obj = unpickle(data, find_global=find_global, persistent_load=persistent_load)
            except Exception as error:
                unmade = find_unmade(data, find_global=find_global, persistent_load=persistent_load)
                error.child_facts = {"unmade": unmade}  # type: ignore[attr-defined]
                raise
        if inputs.exists():
            with restoring():
                arguments = unpickle(
                    inputs.read_bytes(), find_global=find_global, persistent_load=persistent_load
                )
            try:
                outputs = run_noting_changes(obj, arguments)
            except Exception as error:
                error.child_facts = {"called": True}  # type: ignore[attr-defined]
                raise
    after = _native_state()
    evidence = recorder.evidence(
        schemas=after[0] - schemas,
        operators=after[1] - operators,
        # All that are mapped: torch may have imported numpy before, and the object needs it all the same.
        libraries=after[2],
        ran=inputs.exists(),
    )
    offsets = _write_outputs(outputs, work) if inputs.exists() else None
    return {"evidence": evidence.to_plain(), "outputs": offsets is not None, "offsets": offsets}


class _DraftImporter:
    """What the functions of `__reduce_package__` get here; see `wardian.live.loading.Loading`."""

    def __init__(
        self, work: Path, archive: Path, storages: StorageReader, import_module: Callable[[str], ModuleType]
    ) -> None:
        self.import_module = import_module
        self._resources = work / "resources"
        self._archive = archive
        self._storages = storages
        self.last_map_location = None

    def load_binary(self, package: str, resource: str) -> bytes:
        return (self._resources / package.replace(".", "/") / resource).read_bytes()

    def load_text(self, package: str, resource: str, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self.load_binary(package, resource).decode(encoding, errors)

    @cached_property
    def zip_reader(self) -> Any:
        from wardian.tensors.scripts import open_draft_for_scripts

        return open_draft_for_scripts(self._archive)

    @property
    def storage_context(self) -> Any:
        return self._storages.script_context


class _Cases:
    """Finds modules in the open cases that parts of the object come from, and others as usual.

    Args:
        cases: What is told of each.
        own: Modules that were made for the object; a case may have others of these names.
    """

    def __init__(self, cases: list[dict[str, Any]], own: frozenset[str]) -> None:
        self._own = own
        self._roots: list[Root] = []
        if cases:
            from wardian.live.case import open_as

            for case in cases:
                path = case["path"]
                archive = FolderReader(path) if os.path.isdir(path) else ArchiveReader.open(path)
                if archive.fingerprint != case["fingerprint"]:
                    raise CaseError(f"{path}, which the object was loaded from, was overwritten", path=path)
                self._roots.append(open_as(case["name"], archive, share=case["share"]))
        for root in self._roots:
            root.run_whole()

    def find_global(self, module: str, qualname: str) -> Any:
        if (module, qualname) == ("importlib", "import_module"):  # how a pickle names a module
            return self.import_module
        root = self._root_of(module)
        return _find_global(module, qualname) if root is None else root.find_global(module, qualname)

    def import_module(self, name: str) -> ModuleType:
        root = self._root_of(name)
        return importlib.import_module(name) if root is None else root.import_module(name)

    def import_for(
        self, name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
    ) -> ModuleType:
        """Stand in for `__import__` in modules that were made for the object."""
        root = None if level else self._root_of(name)
        if root is None:
            found: ModuleType = builtins.__import__(name, globals, locals, fromlist, level)
            return found
        module = root.import_module(name)
        for part in fromlist or ():
            if not hasattr(module, part) and root.packs(f"{name}.{part}"):
                root.import_module(f"{name}.{part}")
        return module if fromlist else root.import_module(name.partition(".")[0])

    def _root_of(self, module: str) -> Root | None:
        if module in self._own:
            return None
        # Two cases may have parts of one package, and the environment what was added to it since.
        return next((root for root in self._roots if root.packs(module) and root.is_module(module)), None)


def _native_state() -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Return the operator schemas, operator libraries and shared libraries of this process."""
    from wardian.tensors import selftest

    return selftest.operator_schemas(), selftest.operator_libraries(), mapped_libraries()


def _write_outputs(outputs: Any, work: Path) -> dict[str, tuple[int, int]] | None:
    """Write the outputs, and what changed, for the parent; return None if they cannot be pickled."""
    from wardian.tensors.storages import StorageWriter

    with ArchiveWriter(work / "outputs.case") as archive:
        storages = StorageWriter(archive)
        try:
            pickled = pickle_object(
                outputs, name="outputs", persistent_id=storages.persistent_id, rename=original_name
            )
        except PackError:  # say, a generator: the run counts, the result cannot be compared
            return None
        (work / "outputs.pkl").write_bytes(pickled.data)
        archive.add(RecordName("outputs.pkl"), pickled.data)
        archive.finish(lambda digests: b"{}")
        archive.publish()
        return storages.offsets


def _find_global(module: str, qualname: str) -> Any:
    found: Any = sys.modules.get(module) or importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    return found
