"""The root package of an open case: which modules it serves, and from where."""

from __future__ import annotations

import hashlib
import importlib
import importlib.machinery
import importlib.util
import inspect
import linecache
import os
import sys
import threading
import types
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from packaging.utils import canonicalize_name

from wardian.archive import ArchiveReader, FolderReader
from wardian.environment import LEFT_OUT, variables_of
from wardian.errors import MissingExternError, ModuleNotInCaseError
from wardian.live.files import CaseFiles, FolderFiles
from wardian.live.finder import AliasLoader, CaseLoader, FolderLoader, RootLoader
from wardian.live.hooks import make_builtins, make_shim
from wardian.live.integrity import StorageChecks
from wardian.live.libraries import is_missing, link_for
from wardian.live.mocks import LeftOutLoader, MockLoader
from wardian.live.stand_ins import StandIn, find_stand_ins, missing
from wardian.manifest import Extern, Manifest
from wardian.names import LOGGING_LIBRARIES, ModuleName, RecordName, ancestors
from wardian.rewrite import SHIMMED
from wardian.source import find_unguarded_imports

__all__ = ["PackedModule", "Root"]


@dataclass(frozen=True, slots=True)
class PackedModule:
    """A module of a case."""

    name: ModuleName
    record: RecordName
    is_package: bool
    bytecode: RecordName | None

    @property
    def top_level(self) -> str:
        """The first part of its name."""
        return self.name.partition(".")[0]


class Root:
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
        self.guests = dict(guests or {})
        self.allows = allows
        self.shared = shared
        self.attributes = dict(attributes or {})
        self.roots = manifest.roots
        self.first_party = frozenset(
            top for packed in manifest.distributions if packed.version is None for top in packed.roots
        )
        self.rewritten = self.roots | SHIMMED | frozenset(self.guests)
        self.users = 0
        self.loaded: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        """Objects that were loaded and are still there."""
        self.aliases: set[str] = set()
        """Further full names, under which pickles know it that were made when its file had another name."""
        self.registers = False
        """Whether a module that ran mentions tables of PyTorch that others may have filled."""
        libraries = {RecordName(library.record): library for library in manifest.libraries}

        def link(record: RecordName) -> str | None:
            return link_for(libraries[record], manifest.records[record])

        self.files: CaseFiles | FolderFiles = (
            FolderFiles(archive.path)  # they are where they are
            if isinstance(archive, FolderReader)
            else CaseFiles(
                archive,
                self._digest_of_files,
                manifest.records,
                libraries,
                link,
                sorted({*manifest.materialised} - self.roots),
            )
        )
        self.storages = StorageChecks(archive)
        self._deferred = frozenset(manifest.deferred)
        self._mocks = frozenset(manifest.mocks)
        self.absent = frozenset(manifest.absent)
        self._label = str(archive.path or "<memory>")
        self._lock = threading.Lock()
        self._declared: tuple[str, ...] | None = None
        self._unguarded: dict[str, frozenset[int]] = {}
        self._packed = frozenset(
            str(canonicalize_name(d.name)) for d in manifest.distributions if d.version is not None
        )
        self._extern_distributions = frozenset(
            str(canonicalize_name(e.distribution)) for e in manifest.externs if e.distribution is not None
        )

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

    @cached_property
    def modules(self) -> dict[str, PackedModule]:
        """Packed modules by their own dotted name."""
        tag = sys.implementation.cache_tag
        modules: dict[str, PackedModule] = {}
        names = set(self.archive.names)
        for name in self.archive.names:
            if not name.endswith(".py") or name.startswith("."):
                continue
            stem = name[:-3]
            is_package = stem.endswith("/__init__")
            dotted = (stem[: -len("/__init__")] if is_package else stem).replace("/", ".")
            bytecode = RecordName(f".wardian/bytecode/{tag}/{stem}.pyc")
            if dotted not in modules or is_package:
                modules[dotted] = PackedModule(
                    ModuleName(dotted), name, is_package, bytecode if bytecode in names else None
                )
        for dotted in self.manifest.bytecode_only:  # modules and, under names of no record, functions
            for is_package in (False, True):
                stem = dotted.replace(".", "/") + ("/__init__" if is_package else "")
                bytecode = RecordName(f".wardian/bytecode/{tag}/{stem}.pyc")
                if bytecode in names and dotted not in modules:
                    record = RecordName(f"{stem}.py")
                    modules[dotted] = PackedModule(ModuleName(dotted), record, is_package, bytecode)
        return modules

    @cached_property
    def _namespaces(self) -> frozenset[ModuleName]:
        found: set[ModuleName] = set()
        for dotted in (*self.modules, *self._mocks):
            found.update(ancestors(ModuleName(dotted)))
        folders = {name.rpartition("/")[0] for name in self.archive.names if not name.startswith(".")}
        for folder in folders - {""}:
            dotted = folder.replace("/", ".")
            found.update((*ancestors(ModuleName(dotted)), ModuleName(dotted)))
        for extern in self.manifest.externs:
            for dotted in extern.modules:
                found.update(ancestors(ModuleName(dotted)))
        return frozenset(found)

    @cached_property
    def builtins(self) -> dict[str, Any]:
        """Builtins for modules that import at run time."""
        return make_builtins(self)

    @cached_property
    def lacking(self) -> Mapping[str, tuple[Extern, StandIn]]:
        """The soft externs that are not installed, with their stand-ins, by top-level name."""
        return find_stand_ins(self.manifest, self._label)

    @cached_property
    def hidden(self) -> frozenset[str]:
        """Top-level names that packed code does not get from the environment."""
        return self.absent | self.lacking.keys()

    def check_lacking(self, name: str) -> None:
        """Refuse a module of a soft extern that is not installed.

        Raises:
            MissingExternError: which says what to install.
        """
        found = self.lacking.get(name.partition(".")[0])
        if found is not None:
            raise missing(found[0], f"the module {name}", self._label)

    def import_lacking(self, name: str, importer: types.FrameType) -> StandIn:
        """Return the stand-in that an import of *name* gets, a soft extern that is not installed.

        Args:
            name: An absolute dotted name.
            importer: The frame that imports.

        Raises:
            MissingExternError: if the importer can do without, or imports it because it is going to use it:
                in a `try` that handles ImportError, or in a function.
        """
        top, *below = name.split(".")
        if importer.f_code.co_flags & inspect.CO_OPTIMIZED:
            can_do_without = top not in LOGGING_LIBRARIES
        else:
            can_do_without = not self._is_unguarded(importer)
        if can_do_without:
            self.check_lacking(name)
        _, stand_in = self.lacking[top]
        for part in below:
            stand_in = getattr(stand_in, part)
        return stand_in

    def _is_unguarded(self, importer: types.FrameType) -> bool:
        module = self.modules.get(importer.f_globals.get("__name__", "")[len(self.name) + 1 :])
        if module is None or module.record not in self.archive:  # bytecode without source
            return True
        lines = self._unguarded.get(module.record)
        if lines is None:
            source = self.archive.read(module.record)
            lines = self._unguarded[module.record] = find_unguarded_imports(source, module.record)
        return importer.f_lineno in lines

    def go_on_after_fork(self) -> None:
        """Release the locks that threads of the parent process hold."""
        self._lock._at_fork_reinit()  # type: ignore[attr-defined]  # noqa: SLF001
        self.storages.go_on_after_fork()

    def declare_operators(self) -> None:
        """Declare the operators of libraries that cannot be loaded here, once."""
        with self._lock:
            if self._declared is not None:
                return
            self._declared = ()
            missing_libraries = [library for library in self.manifest.libraries if is_missing(library)]
            if missing_libraries:
                from wardian.tensors.operators import declare

                library = missing_libraries[0]
                top = library.record.partition("/")[0]

                def refuse(operator: str) -> MissingExternError:
                    return MissingExternError(
                        f"the operator {operator} is in {library.record}, which was built for torch"
                        f" {library.torch} on {library.system} {library.machine} and cannot be loaded here\n"
                        f"    fix: install {top} for this torch: pip install {top}",
                        name=top,
                        distribution=top,
                        version=None,
                    )

                self._declared = declare(library.operators, refuse)

    def withdraw_operators(self) -> None:
        """Undo `declare_operators`."""
        with self._lock:
            if self._declared:
                from wardian.tensors.operators import withdraw

                withdraw(self._declared)
            self._declared = ()

    def is_module(self, name: str) -> bool:
        """Tell whether the case has a module of this dotted name."""
        return name in self.modules or name in self._namespaces or name in self._mocks

    def is_deferred(self, package: str) -> bool:
        """Tell whether the `__init__` of *package* may wait."""
        return package in self._deferred

    def children(self, package: str) -> list[tuple[str, bool]]:
        """Return (name, whether it is a package) of the modules right below *package*, sorted."""
        return [
            (name.rpartition(".")[2], module.is_package)
            for name, module in sorted(self.modules.items())
            if name.rpartition(".")[0] == package
        ]

    def show_sources(self) -> None:
        """Let `linecache` find the lines of the modules that were imported, as it does of those in files."""
        for name, module in list(sys.modules.items()):
            if name.startswith(self.name + ".") and isinstance(module, types.ModuleType):
                scope = variables_of(module)  # a deferred package goes on waiting
                if isinstance(scope.get("__file__"), str):
                    linecache.lazycache(scope["__file__"], scope)

    def run_whole(self) -> None:
        """Let no package wait: whoever watches the imports shall see them all."""
        self._deferred = frozenset()

    def serves(self, name: str) -> bool:
        """Tell whether an absolute import of *name* in packed code means a module below this root."""
        return name.partition(".")[0] in self.rewritten

    def import_packed(self, name: str) -> types.ModuleType:
        """Import a module that the root serves, by its own dotted name.

        Raises:
            ModuleNotInCaseError: if it is of the user's, of whose modules those are in a case that something
                leads to.
            ImportError: as any import.
        """
        full = f"{self.name}.{name}"
        try:
            return importlib.import_module(full)
        except ModuleNotFoundError as error:
            missing_here = type(error) is ModuleNotFoundError and f"{full}.".startswith(f"{error.name}.")
            if not missing_here or self.allows is not None or name.partition(".")[0] not in self.first_party:
                raise
            raise ModuleNotInCaseError(
                f"No module named {name!r} in {self._label}: nothing led to it when the case was packed\n"
                "    fix: pack with inputs that make the object import it, or import it in a module that the"
                " object uses",
                name=name,
            ) from None

    def packs(self, name: str) -> bool:
        """Tell whether the top-level name of *name* is packed."""
        return name.partition(".")[0] in self.roots

    def module_at(self, path: str | os.PathLike[str]) -> str | None:
        """Return the dotted name of the packed module whose source would be at *path*, or None."""
        record = self.files.record_at(os.fspath(path))
        return None if record is None else self._by_record.get(record)

    @cached_property
    def _by_record(self) -> dict[str, str]:
        return {module.record: name for name, module in self.modules.items()}

    def is_absent(self, name: str) -> bool:
        """Tell whether *name* was not there when the case was made, and so is hidden."""
        return name.partition(".")[0] in self.absent

    def check_external(self, name: str) -> None:
        """Refuse a module that was not there when the case was made, or that packed code may not import.

        Raises:
            ModuleNotInCaseError: which is a ModuleNotFoundError, so that packed code that can do without
                it goes on as it did then.
        """
        if self.is_absent(name):
            raise ModuleNotInCaseError(
                f"No module named {name!r}: it was not installed when this case was packed", name=name
            )
        if self.allows is not None and not self.allows(name):
            raise ModuleNotInCaseError(
                f"No module named {name!r} in the package, and it is none of its external modules; export "
                f'again with .intern("{name}") or .extern("{name}")',
                name=name,
            )

    def top_level_of(self, module: str) -> str | None:
        """Return the own top-level name of a module of this root by its full name."""
        return module[len(self.name) + 1 :].partition(".")[0] if module.startswith(self.name + ".") else None

    def packs_distribution(self, name: str) -> bool:
        """Tell whether the case has distribution *name*."""
        return str(canonicalize_name(name)) in self._packed

    def hides_distribution(self, name: str) -> bool:
        """Tell whether distribution *name* was not there when the case was made."""
        return name in self.absent or name.replace("-", "_") in self.absent

    def metadata_of(self, distribution: str, filename: str) -> bytes | None:
        """Return a `.dist-info` file of a packed distribution, or None."""
        record = RecordName(f".wardian/metadata/{canonicalize_name(distribution)}/{filename}")
        return self.archive.read(record) if record in self.archive else None

    def find_spec(self, module: str) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a module by its own dotted name; "" is the root itself."""
        fullname = f"{self.name}.{module}" if module else self.name
        if not module:
            return importlib.machinery.ModuleSpec(fullname, RootLoader(self), is_package=True)
        if module in self.guests:
            return importlib.machinery.ModuleSpec(fullname, AliasLoader(self.guests[module]))
        if module.partition(".")[0] in self.shared:
            return self._extern_below_packed(module, fullname)
        packed = self.modules.get(module)
        if packed is not None:
            loader = CaseLoader(self, packed)
            locations = [os.path.dirname(loader.path)] if packed.is_package else None
            return importlib.util.spec_from_file_location(
                fullname, loader.path, loader=loader, submodule_search_locations=locations
            )
        if module in self._mocks:
            return importlib.machinery.ModuleSpec(fullname, MockLoader(module), is_package=True)
        if module.partition(".")[0] in (SHIMMED | {"sys"}) - self.roots:
            shim = make_shim(self, module)
            return (
                None
                if shim is None
                else importlib.machinery.ModuleSpec(fullname, AliasLoader(shim), is_package=True)
            )
        if module in self._namespaces:
            if self._is_extern(module):
                return self._extern_below_packed(module, fullname)
            folder = FolderLoader(self, module)
            spec = importlib.machinery.ModuleSpec(fullname, folder, is_package=True)
            spec.submodule_search_locations = [os.path.dirname(folder.path)]
            return spec
        if self._is_extern(module):
            return self._extern_below_packed(module, fullname)
        distribution = self.left_out.get(module)
        if distribution is None:
            return None
        return importlib.machinery.ModuleSpec(fullname, LeftOutLoader(module, distribution, self._label))

    @cached_property
    def left_out(self) -> Mapping[str, str]:
        """Modules that stayed outside because nothing could reach them, with what they are part of."""
        found: dict[str, str] = {}
        for packed in self.manifest.distributions:
            names = self.metadata_of(packed.name, LEFT_OUT) if packed.version is not None else None
            for name in (names or b"").decode().split():
                found[name] = f"{packed.name} {packed.version}"
        return found

    def _is_extern(self, module: str) -> bool:
        return any(
            module == m or module.startswith(m + ".")
            for extern in self.manifest.externs
            for m in extern.modules
        )

    def _extern_below_packed(self, module: str, fullname: str) -> importlib.machinery.ModuleSpec:
        # Part of a packed package can be an extern: a compiled module, or one that a rule names.
        target = importlib.import_module(module)
        return importlib.machinery.ModuleSpec(
            fullname, AliasLoader(target), is_package=hasattr(target, "__path__")
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Picklers that take modules by value meet it behind a loader.
        return _find_again, (self.name,)

    def import_module(self, name: str) -> types.ModuleType:
        """Import a packed module by its own dotted name."""
        return importlib.import_module(f"{self.name}.{name}")

    def find_global(self, module: str, qualname: str) -> Any:
        """Return the class or function that a pickle or an entry point names, for "" the module itself.

        Raises:
            ModuleNotInCaseError: if the module is neither in the case nor in the environment.
            AttributeError: if the module lacks it.
        """
        found: Any
        if self.serves(module):
            found = self.import_module(module)
        else:
            self.check_external(module)
            found = importlib.import_module(module)
        for part in qualname.split(".") if qualname else ():
            found = getattr(found, part)
        return found


def _find_again(name: str) -> Root:
    loader = importlib.import_module(name).__loader__
    assert isinstance(loader, RootLoader)
    return loader.root
