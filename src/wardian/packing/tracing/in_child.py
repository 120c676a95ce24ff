"""The part of tracing that runs in the clean process with the object."""

from __future__ import annotations

import builtins
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from wardian.archive import FolderReader
from wardian.archive.writer import ArchiveWriter
from wardian.capture.homes import find_path_in, look_up
from wardian.domain.live_names import original_name
from wardian.domain.names import RecordName, top_level
from wardian.environment.modules import is_module, variables_of
from wardian.environment.native import mapped_libraries
from wardian.environment.stamps import Stamps, any_changed, imported_places, stamps_of
from wardian.errors import CaseError, PackError
from wardian.packing.tracing.finders import LoadedFinder, SilencingFinder, SourceFinder
from wardian.packing.tracing.recorder import Recorder, forget_packable
from wardian.pickling.pickler import PickledObject, pickle_object
from wardian.pickling.tape import named_global
from wardian.pickling.unpickler import calling_importer, find_unmade, unpickle
from wardian.processes.clean import OUTDATED, Start

if TYPE_CHECKING:
    from wardian.loading.importing.mount import Mount
    from wardian.tensors.storages import StorageReader

__all__ = ["BEGINNING", "find_global", "import_beforehand", "observe_in_child", "prepare"]


BEGINNING = Start("wardian.packing.tracing.in_child.prepare")
"""The preparation that the clean process begins with."""


def prepare(arguments: Mapping[str, Any]) -> None:
    """Import what watching needs, so that it is not taken for the object's need."""
    from wardian.tensors import changes, host, needs, selftest, storages  # noqa: F401

    selftest.run(lambda: None, ())
    forget_packable()
    _before.append(_native_state())


_before: list[tuple[frozenset[str], frozenset[str], frozenset[str]]] = []
"""The native state after `prepare`."""


class _Begun:
    """A process in which the modules of an object can be found, and are watched.

    Args:
        request: That of `observe_in_child`.
    """

    def __init__(self, request: Mapping[str, Any]) -> None:
        self.cases = _Cases(request["cases"], frozenset(request["sources"]))
        self.recorder = Recorder()
        import_for = self.cases.import_for if request["cases"] else None
        sys.meta_path.insert(0, SilencingFinder(request["silenced"]))
        sys.meta_path.insert(0, LoadedFinder(request["places"]))
        sys.meta_path.insert(0, SourceFinder(request["sources"], import_for))
        self._stamps: Stamps = {}

    def import_globals(self, beforehand: Iterable[str], names: Iterable[tuple[str, str]]) -> None:
        """Import what a pickle names, in the order in which unpickling does, and note of what it came."""
        from wardian.tensors.needs import noting_needs
        from wardian.tensors.storages import restoring

        with self.recorder.recording(), noting_needs(self.recorder.note_need), restoring():
            for module in beforehand:
                self.cases.import_module(module)
            for module, qualname in names:
                self.cases.find_global(module, qualname)
        files = imported_places() | self.recorder.files
        # Whoever looks for distributions lists the entries of `sys.path`; whether they still serve is asked
        # before a process is forked.
        self._stamps = stamps_of(files.difference(sys.path, _CHANGING))

    def is_outdated(self) -> bool:
        """Tell whether a file that was imported or read has changed since."""
        return any_changed(self._stamps)


_CHANGING = ("/proc/self/maps",)


_begun: list[_Begun] = []
"""The process that was begun before there was a request, if one was."""


def import_beforehand(request: Mapping[str, Any]) -> None:
    """Import what the pickle of a request names, for it and for others with an equal pickle."""
    begun = _Begun(request)
    begun.import_globals(request["beforehand"], request["globals"])
    _begun.append(begun)


def observe_in_child(request: dict[str, Any]) -> dict[str, Any]:
    """Do the work of `observe` in the child."""
    from wardian.tensors.changes import run_noting_changes
    from wardian.tensors.needs import noting_needs

    (schemas, operators, _), *_ = _before
    if any(begun.is_outdated() for begun in _begun):
        return dict(OUTDATED)
    begun = _begun[0] if _begun else _Begun(request)
    recorder, pickles = begun.recorder, _Pickles(request, begun.cases)
    results: dict[str, tuple[Any, dict[str, Any]]] = {}
    with recorder.recording(), noting_needs(recorder.note_need):
        # Each call has all anew: what one changes is not the next one's affair.
        for name in request["calls"] or (None,):
            obj, arguments = pickles.load(name)
            if name is None:
                continue
            try:
                results[name] = run_noting_changes(obj, arguments)
            except Exception as error:
                error.child_facts = {"called": name, "unimported": _unimported(error)}  # type: ignore[attr-defined]
                error.child_is_users = True  # type: ignore[attr-defined]
                _keep_users_frames(error)
                raise
    after = _native_state()
    evidence = recorder.evidence(
        schemas=after[0] - schemas,
        operators=after[1] - operators,
        # All that are mapped: torch may have imported numpy before, and the object needs it all the same.
        libraries=after[2],
        ran=bool(results),
    )
    unimported = [name for name in request["submodules"] if name not in sys.modules]
    reasons: dict[str, str] = {}
    offsets = _write_results(results, Path(request["folder"]), reasons) if results else None
    return {
        "evidence": evidence.to_plain(),
        "outputs": offsets is not None,
        "offsets": offsets,
        "reasons": reasons,
        "unimported": unimported,
    }


class _Pickles:
    """Those of the draft, which are loaded for each call.

    Args:
        request: That of `observe_in_child`.
        cases: Finds what they name.
    """

    def __init__(self, request: Mapping[str, Any], cases: _Cases) -> None:
        self._work, self._archive = Path(request["folder"]), Path(request["archive"])
        self._places = {key: (offset, size) for key, (offset, size) in request["offsets"].items()}
        self._one: str | None = request["one"]
        self._cases = cases

    def load(self, name: str | None) -> tuple[Any, Any]:
        """Return an entry point and its inputs; None stands for all that is to be loaded only."""
        from wardian.tensors.host import map_file
        from wardian.tensors.storages import StorageReader, restoring

        find_global = self._cases.find_global
        storages = StorageReader(lambda: map_file(self._archive), self._places.__getitem__)
        importer = _DraftImporter(self._work, self._archive, storages, self._cases.import_module)
        persistent_load = calling_importer(storages.persistent_load, importer)
        data = (self._work / "object.pkl").read_bytes()
        with restoring():
            try:
                obj = unpickle(data, find_global=find_global, persistent_load=persistent_load)
            except Exception as error:
                unmade = find_unmade(data, find_global=find_global, persistent_load=persistent_load)
                error.child_facts = {"unmade": unmade, "unimported": _unimported(error)}  # type: ignore[attr-defined]
                raise
        if name is None:
            return obj, None
        data = (self._work / "inputs.pkl").read_bytes()
        with restoring():
            inputs = unpickle(data, find_global=find_global, persistent_load=persistent_load)
        return (obj, inputs) if name == self._one else (obj[name], inputs[name])


def _unimported(error: BaseException | None) -> str | None:
    """Return the submodule that was taken from its package though nothing had imported it, if there is one.

    What says so may be a cause of the error, or what it was raised in the handling of.
    """
    seen: set[int] = set()  # every error in it is held by the first
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        package = error.obj if isinstance(error, AttributeError) else None
        if is_module(package) and isinstance(error, AttributeError):
            return f"{package.__name__}.{error.name}"
        error = error.__cause__ or error.__context__
    return None


_NOT_THE_USERS = sys.stdlib_module_names | {"torch", "wardian"}


def _keep_users_frames(error: BaseException | None) -> None:
    """Take the frames of PyTorch and the standard library out of a traceback, and of those it follows from.

    Of what is of nobody else the frames of Wardian go: a call that does not fit the object has no others.
    """
    seen: set[int] = set()  # every error in it is held by the first
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        users: list[TracebackType] = []
        others: list[TracebackType] = []
        step = error.__traceback__
        while step is not None:
            module = original_name(str(step.tb_frame.f_globals.get("__name__", "")))
            if (top := top_level(module)) not in _NOT_THE_USERS:
                users.append(step)
            elif top != "wardian":
                others.append(step)
            step = step.tb_next
        rest: TracebackType | None = None
        for step in reversed(users or others):
            rest = TracebackType(rest, step.tb_frame, step.tb_lasti, step.tb_lineno)
        error.__traceback__ = rest
        error = error.__cause__ or error.__context__


class _DraftImporter:
    """The importer that functions of `__reduce_package__` get here; see `wardian.loading.objects.Loading`."""

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
        self._roots: list[Mount] = []
        if cases:
            from wardian.loading.reopening import open_as
            from wardian.reading.opening import open_archive

            for case in cases:
                path = case["path"]
                archive = FolderReader(path) if os.path.isdir(path) else open_archive(path)
                if archive.fingerprint != case["fingerprint"]:
                    raise CaseError(f"{path}, which the object was loaded from, was overwritten", path=path)
                self._roots.append(open_as(case["name"], archive, share=case["share"]))
        for mount in self._roots:
            mount.contents.defer_nothing()

    def find_global(self, module: str, qualname: str) -> Any:
        if (module, qualname) == ("importlib", "import_module"):  # how a pickle names a module
            return self.import_module
        mount = self._mount_of(module)
        return find_global(module, qualname) if mount is None else mount.find_global(module, qualname)

    def import_module(self, name: str) -> ModuleType:
        mount = self._mount_of(name)
        return importlib.import_module(name) if mount is None else mount.import_module(name)

    def import_for(
        self, name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
    ) -> ModuleType:
        """Stand in for `__import__` in modules that were made for the object."""
        mount = None if level else self._mount_of(name)
        if mount is None:
            found: ModuleType = builtins.__import__(name, globals, locals, fromlist, level)
            return found
        module = mount.import_module(name)
        for part in fromlist or ():
            if not hasattr(module, part) and mount.contents.packs_top_level_of(f"{name}.{part}"):
                mount.import_module(f"{name}.{part}")
        return module if fromlist else mount.import_module(top_level(name))

    def _mount_of(self, module: str) -> Mount | None:
        if module in self._own:
            return None
        # Two cases may have parts of one package, and the environment what was added to it since.
        return next(
            (
                mount
                for mount in self._roots
                if mount.contents.packs_top_level_of(module) and mount.contents.has_module(module)
            ),
            None,
        )


def _native_state() -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Return the operator schemas, operator libraries and shared libraries of this process."""
    from wardian.tensors import selftest

    return selftest.operator_schemas(), selftest.operator_libraries(), mapped_libraries()


def _write_results(
    results: Mapping[str, tuple[Any, dict[str, Any]]], work: Path, reasons: dict[str, str]
) -> dict[str, tuple[int, int]] | None:
    """Write the outputs, and what changed, for the parent.

    Args:
        results: Both, by entry point.
        work: The folder where they are written.
        reasons: Given for each entry point whose outputs cannot be pickled the reason, as a sentence without
            a full stop.

    Returns:
        Where the storages are; None if no outputs can be pickled.
    """
    from wardian.tensors.storages import StorageWriter

    with ArchiveWriter(work / "outputs.case") as archive:
        storages = StorageWriter(archive)
        pickle = partial(
            pickle_object,
            persistent_id=storages.persistent_id,
            rename=original_name,
            reduce_global=_by_other_name,
        )
        try:
            pickled = pickle(dict(results), name="outputs")
        except PackError:  # say, a generator: the run counts, the result cannot be compared
            if len(results) == 1:
                ((name, (outputs, changes)),) = results.items()
                reasons[name] = _why_not(pickle, outputs, changes)
        else:
            (work / "outputs.pkl").write_bytes(pickled.data)
            archive.add(RecordName("outputs.pkl"), pickled.data)
            archive.finish(lambda digests: b"{}")
            archive.publish()
            return storages.offsets
    if len(results) == 1:
        return None
    kept = {
        name: found
        for name, found in results.items()
        if _write_results({name: found}, work, reasons) is not None
    }
    return _write_results(kept, work, reasons) if kept else None


def _why_not(pickle: Callable[..., PickledObject], outputs: Any, changes: Any) -> str:
    """Return why the results of one call cannot be pickled, with the place."""
    for name, part in (("outputs", outputs), ("changes", changes)):
        try:
            pickle(part, name=name)
        except PackError as error:
            return error.problems[0].what if error.problems else str(error)
    return "the outputs and the changes cannot be pickled together"


def _by_other_name(obj: Any) -> Any:
    """Return how a class or function is written that its module has in a class, or by another name.

    So that the outputs of a call may be of a class that the object itself could hold: the pickle of that
    names it so, too. NotImplemented for what Python writes rightly, and for what is nowhere.
    """
    module, qualname = original_name(obj.__module__ or ""), obj.__qualname__
    try:
        if look_up(obj.__module__, qualname) is obj:
            return NotImplemented
    except AttributeError:
        pass
    path = find_path_in(variables_of(sys.modules.get(obj.__module__)), obj)
    return NotImplemented if path is None else (named_global, (module, path))


def find_global(module: str, qualname: str) -> Any:
    """Return a global by its name, as `pickle` does.

    Raises:
        ImportError: if there is no such module.
        AttributeError: if it has no such global.
    """
    found: Any = sys.modules.get(module) or importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    return found
