"""An open case."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import threading
import types
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from wardian.archive import ArchiveReader, FolderReader
from wardian.domain.manifest import Entry, Manifest
from wardian.domain.names import RecordName, module_name
from wardian.errors import (
    CaseError,
    CheckError,
    ClosedCaseError,
    CodeNeededError,
    CorruptCaseError,
    EntryNotFoundError,
    Problem,
)
from wardian.loading.checks import CheckReport, CheckResult
from wardian.loading.importing.mount import Mount
from wardian.loading.installed_library import SHARED_SUFFIX, find_shared
from wardian.loading.mounts import acquire, is_same_file, release, tell
from wardian.loading.objects import Loading
from wardian.reading.fit import check_environment, find_problems, packed_elsewhere, with_importers
from wardian.reading.foreign import allowed_externs, extern_modules, is_allowed, read_manifest
from wardian.reading.integrity import StorageChecks
from wardian.reading.licences import Licence, find_licences
from wardian.reading.opening import ArchiveSource, open_archive
from wardian.wording import MissingNameError

if TYPE_CHECKING:
    import torch

    from wardian.domain.manifest import TensorEntry
    from wardian.inspection.audit import Audit
    from wardian.tensors.mapping import TensorMapping
    from wardian.trust.policies import Trust

__all__ = ["Case"]


class Case:
    """An open case; a context manager.

    Use `wardian.open`. Two open cases of one file share their modules and classes. After the last of them
    is closed its modules are gone from `sys.modules`; objects that were loaded stay usable.

    Attributes:
        manifest: What the case says about itself.

    >>> import torch, wardian
    >>> report = wardian.pack(torch.nn.Linear(2, 1), "linear.case", inputs=(torch.ones(2),))
    >>> with wardian.open("linear.case") as case:
    ...     print([entry.name for entry in case.entries], len(case.tensors), "tensors")
    ['model'] 2 tensors
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
        trust: Trust | None = None,
        source: ArchiveSource | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        self._path = path
        self._fits = False  # it was not asked yet
        self._verify = verify
        self._mmap = mmap
        self._policies = () if trust is None else (trust,)
        self._source = path if source is None else source
        self._storage_options = storage_options
        self.manifest = manifest
        self._loading = threading.Lock()
        self._members: dict[str, tuple[Any, dict[str, Any]]] = {}
        """What was made together with an object that was loaded, by the group: where to, and what is left."""
        self._named: dict[str | None, dict[str, TensorEntry]] = {}
        options: dict[str, Any] = {"shared": shared}
        if archive.kind == "torch.package":
            allowed = allowed_externs(extern_modules(archive))
            options["allows"] = lambda module: is_allowed(module, allowed)
            options["attributes"] = {"__torch_package__": True}
        # What was opened to be judged is not for child processes before it was.
        self._mount: Mount | None = acquire(stem, archive, manifest, name, is_told=trust is None, **options)
        for policy in self._policies:
            self._mount.gate.expect(policy)
        # Another file of the same digest may serve the case already; `verify` is asked about this one.
        self._file = archive
        if self._mount.archive is not archive and is_same_file(archive, self._mount.archive):
            archive.close()
            self._file = self._mount.archive

    @classmethod
    def open(
        cls,
        path: ArchiveSource,
        *,
        share: bool = False,
        verify: bool = True,
        mmap: bool = True,
        digest: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        trust: Trust | None = None,
        ahead: bool = False,
    ) -> Case:
        """Open a case and check its structure. No packed code runs, and it need not fit this environment.

        Args:
            path: The file, its URL, its content as bytes or another buffer, or an open binary file.
            share: Serve installed libraries instead of packed copies whose sources are the same.
            verify: Check weights before their first use on this machine. Code, pickles and manifest are
                always checked.
            mmap: Map weights from the file; as for `wardian.open`.
            digest: The digest that the case must have; as for `wardian.open`.
            storage_options: For a URL; as for `wardian.open`.
            trust: A policy that is asked before any packed code runs; as for `wardian.open`.
            ahead: Of a URL, begin to read weights with the code, since all will be needed.

        Raises:
            NotACaseError, UnsupportedFormatError, CorruptCaseError: if the file cannot be used.
            DigestMismatchError: if it is another case than *digest* says.
            RemoteError: if a URL cannot be read.
        """
        archive = open_archive(path, digest=digest, storage_options=storage_options, mapped=mmap, ahead=ahead)
        try:
            manifest = read_manifest(archive)
        except BaseException:
            archive.close()
            raise
        stem = archive.stem
        if share:
            stem, shared = stem + SHARED_SUFFIX, find_shared(manifest)
        else:
            shared = frozenset()
        return cls(
            archive.label,
            archive,
            manifest,
            stem,
            shared,
            verify=verify,
            mmap=mmap,
            trust=trust,
            source=path,
            storage_options=storage_options,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._mount is None else self._mount.name
        return f"<Case {self._path} ({state})>"

    def close(self) -> None:
        """Release the case; calling it again does nothing."""
        mount, self._mount = self._mount, None
        self._members.clear()
        if mount is not None:
            if self._file is not mount.archive:
                self._file.close()
            release(mount)

    @property
    def mount(self) -> Mount:
        """The package of this case.

        Raises:
            ClosedCaseError: if the case is closed.
        """
        if self._mount is None:
            raise ClosedCaseError(f"{self._path} is closed; open it again with wardian.open", path=self._path)
        return self._mount

    @property
    def digest(self) -> str:
        """The SHA-256 that identifies the case (the format, 3.3); of the file of other archives."""
        return self.mount.archive.fingerprint

    def files(self) -> tuple[str, ...]:
        """Return the names of all records.

        >>> with wardian.open("linear.case") as case:
        ...     print([name for name in case.files() if name.startswith("model/")])
        ['model/model.pkl']
        """
        return tuple(self.mount.archive.names)

    def read(self, record: str) -> bytes:
        """Return the content of one record, checked against its digest.

        Args:
            record: Its name, as `files` has it.

        Raises:
            KeyError: if the case has no such record.

        >>> with wardian.open("linear.case") as case:
        ...     case.read("byteorder")
        b'little'
        """
        archive = self.mount.archive
        if record not in archive:
            raise MissingNameError(f"record in {self._path}:", record, archive.names)
        return archive.read(RecordName(record))

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The entry points, each with its name and the class of its object."""
        return self.mount.manifest.entry_points

    @property
    def _maps(self) -> bool:
        """Whether weights are mapped, or copied of what is in memory; else they are read from the file."""
        return self._mmap or self.mount.archive.is_in_memory

    def _entry(self, name: str | None) -> Entry:
        entries = self.entries
        if name is None:
            if len(entries) == 1:
                return entries[0]
            choices = " or ".join(f"name={entry.name!r}" for entry in entries)
            raise EntryNotFoundError(f"{self._path} has several entry points: say which, with {choices}")
        for entry in entries:
            if entry.name == name:
                return entry
        known = ", ".join(repr(entry.name) for entry in entries) or "none"
        raise EntryNotFoundError(f"{self._path} has no entry point {name!r}; it has {known}")

    def load(self, name: str | None = None, *, map_location: Any = None, alone: bool = False) -> Any:
        """Load an object of the case.

        What several entry points share is one object if they are loaded from one open case, as long as none
        of them is loaded again: that makes all of them anew.

        Args:
            name: Its entry point; may be left out if there is one.
            map_location: Where tensors go, as for `torch.load`.
            alone: Do not make the others that it shares something with.

        Raises:
            EntryNotFoundError: if there is no such entry point.
            UntrustedCaseError: if a policy refuses the code of the case.
            EnvironmentMismatchError: if the environment lacks what the case needs.
            CorruptCaseError: if a record that is read is damaged.

        >>> with wardian.open("linear.case") as case:
        ...     case.load()
        Linear(in_features=2, out_features=1, bias=True)
        """
        entry = self._entry(name)
        group = self.manifest.groups.get(entry.name)
        if group is None or alone:
            return self._unpickle(entry.record, map_location)
        with self._loading:
            location, members = self._members.get(group.name, (None, {}))
            if entry.name not in members or location != map_location:
                found = self._unpickle(group.record, map_location)
                named = group.name.split("+")
                if not isinstance(found, dict) or not found.keys() >= set(named):
                    raise CorruptCaseError(
                        f"{self._path}: {group.record} is no dictionary with {' and '.join(named)}",
                        path=self._path,
                        record=group.record,
                    )
                members = dict(found)
                self._members[group.name] = map_location, members
            loaded = members.pop(entry.name)
        self._note(loaded)
        return loaded

    def _unpickle(self, record: str, map_location: Any = None) -> Any:
        mount = self.mount
        self._require_trust()
        self._require_environment()
        try:
            loaded = Loading(mount, map_location, verify=self._verify, mapped=self._maps).load(record)
            self._note(loaded)
            return loaded
        except Exception as error:
            # The last line of a log: it names the error of ours whose message may be long.
            kind = f"{type(error).__name__} " if isinstance(error, CaseError) else ""
            error.add_note(f"{kind}while loading {record} of {self._path}")
            raise

    def _note(self, loaded: Any) -> None:
        with contextlib.suppress(TypeError):  # a list, say, has no weak references
            self.mount.loaded[id(loaded)] = loaded

    def import_module(self, name: str) -> types.ModuleType:
        """Import a packed module by the dotted name it had when it was packed.

        Raises:
            ValueError: if *name* is not a dotted name.
            UntrustedCaseError: if a policy refuses the code of the case.
            EnvironmentMismatchError: if the environment lacks what the case needs.
            ModuleNotFoundError: if the case has no such module.

        >>> from einops.layers.torch import Rearrange
        >>> report = wardian.pack(Rearrange("a b -> b a"), "turn.case", prove=False)
        >>> with wardian.open("turn.case") as case:
        ...     case.import_module("einops.layers.torch").Rearrange is Rearrange
        False
        """
        name = module_name(name)
        self._require_trust()
        self._require_environment()
        return self.mount.import_module(name)

    def environment(self) -> tuple[Problem, ...]:
        """Return what the case needs and this environment lacks; nothing if it fits.

        `load` and `import_module` refuse to run packed code for the same reasons. Nothing is imported to find
        out, so that a name that only running a module would tell counts as there.

        Returns:
            The problems, each with the line that mends it, and in `chain` the import of a packed module that
            asks for what is missing, if its source shows one.

        >>> import tempfile, torch, wardian
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = wardian.pack(torch.nn.Linear(2, 1), f"{folder}/linear.case", prove=False)
        ...     with wardian.open(f"{folder}/linear.case") as case:
        ...         case.environment()
        ()
        """
        return with_importers(find_problems(self.manifest), self._file)

    def audit(self) -> Audit:
        """Say what the code of the case could do: network, files, processes, native code, and more.

        Sources, bytecode and pickles are read and not run. This informs, and proves nothing: code that wants
        to hide what it does can. `wardian audit` prints the same.

        Returns:
            Findings, each with its record, its line, and when it happens; all that pickles name; bytecode
            that does not compile from its source.

        Raises:
            CorruptCaseError: if a record is damaged.

        >>> import tempfile, torch, wardian
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = wardian.pack(torch.nn.Linear(2, 1), f"{folder}/linear.case", prove=False)
        ...     with wardian.open(f"{folder}/linear.case") as case:
        ...         case.audit().findings
        ()
        """
        from wardian.inspection.audit import audit

        return audit(self._file, self.manifest)

    def licences(self) -> tuple[Licence, ...]:
        """Return what the packed distributions say about their licences, each with its licence files.

        What stays outside is not asked: its licence is that of the release that is installed.

        >>> import tempfile, torch, wardian
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = wardian.pack(torch.nn.Linear(2, 1), f"{folder}/linear.case", prove=False)
        ...     with wardian.open(f"{folder}/linear.case") as case:
        ...         case.licences()  # each has `files`: case.read(licence.files["LICENSE"])
        ()
        """
        return find_licences(self.mount.archive, self.mount.manifest)

    def _require_trust(self) -> None:
        """Ask every policy in force, now that code is to run."""
        mount = self.mount
        mount.gate.admit(*self._policies, source=self._source, options=self._storage_options)
        if self._policies:
            tell(mount)

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
        if self.mount.archive.kind == "torch.package":
            name = "" if entry is None else f", name={entry!r}"
            raise CodeNeededError(
                f"{self._path} is an archive of torch.package, which has no index of its tensors. Load the"
                f" object: wardian.load(path{name}).state_dict(), which runs its code; the command wardian"
                " weights writes what its modules hold without it. What wardian.pack makes has an index",
                path=self._path,
                tensor="",
            )

    def prefetch(self, *patterns: str) -> int:
        """Read tensors of a case that lies elsewhere, in few large requests, before they are used one by one.

        Of a case in a file nothing is to be read.

        Args:
            patterns: Globs of names, as `tensors` has them; none means all tensors.

        Returns:
            How many tensors match.

        Raises:
            KeyError: if a pattern matches no name.
            CorruptCaseError: if what came is not what the case says.
            RemoteError: if it cannot be read.

        >>> with wardian.open("linear.case") as case:  # or an URL
        ...     case.prefetch("w*")
        1
        """
        tensors = self.tensors
        chosen: dict[str, None] = {}
        for pattern in patterns or ("*",):
            found = fnmatch.filter(tensors, pattern)
            if not found and patterns:
                raise KeyError(f"{self._path} has no tensor {pattern!r}")
            chosen.update(dict.fromkeys(found))
        tensors.fetch(chosen)
        return len(chosen)

    def state_dict(
        self, name: str | None = None, *, map_location: Any = None, only: str | None = None
    ) -> dict[str, torch.Tensor]:
        """Return the state_dict of an entry point without running its code.

        Args:
            name: The entry point; may be left out if there is one.
            map_location: Where tensors go, as for `torch.load`; without it, to the CPU.
            only: A glob: only tensors whose names match. Of a URL no other is read.

        Raises:
            EntryNotFoundError: if there is no such entry point.
            CorruptCaseError: if a weight is damaged.
            CodeNeededError: if a tensor is of a class of its own, and only the code of that can make it; or
                if the file is an archive of torch.package.

        >>> with wardian.open("linear.case") as case:
        ...     {name: tuple(tensor.shape) for name, tensor in case.state_dict().items()}
        {'weight': (1, 2), 'bias': (1,)}
        """
        entry = self._entry(name).name
        self._require_index(entry)
        tensors = self._tensors(entry, map_location)
        matching = tensors if only is None else fnmatch.filter(tensors, only)
        names = [name for name in matching if tensors.describe(name).kind != "transient"]
        if self.mount.archive.absent():
            tensors.fetch(names)  # those of other entry points stay where they are
        elif self._verify and self._maps:
            self.mount.storages.check_all()
        return tensors.read(names)

    def load_into(
        self,
        model: torch.nn.Module,
        name: str | None = None,
        *,
        strict: bool = True,
        assign: bool = False,
        map_location: Any = None,
    ) -> Any:
        """Fill a module with the tensors of an entry point, without running its code.

        As `wardian.load_into`, from a case that is open.

        Args:
            model: The module.
            name: The entry point; may be left out if there is one.
            strict: As for `wardian.load_into`.
            assign: As for `wardian.load_into`.
            map_location: As for `wardian.load_into`.

        Returns:
            As `wardian.load_into`.

        Raises:
            EntryNotFoundError: if there is no such entry point.
            WeightsMismatchError, CorruptCaseError, CodeNeededError: as for `wardian.load_into`.

        >>> with wardian.open("linear.case") as case:
        ...     case.load_into(torch.nn.Linear(2, 1))
        <All keys matched successfully>
        """
        from wardian.tensors.filling import fill

        entry = self._entry(name).name
        self._require_index(entry)
        return fill(
            model,
            self._tensors(entry, None),
            label=self._path,
            strict=strict,
            assign=assign,
            map_location=map_location,
        )

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

        >>> with wardian.open("linear.case") as case:
        ...     case.export_safetensors("linear.safetensors")
        >>> sorted(wardian.read_safetensors("linear.safetensors"))
        ['bias', 'weight']
        """
        from wardian.tensors.safetensors import write_safetensors

        write_safetensors(self.state_dict(name), path, {"format": "pt", **(metadata or {})})

    def _tensors(self, entry: str | None, map_location: Any) -> TensorMapping:
        from wardian.tensors.mapping import TensorMapping, named_entries

        mount = self.mount
        if entry not in self._named:  # whoever writes case.tensors[name] in a loop asks for each tensor
            self._named[entry] = named_entries(mount.manifest, entry, self._path)
        return TensorMapping(
            mount.archive,
            mount.manifest,
            self._named[entry],
            map_location=map_location,
            # Where each tensor is asked for by itself, none must hold a copy of the whole file.
            mapped=self._maps and not (entry is None and mount.archive.is_in_memory),
            verify=self._verify,
            check=mount.storages.check_those if self._verify and self._maps else None,
            check_together=mount.storages.check_together if self._verify and self._maps else None,
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
        own = self._file is self.mount.archive
        found = (self.mount.storages if own else StorageChecks(self._file)).find_damage()
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
                of the digits of the dtype: `wardian.tensors.comparison.tolerance`.
            map_location: Where tensors of the object and its inputs go, as for `torch.load`; outputs are
                compared wherever they are.

        Returns:
            What was compared, with every difference; `print` it.

        Raises:
            EntryNotFoundError: if there is no such entry point.
            UntrustedCaseError: if a policy refuses the code of the case.
            CheckError: if an output differs; `difference` has the largest difference of two numbers, `report`
                what was compared.

        >>> import tempfile, torch, wardian
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = wardian.pack(torch.nn.Linear(2, 1), f"{folder}/linear.case", inputs=(torch.ones(2),))
        ...     with wardian.open(f"{folder}/linear.case") as case:
        ...         print(case.check())
        model: the same, bit for bit
        """
        from wardian.tensors import comparison
        from wardian.tensors.changes import differences_of_changes, run_noting_changes

        entries = self.entries if name is None else (self._entry(name),)
        results: list[CheckResult] = []
        for entry in entries:
            if entry.test is None:
                results.append(CheckResult(entry.name, "no self-test", ()))
                continue
            obj, test = (self._unpickle(record, map_location) for record in (entry.record, entry.test))
            outputs, changes = run_noting_changes(obj, test["inputs"])
            if entry.outputs:
                found = (
                    *comparison.find_differences(test["outputs"], outputs),
                    *differences_of_changes(test.get("changes", changes), changes),
                )
                results.append(
                    CheckResult(entry.name, "differs" if found else "the same, bit for bit", found)
                )
            else:
                results.append(CheckResult(entry.name, "runs; its output cannot be compared", ()))
        report = CheckReport(tuple(results))
        for result in report.results:
            failed = result.failures(exact=exact)
            if failed:
                raise CheckError(
                    f"{self._path}: the self-test of {result.entry!r} failed: "
                    + "; ".join(map(str, failed[:5]))
                    + (f"; and {len(failed) - 5} more" if len(failed) > 5 else "")
                    + packed_elsewhere(self.mount.manifest),
                    entry=result.entry,
                    difference=result.largest,
                    report=report,
                )
        return report
