"""One open case as a package below `wardian.live`: its life, and the ways into it."""

from __future__ import annotations

import hashlib
import importlib
import linecache
import os
import sys
import types
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from wardian.archive import ArchiveReader, FolderReader
from wardian.domain.manifest import Manifest
from wardian.domain.names import RecordName, top_level
from wardian.environment.modules import is_module, variables_of
from wardian.errors import ModuleNotInCaseError
from wardian.loading.importing.contents import Contents
from wardian.loading.importing.files import CaseFiles, FolderFiles
from wardian.loading.importing.libraries import link_for
from wardian.loading.importing.operators import DeclaredOperators
from wardian.loading.stand_ins.externs import LackingExterns
from wardian.reading.storage_checks import StorageChecks
from wardian.trust.gate import Gate

__all__ = ["Mount"]


class Mount:
    """One open case as a package.

    Args:
        name: Full name of the package.
        archive: The open archive.
        manifest: Its manifest.
        guests: Objects of the owner that packed code may import, by top-level name.
        allows: Tells of an absolute name that is not in the archive whether packed code may import it from
            the environment. None allows everything.
        attributes: Globals that every packed module has from the start.
        shared: Packed top-level names for which the installed modules are served.
    """

    def __init__(
        self,
        name: str,
        archive: ArchiveReader | FolderReader,
        manifest: Manifest,
        *,
        guests: Mapping[str, Any] | None = None,
        allows: Callable[[str], bool] | None = None,
        attributes: Mapping[str, Any] | None = None,
        shared: frozenset[str] = frozenset(),
    ) -> None:
        self.name = name
        self.archive = archive
        self.manifest = manifest
        self.gate = Gate(archive, manifest)
        self.guests = dict(guests or {})
        self.allows = allows
        self.shared = shared
        self.attributes = dict(attributes or {})
        self.contents = Contents(archive, manifest, self.guests)
        self.lacking = LackingExterns(manifest, archive.label, self.contents.absent)
        self.operators = DeclaredOperators(manifest)
        self.storages = StorageChecks(archive)
        self.files = self._make_files()
        self.users = 0
        self.loaded: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        """Objects that were loaded and are still there."""
        self.aliases: set[str] = set()
        """Further full names, under which pickles know it that were made when its file had another name."""
        self.has_run = False
        """Whether any code of the case has run."""
        self.registers = False
        """Whether a module that ran mentions tables of PyTorch that others may have filled."""
        self.builtins: dict[str, Any] | None = None
        """Builtins for modules that import at run time, once there is one."""

    def _make_files(self) -> CaseFiles | FolderFiles:
        archive, manifest = self.archive, self.manifest
        if isinstance(archive, FolderReader):
            return FolderFiles(archive.path)  # they are where they are
        libraries = {RecordName(library.record): library for library in manifest.libraries}

        def link(record: RecordName) -> str | None:
            return link_for(libraries[record], manifest.records[record])

        whole = sorted({*manifest.materialised} - self.contents.top_levels)
        return CaseFiles(archive, self._digest_of_files, manifest.records, libraries, link, whole)

    def _digest_of_files(self) -> str:
        """Return the digest of the case; of torch.package of all records that may become files."""
        if self.archive.digest is not None:
            return self.archive.digest
        digest = hashlib.sha256()
        for name in sorted(self.archive.names):
            if not name.startswith("."):
                content = hashlib.sha256(self.archive.read(name)).hexdigest()
                digest.update(f"{name}\0{content}\n".encode())
        return digest.hexdigest()

    def show_sources(self) -> None:
        """Let `linecache` find the lines of the modules that were imported, as it does of those in files."""
        for name, module in sys.modules.copy().items():
            if name.startswith(self.name + ".") and is_module(module):
                scope = variables_of(module)  # a deferred package goes on waiting
                if isinstance(scope.get("__file__"), str):
                    linecache.lazycache(scope["__file__"], scope)

    def full_name(self, module: str) -> str:
        """Return the full name of a module by its own dotted name; "" is the mount itself."""
        return f"{self.name}.{module}" if module else self.name

    def own_name(self, module: str) -> str | None:
        """Return the own dotted name of a module of this mount by its full name; None if it is of no such."""
        return module[len(self.name) + 1 :] if module.startswith(self.name + ".") else None

    def module_at(self, path: str | os.PathLike[str]) -> str | None:
        """Return the dotted name of the packed module whose source would be at *path*, or None."""
        record = self.files.record_at(os.fspath(path))
        return None if record is None else self.contents.module_of_record(record)

    def import_module(self, name: str) -> types.ModuleType:
        """Import a packed module by its own dotted name."""
        return importlib.import_module(self.full_name(name))

    def import_packed(self, name: str) -> types.ModuleType:
        """Import a module for packed code, by its own dotted name.

        Raises:
            ModuleNotInCaseError: if it is of the user's, of whose modules those are in a case that something
                leads to.
            ImportError: as any import.
        """
        full = self.full_name(name)
        try:
            return importlib.import_module(full)
        except ModuleNotFoundError as error:
            missing_here = type(error) is ModuleNotFoundError and f"{full}.".startswith(f"{error.name}.")
            is_users = top_level(name) in self.contents.first_party
            if not missing_here or self.allows is not None or not is_users:
                raise
            raise ModuleNotInCaseError(
                f"No module named {name!r} in {self.archive.label}:"
                " nothing led to it when the case was packed\n"
                "    fix: pack with inputs that make the object import it, or import it in a module that the"
                " object uses",
                name=name,
            ) from None

    def check_external(self, name: str) -> None:
        """Refuse a module that was not there when the case was made, or that packed code may not import.

        Raises:
            ModuleNotInCaseError: which is a ModuleNotFoundError, so that packed code that can do without
                it goes on as it did then.
        """
        if self.contents.is_absent(name):
            raise ModuleNotInCaseError(
                f"No module named {name!r}: it was not installed when this case was packed", name=name
            )
        if self.allows is not None and not self.allows(name):
            raise ModuleNotInCaseError(
                f"No module named {name!r} in the package, and it is none of its external modules; export "
                f'again with .intern("{name}") or .extern("{name}")',
                name=name,
            )

    def find_global(self, module: str, qualname: str) -> Any:
        """Return the class or function that a pickle or an entry point names, for "" the module itself.

        Raises:
            ModuleNotInCaseError: if the module is neither in the case nor in the environment.
            AttributeError: if the module lacks it.
        """
        found: Any
        if self.contents.answers_for(module):
            found = self.import_module(module)
        else:
            self.check_external(module)
            found = importlib.import_module(module)
        for part in qualname.split(".") if qualname else ():
            found = getattr(found, part)
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        # Picklers that take modules by value meet it behind a loader.
        return _find_again, (self.name,)


def _find_again(name: str) -> Mount:
    loader: Any = importlib.import_module(name).__loader__
    mount = loader.mount
    assert isinstance(mount, Mount)
    return mount
