"""An open case."""

from __future__ import annotations

import contextlib
import os
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from wardian.archive import ArchiveReader, FolderReader
from wardian.errors import (
    CaseError,
    CheckError,
    ClosedCaseError,
    CodeNeededError,
    CorruptCaseError,
    EntryNotFoundError,
    ModuleNotInCaseError,
    Problem,
)
from wardian.live.announcements import Announced, announced, find_held
from wardian.live.audit import check_environment, find_problems, packed_elsewhere
from wardian.live.closed import how_to_load, open_again
from wardian.live.finder import PREFIX
from wardian.live.foreign import allowed_externs, extern_modules, is_allowed, read_manifest
from wardian.live.integrity import StorageChecks
from wardian.live.loading import Loading
from wardian.live.root import Root
from wardian.live.roots import (
    acquire,
    acquire_private,
    closed_path,
    find_open,
    get_root,
    is_named_by,
    is_shared,
    release,
    root_name,
)
from wardian.live.sharing import SHARED_SUFFIX, find_shared
from wardian.manifest import Entry, Manifest
from wardian.names import RecordName, module_name

if TYPE_CHECKING:
    import torch

    from wardian.tensors.mapping import TensorMapping
    from wardian.tensors.selftest import Difference

__all__ = ["Case", "CheckReport", "CheckResult", "find_root", "open_as"]

_SHOWN = 20
"""Differences of one output that are printed."""

_reopened: list[Case] = []
"""Cases opened for an object that came from another process; held, as no `with` block does it."""
_private: list[Root] = []
"""The same for roots that a parent process has for itself."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What the self-test of one entry point gave."""

    entry: str
    outcome: str
    """The outcome in words."""
    differences: tuple[Difference, ...]
    """Every place where the output differs from the recorded one."""

    @property
    def largest(self) -> float | None:
        """The largest absolute difference of two numbers, or None if there is none."""
        return max((d.size for d in self.differences if d.size is not None), default=None)

    def __str__(self) -> str:
        lines = [f"{self.entry}: {self.outcome}"]
        lines += [f"  {d}{' (tolerated)' if d.tolerated else ''}" for d in self.differences[:_SHOWN]]
        if len(self.differences) > _SHOWN:
            lines.append(f"  and {len(self.differences) - _SHOWN} more")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `Case.check` found; all of it is the same or within what other machines may show."""

    results: tuple[CheckResult, ...]
    """One for each entry point."""

    @property
    def exact(self) -> bool:
        """Whether every output was the same, bit for bit."""
        return not any(result.differences for result in self.results)

    @property
    def largest(self) -> float | None:
        """The largest absolute difference of two numbers, or None if there is none."""
        return max((r.largest for r in self.results if r.largest is not None), default=None)

    def __str__(self) -> str:
        return "\n".join(map(str, self.results))


class Case:
    """An open case; a context manager.

    Use `wardian.open`. Two open cases of one file share their modules and classes. After the last of them
    is closed its modules are gone from `sys.modules`; objects that were loaded stay usable.

    Attributes:
        manifest: What the case says about itself.
    """

    def __init__(
        self,
        path: str,
        archive: ArchiveReader | FolderReader,
        manifest: Manifest,
        stem: str,
        shared: frozenset[str] = frozenset(),
        *,
        verify: bool = True,
        name: str | None = None,
        mmap: bool = True,
    ) -> None:
        self._path = path
        self._fits = False  # it was not asked yet
        self._verify = verify
        self._mmap = mmap
        self.manifest = manifest
        options: dict[str, Any] = {"shared": shared}
        if archive.kind == "torch.package":
            allowed = allowed_externs(extern_modules(archive))
            options["allows"] = lambda module: is_allowed(module, allowed)
            options["attributes"] = {"__torch_package__": True}
        self._root: Root | None = acquire(stem, archive, manifest, name, **options)
        # Another file of the same digest may serve the case already; `verify` is asked about this one.
        self._file = archive
        if self._root.archive is not archive and _is_same_file(archive, self._root.archive):
            archive.close()
            self._file = self._root.archive

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO,
        *,
        share: bool = False,
        verify: bool = True,
        mmap: bool = True,
    ) -> Case:
        """Open a case and check its structure. No packed code runs, and it need not fit this environment.

        Args:
            path: The file, its content as bytes or another buffer, or an open binary file.
            share: Serve installed libraries instead of packed copies whose sources are the same.
            verify: Check weights before their first use on this machine. Code, pickles and manifest are
                always checked.
            mmap: Map weights from the file; as for `wardian.open`.

        Raises:
            NotACaseError, UnsupportedFormatError, CorruptCaseError: if the file cannot be used.
        """
        archive = ArchiveReader.open(path, mapped=mmap)
        try:
            label = str(archive.path or "<memory>")
            manifest = read_manifest(archive)
        except BaseException:
            archive.close()
            raise
        stem = archive.path.stem if archive.path else "memory"
        if share:
            stem, shared = stem + SHARED_SUFFIX, find_shared(manifest)
        else:
            shared = frozenset()
        return cls(label, archive, manifest, stem, shared, verify=verify, mmap=mmap)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._root is None else self._root.name
        return f"<Case {self._path} ({state})>"

    def close(self) -> None:
        """Release the case; calling it again does nothing."""
        root, self._root = self._root, None
        if root is not None:
            if self._file is not root.archive:
                self._file.close()
            release(root)

    @property
    def root(self) -> Root:
        """The package of this case.

        Raises:
            ClosedCaseError: if the case is closed.
        """
        if self._root is None:
            raise ClosedCaseError(f"{self._path} is closed; open it again with wardian.open", path=self._path)
        return self._root

    @property
    def digest(self) -> str:
        """The SHA-256 that identifies the case (docs/format.md, 3.3); of the file of other archives."""
        return self.root.archive.fingerprint

    def files(self) -> tuple[str, ...]:
        """Return the names of all records."""
        return tuple(self.root.archive.names)

    def read(self, record: str) -> bytes:
        """Return the content of one record, checked against its digest.

        Raises:
            KeyError: if the case has no such record.
        """
        return self.root.archive.read(RecordName(record))

    @property
    def _maps(self) -> bool:
        """Whether weights are mapped, or copied of what is in memory; else they are read from the file."""
        return self._mmap or self.root.archive.is_in_memory

    def _entry(self, name: str | None) -> Entry:
        entries = self.root.manifest.entries
        if name is None:
            if len(entries) == 1:
                return entries[0]
            raise EntryNotFoundError(
                f"{self._path} has several entry points, say which: {[e.name for e in entries]}"
            )
        for entry in entries:
            if entry.name == name:
                return entry
        raise EntryNotFoundError(
            f"{self._path} has no entry point {name!r}, only {[e.name for e in entries]}"
        )

    def load(self, name: str | None = None, *, map_location: Any = None) -> Any:
        """Load an object of the case.

        Args:
            name: Its entry point; may be left out if there is one.
            map_location: Where tensors go, as for `torch.load`.

        Raises:
            EntryNotFoundError: if there is no such entry point.
            EnvironmentMismatchError: if the environment lacks what the case needs.
            CorruptCaseError: if a record that is read is damaged.
        """
        return self._unpickle(self._entry(name).record, map_location)

    def _unpickle(self, record: str, map_location: Any = None) -> Any:
        root = self.root
        self._require_environment()
        try:
            loaded = Loading(root, map_location, verify=self._verify, mapped=self._maps).load(record)
            with contextlib.suppress(TypeError):  # a list, say, has no weak references
                root.loaded[id(loaded)] = loaded
            return loaded
        except Exception as error:
            # The last line of a log: it names the error of ours whose message may be long.
            kind = f"{type(error).__name__} " if isinstance(error, CaseError) else ""
            error.add_note(f"{kind}while loading {record} of {self._path}")
            raise

    def import_module(self, name: str) -> types.ModuleType:
        """Import a packed module by the dotted name it had when it was packed.

        Raises:
            ValueError: if *name* is not a dotted name.
            EnvironmentMismatchError: if the environment lacks what the case needs.
            ModuleNotFoundError: if the case has no such module.
        """
        name = module_name(name)
        self._require_environment()
        return self.root.import_module(name)

    def environment(self) -> tuple[Problem, ...]:
        """Return what the case needs and this environment lacks; nothing if it fits.

        `load` and `import_module` refuse to run packed code for the same reasons. Nothing is imported to find
        out, so that a name that only running a module would tell counts as there.

        Returns:
            The problems, each with the line that mends it.

        >>> import tempfile, torch, wardian
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = wardian.pack(torch.nn.Linear(2, 1), f"{folder}/linear.case", prove=False)
        ...     with wardian.open(f"{folder}/linear.case") as case:
        ...         case.environment()
        ()
        """
        return tuple(find_problems(self.manifest))

    def _require_environment(self) -> None:
        """Check the environment once, now that code is to run."""
        if not self._fits:
            check_environment(self.manifest, self._file, may_import=True)
            self._fits = True

    @property
    def tensors(self) -> TensorMapping:
        """The named tensors of the case: a mapping that reads each when it is asked for it.

        No code runs and nothing is unpickled. The bytes of a tensor are checked before its first use, those
        of others are not touched. Values are plain tensors without gradient. With several entry points,
        names begin with `<entry>:`. `case.tensors[name]` raises `CodeNeededError` for a tensor of a class of
        its own.

        Raises:
            CorruptCaseError: if the index of the tensors is damaged.
            CodeNeededError: if the file is an archive of torch.package, which has no index of tensors.
        """
        self._require_index(None)
        return self._tensors(None, None)

    def _require_index(self, entry: str | None) -> None:
        """Refuse to look for tensors where only code tells which there are.

        Raises:
            CodeNeededError: if the file is an archive of torch.package.
        """
        if self.root.archive.kind == "torch.package":
            name = "" if entry is None else f", name={entry!r}"
            raise CodeNeededError(
                f"{self._path} is an archive of torch.package, which does not say what its tensors are"
                f" called: only its code can tell. Load the object: wardian.load(path{name}).state_dict(),"
                " which runs its code. What wardian.pack makes of it has an index of its tensors",
                path=self._path,
                tensor="",
            )

    def state_dict(self, name: str | None = None, *, map_location: Any = None) -> dict[str, torch.Tensor]:
        """Return the state_dict of an entry point without running its code.

        Args:
            name: The entry point; may be left out if there is one.
            map_location: Where tensors go, as for `torch.load`; without it, to the CPU.

        Raises:
            EntryNotFoundError: if there is no such entry point.
            CorruptCaseError: if a weight is damaged.
            CodeNeededError: if a tensor is of a class of its own, and only the code of that can make it; or
                if the file is an archive of torch.package.
        """
        entry = self._entry(name).name
        self._require_index(entry)
        if self._verify and self._maps:
            self.root.storages.check_all()
        tensors = self._tensors(entry, map_location)
        return {key: tensors[key] for key in tensors if tensors.describe(key).kind != "transient"}

    def export_safetensors(
        self,
        path: str | os.PathLike[str],
        name: str | None = None,
        *,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Write the state_dict of an entry point to a `.safetensors` file, without running its code.

        The tensors go from file to file; none is held in memory. Of tied weights one is written, and the
        metadata of the file have the others' names, as `safetensors.torch.save_model` does it;
        `wardian.read_safetensors` gives them all.

        Args:
            path: Where the file goes. An existing one is replaced when the new one is complete.
            name: The entry point; may be left out if there is one.
            metadata: Notes in the header of the file.

        Raises:
            EntryNotFoundError: if there is no such entry point.
            WeightsFileError: naming every tensor that the format cannot hold, such as sparse ones.
            CorruptCaseError, CodeNeededError: as for `state_dict`.
            OSError: if the file cannot be written.
        """
        from wardian.tensors.safetensors import write_safetensors

        write_safetensors(self.state_dict(name), path, {"format": "pt", **(metadata or {})})

    def _tensors(self, entry: str | None, map_location: Any) -> TensorMapping:
        from wardian.tensors.mapping import TensorMapping

        root = self.root
        return TensorMapping(
            root.archive,
            root.manifest,
            entry,
            map_location=map_location,
            mapped=self._maps,
            verify=self._verify,
            check=root.storages.check if self._verify and self._maps else None,
        )

    def verify(self) -> None:
        """Check the whole content of every record, CRC-32 included, with all cores.

        `load` checks all that it uses by itself; this is for an archive that is kept, or was copied.

        Raises:
            CorruptCaseError: if a record was damaged or altered; `records` has the names of all such.

        >>> import tempfile, torch, wardian
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = wardian.pack(torch.nn.Linear(2, 1), f"{folder}/linear.case", prove=False)
        ...     with wardian.open(f"{folder}/linear.case") as case:
        ...         case.verify()
        """
        own = self._file is self.root.archive
        found = (self.root.storages if own else StorageChecks(self._file)).find_damage()
        if found:
            listing = "".join(f"\n  {error}" for error in found)
            raise CorruptCaseError(
                f"{self._path}: {len(found)} of {len(self._file.names)} records are damaged:{listing}",
                path=self._path,
                record=found[0].record,
                records=tuple(error.record for error in found),
            )

    def check(self, name: str | None = None, *, exact: bool = False, map_location: Any = None) -> CheckReport:
        """Run the self-test of an entry point, or of all, and compare the outputs with the recorded ones.

        Args:
            name: The entry point; None means all.
            exact: Ask for the same bits. Without it a difference passes that another machine may show, half
                of the digits of the dtype: `wardian.tensors.selftest.tolerance`.
            map_location: Where tensors of the object and its inputs go, as for `torch.load`; outputs are
                compared wherever they are.

        Returns:
            What was compared, with every difference; `print` it.

        Raises:
            EntryNotFoundError: if there is no such entry point.
            CheckError: if an output differs; `difference` has the largest difference of two numbers.

        >>> import tempfile, torch, wardian
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = wardian.pack(torch.nn.Linear(2, 1), f"{folder}/linear.case", inputs=(torch.ones(2),))
        ...     with wardian.open(f"{folder}/linear.case") as case:
        ...         print(case.check())
        model: the same, bit for bit
        """
        from wardian.tensors import selftest
        from wardian.tensors.changes import differences_of_changes, run_noting_changes

        entries = self.root.manifest.entries if name is None else (self._entry(name),)
        results: list[CheckResult] = []
        for entry in entries:
            if entry.test is None:
                results.append(CheckResult(entry.name, "no self-test", ()))
                continue
            obj, test = (self._unpickle(record, map_location) for record in (entry.record, entry.test))
            outputs, changes = run_noting_changes(obj, test["inputs"])
            if entry.outputs:
                found = (
                    *selftest.find_differences(test["outputs"], outputs),
                    *differences_of_changes(test.get("changes", changes), changes),
                )
                results.append(
                    CheckResult(entry.name, "differs" if found else "the same, bit for bit", found)
                )
            else:
                results.append(CheckResult(entry.name, "runs; its output cannot be compared", ()))
        report = CheckReport(tuple(results))
        for result in report.results:
            failed = [d for d in result.differences if exact or not d.tolerated]
            if failed:
                raise CheckError(
                    f"{self._path}: the self-test of {result.entry!r} failed: "
                    + "; ".join(map(str, failed[:5]))
                    + (f"; and {len(failed) - 5} more" if len(failed) > 5 else "")
                    + packed_elsewhere(self.root.manifest),
                    entry=result.entry,
                    difference=result.largest,
                )
        return report


def find_root(name: str) -> Root | None:
    """Return the open root *name*; open its case again if the parent process has it open.

    A root of the same case counts that was opened from a file of another name.

    Raises:
        CaseError: if the file the parent named is not usable any more.
        ModuleNotInCaseError: if the case was closed in this process.
    """
    root = get_root(name)  # each import of a packed module asks
    if root is not None:
        return root
    told = announced(name)
    root = find_open(name, None if told is None else told.outline)
    if root is not None:
        return root
    if told is None:
        if (closed := closed_path(name)) is not None:
            raise ModuleNotInCaseError(
                f"{PREFIX}{name} is {open_again(how_to_load(closed, shared=is_shared(name)))}",
                name=PREFIX + name,
            )
        return None
    digest = name.rpartition("_")[2]
    share = is_shared(name) and root_name(told.path.stem, digest, len(digest)) != name
    return open_as(name, _reopen(name, told), share=share)


def _is_same_file(one: ArchiveReader | FolderReader, other: ArchiveReader | FolderReader) -> bool:
    if not isinstance(one, ArchiveReader) or not isinstance(other, ArchiveReader):
        return one.path == other.path
    return one.stamp() is not None and one.stamp() == other.stamp()


def open_as(name: str, archive: ArchiveReader | FolderReader, *, share: bool) -> Root:
    """Open an archive as the root *name*, which another process has made, for as long as this one lives.

    Args:
        name: Name of the root, without `wardian.live.`.
        archive: What the other process has open as this.
        share: As for `Case.open`.
    """
    stem = name.rpartition("_")[0]
    path = str(archive.path)
    try:
        manifest = read_manifest(archive)
        if is_named_by(name, archive):
            check_environment(manifest, archive)
            shared = find_shared(manifest) if share else frozenset()
            case = Case(path, archive, manifest, stem, shared, name=name)
            _reopened.append(case)
            return case.root
        root = acquire_private(stem, archive, manifest, name)  # of a PackageImporter
        _private.append(root)
    except BaseException:
        archive.close()
        raise
    return root


def _reopen(name: str, told: Announced) -> ArchiveReader | FolderReader:
    """Return the archive that a process above this one has open as the root *name*.

    Raises:
        CaseError: if it is gone.
    """
    path, digest = str(told.path), name.rpartition("_")[2]
    lost = f"{path}, the case whose digest begins with {digest}, that the parent process has open,"
    if os.path.isdir(path):
        return FolderReader(path)
    try:
        archive = ArchiveReader.open(path)
    except FileNotFoundError:
        problem = "is not there any more"
    else:
        # The directory of an archive of torch.package does not tell all of it.
        same = archive.kind == "case" or archive.stamp() == told.stamp
        if same and archive.outline == told.outline:
            return archive
        archive.close()
        problem = "was replaced by another file"
    held = find_held(name)  # the parent goes on with the file it has, and so does the child
    if held is None:
        raise CaseError(f"{lost} {problem}", path=path)
    archive = ArchiveReader.open(held)
    archive.path = Path(path)
    return archive
