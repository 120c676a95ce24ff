"""An open case."""

from __future__ import annotations

import contextlib
import os
import types
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from wardian.archive import ArchiveReader, FolderReader
from wardian.domain.live_names import SHARED_SUFFIX
from wardian.domain.manifest import Entry, Manifest
from wardian.domain.names import RecordName, module_name
from wardian.errors import CaseError, ClosedCaseError, Problem
from wardian.loading.admission import Admission
from wardian.loading.entries import find_entry
from wardian.loading.groups import Groups
from wardian.loading.importing.mount import Mount
from wardian.loading.installed_library import find_shared
from wardian.loading.objects import Loading
from wardian.loading.open_mounts import acquire, is_same_file, release
from wardian.loading.weights import Weights
from wardian.reading.fit import find_problems
from wardian.reading.foreign import allowed_externs, extern_modules, is_allowed, read_manifest
from wardian.reading.opening import ArchiveSource, open_archive
from wardian.reading.storage_checks import StorageChecks, check_code
from wardian.wording import MissingNameError

if TYPE_CHECKING:
    import torch

    from wardian.inspection.audit import Audit
    from wardian.loading.checks import CheckReport
    from wardian.reading.licences import Licence
    from wardian.tensors.mapping import TensorMapping
    from wardian.trust.policies import Trust

__all__ = ["Case"]


# Above 300 lines, most of them docstrings: it has one method for each question of users, and others answer.
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
        self._verify = verify
        self._mmap = mmap
        self.manifest = manifest
        self._weights = Weights(path, verify=verify, mmap=mmap)
        self._groups = Groups(path)
        options: dict[str, Any] = {"shared": shared}
        if archive.kind == "torch.package":
            allowed = allowed_externs(extern_modules(archive))
            options["allows"] = lambda module: is_allowed(module, allowed)
            options["attributes"] = {"__torch_package__": True}
        # What was opened to be judged is not for child processes before it was.
        self._mount: Mount | None = acquire(stem, archive, manifest, name, is_told=trust is None, **options)
        if trust is not None:
            self._mount.gate.expect(trust)
        # Another file of the same digest may serve the case already; `verify` is asked about this one.
        self._file = archive
        if self._mount.archive is not archive and is_same_file(archive, self._mount.archive):
            archive.close()
            self._file = self._mount.archive
        self._admission = Admission(
            self._file, manifest, trust, path if source is None else source, storage_options
        )

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
        self._groups.clear()
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
        entry = find_entry(self.entries, name, self._path)
        group = self.manifest.groups.get(entry.name)
        if group is None or alone:
            return self._unpickle(entry.record, map_location)
        loaded = self._groups.take(
            group, entry.name, map_location, lambda: self._unpickle(group.record, map_location)
        )
        self._note(loaded)
        return loaded

    def _unpickle(self, record: str, map_location: Any = None) -> Any:
        mount = self.mount
        self._admission.require(mount)
        try:
            loaded = Loading(mount, map_location, verify=self._verify, mapped=self._mmap).load(record)
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
        self._admission.require(self.mount)
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
        from wardian.reading.importers import with_importers

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
        from wardian.reading.licences import find_licences

        return find_licences(self.mount.archive, self.mount.manifest)

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
        return self._weights.of(self.mount)

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
        return self._weights.prefetch(self.mount, patterns)

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
        entry = find_entry(self.entries, name, self._path)
        return self._weights.state_dict(self.mount, entry.name, map_location, only)

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

        entry = find_entry(self.entries, name, self._path)
        return fill(
            model,
            self._weights.of(self.mount, entry.name),
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
        (self.mount.storages if own else StorageChecks(self._file)).check_whole(self._path)

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
            EnvironmentMismatchError: if the environment lacks what the case needs.
            CorruptCaseError: if a record is damaged, be it only a source whose bytecode is whole.
            CheckError: if an output differs; `difference` has the largest difference of two numbers, `report`
                what was compared.

        >>> import tempfile, torch, wardian
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = wardian.pack(torch.nn.Linear(2, 1), f"{folder}/linear.case", inputs=(torch.ones(2),))
        ...     with wardian.open(f"{folder}/linear.case") as case:
        ...         print(case.check())
        model: the same, bit for bit
        """
        from wardian.loading.self_tests import require_passed, run_self_tests

        entries = self.entries if name is None else (find_entry(self.entries, name, self._path),)
        self._admission.require(self.mount)
        check_code(self._file)
        report = run_self_tests(entries, lambda record: self._unpickle(record, map_location))
        require_passed(report, self._path, self.mount.manifest, exact=exact)
        return report
