"""Loaders of packed modules, on CPython's own import machinery."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import os
import platform
import sys
import types
from importlib.readers import FileReader

from wardian.domain.live_names import is_live
from wardian.domain.names import top_level
from wardian.environment.modules import is_instance, known_attribute
from wardian.errors import ClosedCaseError
from wardian.loading.closing.tables import HOOKING, note_hooks
from wardian.loading.importing.contents import PackedModule
from wardian.loading.importing.deferred import DeferredPackage
from wardian.loading.importing.mount import Mount
from wardian.loading.importing.shims.imports import builtins_for, needs_hooked_builtins
from wardian.loading.registering.installed_modules import note_registering
from wardian.loading.registering.second_copies import (
    calls_back,
    registers,
    tolerate_second_copies,
)
from wardian.source.mentions import mentioned_by

__all__ = ["AliasLoader", "CaseLoader", "FolderLoader", "MountLoader"]


class MountLoader(importlib.abc.Loader):
    """Make the mount package of a case."""

    def __init__(self, mount: Mount) -> None:
        self.mount = mount

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Return None: an ordinary module will do."""
        return

    def exec_module(self, module: types.ModuleType) -> None:
        """Do nothing: a mount has no code."""


class AliasLoader(importlib.abc.Loader):
    """Give a module of the environment, or one made by the mount, a name below the mount."""

    def __init__(self, target: types.ModuleType) -> None:
        self._target = target

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Return None: an ordinary module will do."""
        return

    def exec_module(self, module: types.ModuleType) -> None:
        """Put the target at the name."""
        # The import system returns what is in sys.modules after this call, so that the target keeps its
        # own __spec__ (importlib._bootstrap._load_unlocked).
        sys.modules[module.__name__] = self._target


class FolderLoader(importlib.abc.Loader):
    """Make a package that has no `__init__`: a folder with modules or data in it."""

    def __init__(self, mount: Mount, module: str) -> None:
        self.mount = mount
        self.module = module
        self.path = os.path.join(mount.files.path_of(module.replace(".", "/")), "__init__.py")

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Return None: an ordinary module will do."""
        return

    def exec_module(self, module: types.ModuleType) -> None:
        """Run nothing: there is no code."""
        module.__dict__.update(self.mount.attributes)

    def is_package(self, fullname: str) -> bool:
        """Return True."""
        return True

    def get_resource_reader(self, fullname: str) -> FileReader:
        """Return a reader of the folder, which is made for the purpose."""
        self.mount.files.materialise(top_level(self.module))
        return FileReader(self)  # type: ignore[arg-type]  # it reads only `path`


class CaseLoader(importlib.abc.SourceLoader):
    """Load one packed module from verified records.

    `SourceLoader` does the work: it asks `get_data` for the bytecode beside the source, checks that it
    fits the interpreter, sets the file name in its code objects, and else compiles the source with
    `source_to_code`.
    """

    def __init__(self, mount: Mount, module: PackedModule) -> None:
        self.mount = mount
        self.module = module
        self.name = f"{mount.name}.{module.name}"
        self.path = mount.files.path_of(module.record)

    def get_filename(self, fullname: str) -> str:
        """Return what `__file__` is."""
        return self.path

    def is_package(self, fullname: str) -> bool:
        """Tell whether the module is a package."""
        return self.module.is_package

    def path_stats(self, path: str) -> dict[str, float]:
        """Return constants: bytecode is found by digest, not by time and size.

        Raises:
            OSError: if *path* is not that of the source.
        """
        if path != self.path:
            raise OSError(f"no source at {path}")
        return {"mtime": 0, "size": 0}

    def get_data(self, path: str) -> bytes:
        """Return the content of a file of the case by the path it would have.

        Raises:
            OSError: if the case has no such file, or is closed.
        """
        try:
            return self._read(path)
        except ClosedCaseError as error:
            # Whoever shows a traceback expects no other error of a loader (linecache.updatecache).
            raise OSError(str(error)) from None

    def _read(self, path: str) -> bytes:
        if self.module.bytecode is not None and path == importlib.util.cache_from_source(self.path):
            return self.mount.archive.read(self.module.bytecode)
        record = self.mount.files.record_at(path)
        if record is None or record not in self.mount.archive:
            raise FileNotFoundError(f"the case has no file for {path}")
        return self.mount.archive.read(record)

    def source_to_code(self, data: bytes, path: str = "<string>") -> types.CodeType:  # type: ignore[override]
        """Compile the source with its imports of packed modules made relative."""
        from wardian.source.rewriting import compile_module  # most modules come with their bytecode

        try:
            return compile_module(
                bytes(data),
                self.module.name,
                is_package=self.module.is_package,
                filename=path,
                roots=self.mount.contents.rewritten,
            )
        except SyntaxError as error:
            packed = self.mount.manifest.python
            if packed.tag and packed.tag != sys.implementation.cache_tag:
                error.add_note(
                    f"the case was packed with Python {packed.version}, whose language this Python,"
                    f" {platform.python_version()}, does not know\n    fix: load it with {packed.version}"
                )
            raise

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        """Return a package that waits if it is deferred, else None for an ordinary module."""
        if self.module.is_package and self.mount.contents.is_deferred(self.module.name):
            return DeferredPackage(spec.name)
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        """Run the module, or let it wait if it is deferred."""
        if isinstance(module, DeferredPackage):
            code = self.get_code(module.__name__)
            assert code is not None
            module.__dict__["__wardian_deferred__"] = (code, self)
        else:
            self.run(module)

    def run(self, module: types.ModuleType, code: types.CodeType | None = None) -> None:
        """Execute the code of *module* in it."""
        code = code or self.get_code(module.__name__)
        assert code is not None
        mentioned = mentioned_by(code)
        self.mount.has_run = True
        self.mount.files.prepare(self.module.name, mentioned)
        self.mount.operators.declare()
        module.__dict__.update(self.mount.attributes)
        # Bytecode without source has its imports as they were written.
        if (
            self.mount.allows is not None
            or needs_hooked_builtins(mentioned, self.mount.lacking.hidden)
            or self.module.record not in self.mount.archive
        ):
            module.__dict__["__builtins__"] = builtins_for(self.mount)
        # Warnings show the line of code that way; what else shows lines brings the globals with it.
        linecache.lazycache(self.path, module.__dict__)
        if registers(mentioned):
            self.mount.registers = True
            note_registering(self.module.top_level)
        if mentioned.any_of(HOOKING):
            note_hooks(self.mount.name)
        with tolerate_second_copies(wanted=self.mount.registers or calls_back(mentioned)):
            exec(code, module.__dict__)
        self._correct_names(module)

    def _correct_names(self, module: types.ModuleType) -> None:
        """Give classes and functions that say of which packed module they are the name that it has here.

        Libraries write it down for what they define in private modules: `Layer.__module__ = "shop"`. Pickles,
        and whoever else looks there, would look for it in the environment.
        """
        for value in list(module.__dict__.values()):
            if not is_instance(value, type | types.FunctionType):
                continue
            attributes = type.__getattribute__(value, "__dict__") if isinstance(value, type) else None
            said = value.__module__ if attributes is None else attributes.get("__module__")
            if not isinstance(said, str) or is_live(said) or said not in self.mount.contents.modules:
                continue
            if known_attribute(sys.modules.get(said), value.__name__) is value:
                continue  # the installed one
            if isinstance(value, type):
                type.__setattr__(value, "__module__", f"{self.mount.name}.{said}")  # a metaclass may refuse
            else:
                value.__module__ = f"{self.mount.name}.{said}"

    def get_resource_reader(self, fullname: str) -> FileReader:
        """Return a reader of the folder of `__file__`, which is made for the purpose."""
        self.mount.files.materialise(self.module.top_level)
        return FileReader(self)  # type: ignore[arg-type]  # it needs only `path`
