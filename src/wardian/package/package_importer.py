"""Read packages."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.util import decode_source
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any

import torch

from wardian.archive import ArchiveReader, FolderReader
from wardian.domain.live_names import is_live
from wardian.domain.manifest import Manifest
from wardian.domain.names import RecordName, record_name, top_level
from wardian.domain.record_names import BYTE_ORDER, OF_WARDIAN, PYTHON_VERSION, SERIALIZATION_ID, VERSION
from wardian.errors import CorruptCaseError, NotACaseError, WardianError
from wardian.loading.objects import Loading
from wardian.loading.open_mounts import acquire_private, release
from wardian.package._mangling import PackageMangler
from wardian.package._storages import SharedStorages
from wardian.package.file_structure_representation import Directory, make_directory
from wardian.package.glob_group import GlobPattern
from wardian.package.importer import Importer
from wardian.reading.foreign import allowed_externs, extern_modules, is_allowed, read_manifest

if TYPE_CHECKING:
    from wardian.loading.importing.mount import Mount

__all__ = [
    "CorruptPackageError",
    "NotAPackageError",
    "PackageImporter",
    "PackageNotFoundError",
    "PackageResourceReader",
    "ResourceNotFoundError",
]


class ResourceNotFoundError(WardianError, RuntimeError, FileNotFoundError):
    """A package has no file of the name."""


class PackageNotFoundError(WardianError, RuntimeError, FileNotFoundError):
    """There is no file to load a package from."""


class NotAPackageError(NotACaseError, RuntimeError):
    """A file is of another kind, or an archive that is no package."""


class CorruptPackageError(CorruptCaseError, RuntimeError):
    """The file of a package is damaged."""


class PackageImporter(Importer):
    """Load code, objects and files from a package.

    Its modules go when it is closed; or, at a full run of the garbage collector, when neither the importer
    nor anything that was loaded from it is there.

    Packed code is loaded from the package and imports only what is in it, the standard library, PyTorch,
    and the external modules it was exported with. Every importer has modules of its own, also of one
    file; they are ordinary modules below a name that only this importer has.

    Args:
        file_or_buffer: A path of a file, or of the folder that one was extracted to; or a binary file.
        module_allowed: Called with the name of each external module; if it returns False for one, nothing
            is loaded.

    Attributes:
        filename: The path, `<binary>` for a file without one.
        extern_modules: The external modules.

    Raises:
        TypeError: if *file_or_buffer* is anything else.
        ImportError: if an external module is not allowed.
        PackageNotFoundError: if there is no such file; it is a `FileNotFoundError`.
        NotAPackageError, CorruptPackageError: if the file cannot be used. These three are a `RuntimeError`,
            too, which is what torch.package raises.

    >>> importer = PackageImporter("model.pt")
    >>> importer.load_pickle("model", "model.pkl")
    [1, 2]
    """

    def __init__(
        self,
        file_or_buffer: str | os.PathLike[str] | IO[bytes] | torch._C.PyTorchFileReader,
        module_allowed: Callable[[str], bool] = lambda module_name: True,
    ) -> None:
        archive = _open(file_or_buffer)
        try:
            self.filename = (
                os.fspath(file_or_buffer)
                if isinstance(file_or_buffer, str | os.PathLike)
                else "<pytorch_file_reader>"
                if isinstance(file_or_buffer, torch._C.PyTorchFileReader)
                else "<binary>"
            )
            with _as_package_errors():
                self.extern_modules = extern_modules(archive)
                manifest = read_manifest(archive)
            for name in self.extern_modules:
                if not module_allowed(name):
                    raise ImportError(
                        f"{self.filename} needs the external module {name!r}, which is not allowed", name=name
                    )
        except BaseException:
            archive.close()
            raise
        self._archive = archive
        self._loads = threading.local()
        self._shared = SharedStorages()
        allowed = self._allowed = allowed_externs(self.extern_modules)
        self.mount: Mount = acquire_private(
            archive.path.stem if archive.path is not None else "package",
            archive,
            manifest,
            guests={"torch_package_importer": self},
            allows=(lambda name: is_allowed(name, allowed)) if _is_package(manifest) else None,
            attributes={"__torch_package__": True},
            is_alone=True,
        )
        self.mount.gate.source = file_or_buffer if isinstance(file_or_buffer, str | os.PathLike) else None
        self._mangler = PackageMangler(self.mount.name)

    def __repr__(self) -> str:
        return f"<PackageImporter {self.filename} ({self.mount.name})>"

    def close(self) -> None:
        """Remove the modules of this importer; objects that were loaded stay, but cannot import any more."""
        if self.mount.users:
            release(self.mount)

    def import_module(self, name: str, package: str | None = None) -> ModuleType:
        """Import a module of the package, or an external one.

        Args:
            name: Its dotted name, either as it was exported or as loaded objects have it in `__module__`.
            package: Not used.

        Raises:
            TypeError: if *name* is not a str.
            ValueError: if it is empty.
            ModuleNotFoundError: if the package has no such module, and it is not external.
        """
        name = self._own_name(name)
        if not name:
            raise ValueError("Empty module name")
        if name in self.mount.guests:
            return self.mount.guests[name]  # type: ignore[no-any-return]
        top = top_level(name)
        if top in self.mount.contents.top_levels:
            return self.mount.import_module(name)
        if is_live(name):
            raise ModuleNotFoundError(f"{name} is from another package than {self!r}", name=name)
        self.mount.check_external(name)
        if self.mount.allows is not None and not is_allowed(top, self._allowed, above=False):
            # Only something below it is external: the package has a folder of that name, and no more.
            return self.mount.import_module(name)
        return importlib.import_module(name)

    def load_pickle(self, package: str | ModuleType, resource: str, map_location: Any = None) -> Any:
        """Load an object.

        Args:
            package: Dotted name of the package that it lies in.
            resource: Name of the file.
            map_location: Where tensors go, as for `torch.load`.

        Raises:
            ModuleNotFoundError: if there is no such package.
            ResourceNotFoundError: if it has no such file.
            CorruptCaseError: if the file is damaged.
        """
        record = self._record(package, resource)
        loading = Loading(self.mount, map_location, self)
        copy = self._shared.copy_for(record, map_location)
        loading.storages.share(copy.storages())
        with self._current(loading):
            loaded = loading.load(record)
        copy.note(loading.storages.loaded)
        return loaded

    def load_text(
        self, package: str | ModuleType, resource: str, encoding: str = "utf-8", errors: str = "strict"
    ) -> str:
        """Return the content of a text file.

        Args:
            package: Dotted name of the package that it lies in.
            resource: Name of the file.
            encoding: As for `bytes.decode`.
            errors: As for `bytes.decode`.
        """
        return self.load_binary(package, resource).decode(encoding, errors)

    def load_binary(self, package: str | ModuleType, resource: str) -> bytes:
        """Return the content of a file.

        Args:
            package: Dotted name of the package that it lies in.
            resource: Name of the file.

        Raises:
            ModuleNotFoundError: if there is no such package.
            ResourceNotFoundError: if it has no such file.
        """
        return self._archive.read(self._record(package, resource))

    def file_structure(self, *, include: GlobPattern = "**", exclude: GlobPattern = ()) -> Directory:
        """Return the files of the package as a tree, without what Wardian adds to describe them.

        Args:
            include: Pattern or patterns of paths, with `/` between the parts.
            exclude: Patterns of paths to leave out.
        """
        names = [name for name in self._archive.names if not name.startswith(OF_WARDIAN)]
        return make_directory(self.filename, names, include, exclude)

    def python_version(self) -> str | None:
        """Return the version of Python that exported the package, None if that is not known."""
        if PYTHON_VERSION not in self._archive:
            return None
        with self._decoding(PYTHON_VERSION):
            return self._archive.read(PYTHON_VERSION).decode().strip()

    def id(self) -> str:
        """Return the name below which the modules of this importer are."""
        return self._mangler.parent_name()

    def get_source(self, module_name: str) -> str:
        """Return the source of a module of the package.

        Args:
            module_name: Its dotted name, as it was exported or as loaded objects have it in `__module__`.

        Raises:
            ModuleNotFoundError: if the package has no source of that name.
            CorruptPackageError: if it is not in the encoding that it says, or in UTF-8.
        """
        packed = self.mount.contents.modules.get(self._own_name(module_name))
        if packed is None:
            raise ModuleNotFoundError(
                f"No module named {module_name!r} with source in {self.filename}", name=module_name
            )
        with self._decoding(packed.record):
            return decode_source(self._archive.read(packed.record))

    def get_resource_reader(self, fullname: str) -> PackageResourceReader | None:
        """Return a reader of the files of a package, None if there is no such package.

        Args:
            fullname: Its dotted name.
        """
        name = self._own_name(fullname)
        return PackageResourceReader(self, name) if self._is_package(name) else None

    @property
    def modules(self) -> dict[str, ModuleType]:  # type: ignore[override]
        """The modules of the package that are imported, by the names they were exported under."""
        prefix = f"{self.mount.name}."
        return {
            name[len(prefix) :]: module
            for name, module in sys.modules.copy().items()
            if name.startswith(prefix)
        }

    def whichmodule(self, obj: Any, name: str) -> str:
        """Return the name of the module that *obj* says, or is found, to be from.

        Args:
            obj: What to look for.
            name: Its name within its module.
        """
        found = super().whichmodule(obj, name)
        if found == "__main__" and getattr(obj, "__module__", None) is None:
            # Such as torch.float16: pickle finds it in the environment.
            from wardian.pickling.pickler import module_of

            found = module_of(obj, name)
        return found

    @property
    def zip_reader(self) -> Any:
        """The package as PyTorch's own reader; of a folder, as it is when this is first asked for."""
        reader = self.__dict__.get("_reader")
        if reader is None:
            from wardian.tensors.scripts import open_for_scripts

            reader = self.__dict__["_reader"] = open_for_scripts(self._archive)
        return reader

    @property
    def storage_context(self) -> Any:
        """The context by which objects of TorchScript share storages while an object is loaded; else None."""
        loading: Loading | None = getattr(self._loads, "current", None)
        return None if loading is None else loading.storage_context

    @property
    def last_map_location(self) -> Any:
        """The `map_location` of the load that is going on in this thread, if there is one."""
        loading: Loading | None = getattr(self._loads, "current", None)
        return None if loading is None else loading.last_map_location

    @contextlib.contextmanager
    def _current(self, loading: Loading) -> Iterator[None]:
        before = getattr(self._loads, "current", None)
        self._loads.current = loading
        try:
            yield
        finally:
            self._loads.current = before

    @contextlib.contextmanager
    def _decoding(self, record: RecordName) -> Iterator[None]:
        try:
            yield
        except (UnicodeDecodeError, SyntaxError) as error:
            raise CorruptPackageError(
                f"{self.filename}: record {record!r} is no text: {error}", path=self.filename, record=record
            ) from None

    def _own_name(self, name: str) -> str:
        """Return the name under which a module was exported, for that and for the one it has here."""
        if not isinstance(name, str):
            raise TypeError(f"the name of a module is a str, not {type(name).__name__}")
        return self._mangler.demangle(name)

    def _is_package(self, name: str) -> bool:
        packed = self.mount.contents.modules.get(name)
        return packed.is_package if packed is not None else self.mount.contents.has_module(name)

    def _record(self, package: str | ModuleType, resource: str) -> RecordName:
        name = package.__name__ if isinstance(package, ModuleType) else package
        if isinstance(resource, os.PathLike):
            resource = os.fspath(resource)
        if not isinstance(name, str) or not isinstance(resource, str):
            raise TypeError(f"package and resource are names, not {package!r} and {resource!r}")
        name = self._own_name(name)
        if not resource or os.path.basename(resource) != resource or "/" in resource:
            raise ValueError(f"{resource!r} must be only a file name, without folders")
        if not self.mount.contents.has_module(name):
            raise ModuleNotFoundError(f"No module named {name!r} in {self.filename}", name=name)
        if not self._is_package(name):
            raise TypeError(f"{name!r} is not a package but a module, and has no files")
        record = record_name(f"{name.replace('.', '/')}/{resource}")
        if record not in self._archive:
            raise ResourceNotFoundError(
                f"{self.filename} has no file {record!r}", package=name, resource=resource
            )
        return record


class PackageResourceReader:
    """The files of one package; an `importlib.abc.ResourceReader`.

    Args:
        importer: The importer.
        package: Dotted name of the package.
    """

    def __init__(self, importer: PackageImporter, package: str) -> None:
        self._importer = importer
        self._package = package

    def open_resource(self, resource: str) -> io.BytesIO:
        """Return a file opened for reading.

        Raises:
            FileNotFoundError: if there is no such file.
        """
        return io.BytesIO(self._importer.load_binary(self._package, resource))

    def resource_path(self, resource: str) -> str:
        """Return the path of a file.

        Raises:
            FileNotFoundError: if the package is not an extracted one, or has no such file.
        """
        archive = self._importer._archive
        record = f"{self._package.replace('.', '/')}/{resource}"
        if isinstance(archive, FolderReader) and record in archive:
            return str(archive.path / record)
        raise FileNotFoundError(f"{record} is not a file on the disk")

    def is_resource(self, name: str) -> bool:
        """Tell whether *name* is a file of the package."""
        return f"{self._package.replace('.', '/')}/{name}" in self._importer._archive

    def contents(self) -> Iterator[str]:
        """Yield the names of the files and folders in the package."""
        start = self._package.replace(".", "/") + "/"
        names = self._importer._archive.names
        yield from dict.fromkeys(n[len(start) :].partition("/")[0] for n in names if n.startswith(start))


def _open(source: Any) -> ArchiveReader | FolderReader:
    if isinstance(source, torch._C.PyTorchFileReader):
        return ArchiveReader.open(_rezip(source))
    is_path = isinstance(source, str | os.PathLike)
    if not is_path and not callable(getattr(source, "read", None)):
        raise TypeError(f"a path or a binary file is needed, not {type(source).__name__}")
    with _as_package_errors():
        return FolderReader(source) if is_path and os.path.isdir(source) else ArchiveReader.open(source)


@contextlib.contextmanager
def _as_package_errors() -> Iterator[None]:
    """Let errors of files be what those of torch.package are, too."""
    try:
        yield
    except FileNotFoundError as error:
        raise PackageNotFoundError(
            f"there is no package {error.filename!r}", filename=error.filename
        ) from error
    except NotACaseError as error:
        raise NotAPackageError(error.message, path=error.path) from error
    except CorruptCaseError as error:
        raise CorruptPackageError(error.message, path=error.path, record=error.record) from error


def _rezip(reader: Any) -> bytes:
    """Return the archive that PyTorch's reader has open, which does not say where it is from."""
    buffer = io.BytesIO()
    writer = torch._C.PyTorchFileWriter(buffer)
    for name in reader.get_all_records():
        # These the writer makes by itself.
        own = (VERSION, "version", BYTE_ORDER, SERIALIZATION_ID, ".format_version")
        if name not in own and not name.startswith(OF_WARDIAN):
            data = reader.get_record(name)
            writer.write_record(name, data, len(data))
    writer.write_end_of_file()
    return buffer.getvalue()


def _is_package(manifest: Manifest) -> bool:
    """Tell whether a manifest is of a package, and not of a case that `wardian.pack` made.

    Its entries are named by their records (docs/reference/format.md, 3), and its externs are complete.
    """
    return all(entry.name == entry.record for entry in manifest.entries)
