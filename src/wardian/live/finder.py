"""Finder and loader of packed modules, on CPython's own import machinery."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import os
import platform
import re
import sys
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from importlib.readers import FileReader
from typing import TYPE_CHECKING, Any

from wardian.environment import known_attribute
from wardian.errors import ClosedCaseError, ModuleNotInCaseError
from wardian.live.deferred import DeferredPackage
from wardian.live.hooks import needs_hooked_builtins
from wardian.live.registries import calls_back, mentions, registers, sharing, tolerate_second_copies
from wardian.live.sharing import SHARED_SUFFIX
from wardian.live.tables import HOOKING, note_hooks
from wardian.rewrite import compile_module

if TYPE_CHECKING:
    from wardian.live.root import PackedModule, Root

__all__ = [
    "AliasLoader",
    "CaseFinder",
    "CaseLoader",
    "FolderFinder",
    "FolderLoader",
    "PREFIX",
    "RootLoader",
    "SecondCopyLoader",
]

PREFIX = "wardian.live."
_ROOT_NAME = re.compile(r"_(?:[0-9a-f]{8}|[0-9a-f]{16}|[0-9a-f]{32}|[0-9a-f]{64})$")


_registering: set[str] = set()
"""Top-level names of packed code that may have filled tables of PyTorch, in cases that were closed, too."""


class CaseFinder(importlib.abc.MetaPathFinder):
    """Find modules below `wardian.live` in the open cases.

    Of modules of the environment it answers for those of which a packed copy may have registered something
    in PyTorch: they are found as without it, and may register the same again while they are executed.

    Args:
        find_root: Returns the open root of a name, None if there is none.
    """

    def __init__(self, find_root: Callable[[str], Root | None]) -> None:
        self._find_root = find_root
        self._thread = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find a module below the root of an open case, or of which there is a packed copy; else None.

        Raises:
            ModuleNotInCaseError: if its case is not open.
        """
        if not fullname.startswith(PREFIX):
            is_copied = fullname.partition(".")[0] in _registering
            return self._find_second_copy(fullname, path, target) if is_copied else None
        root_name, _, module = fullname[len(PREFIX) :].partition(".")
        if _ROOT_NAME.search(root_name) is None:  # a module of this package itself
            return None
        root = self._find_root(root_name)
        if root is None:
            raise _not_open(fullname, root_name)
        own = f"{root.name}.{module}".rstrip(".")
        if own != fullname:  # the file had another name when somebody wrote this one down
            root.aliases.add(PREFIX + root_name)
            return importlib.machinery.ModuleSpec(fullname, AliasLoader(importlib.import_module(own)))
        return root.find_spec(module)

    def _find_second_copy(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None
    ) -> importlib.machinery.ModuleSpec | None:
        if getattr(self._thread, "looks", False):  # asked by another, which may stand around this one
            return None
        self._thread.looks = True
        try:
            for finder in sys.meta_path:
                find = getattr(finder, "find_spec", None)
                spec: importlib.machinery.ModuleSpec | None = find and find(fullname, path, target)
                if spec is not None:
                    if hasattr(spec.loader, "exec_module"):
                        spec.loader = SecondCopyLoader(spec.loader)
                    return spec
            return None
        finally:
            self._thread.looks = False

    def invalidate_caches(self) -> None:
        """Do nothing: a case does not change while it is open."""


class SecondCopyLoader(importlib.abc.Loader):
    """Execute a module of the environment that may register what a packed copy has registered.

    The module is left with the loader that it has without this one.
    """

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        """Leave it to the loader of the module."""
        made: types.ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: types.ModuleType) -> None:
        """Leave it to the loader of the module."""
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        with sharing():
            self._loader.exec_module(module)


def _not_open(module: str, root_name: str) -> ModuleNotInCaseError:
    stem, _, digest = root_name.rpartition("_")
    call = f"wardian.open('{stem}.case')"
    if stem.endswith(SHARED_SUFFIX):
        stem = stem.removesuffix(SHARED_SUFFIX)
        call = f"wardian.load('{stem}.case', share=True)"
    return ModuleNotInCaseError(
        f"{module} is part of the case {stem!r} whose digest begins with {digest}, which is not open in this"
        f" process; open it first, whatever its file is called by now: {call}",
        name=module,
    )


class FolderFinder:
    """Find modules in a folder of a case, for code that walks the `__path__` of its package.

    `pkgutil.walk_packages` hands the finder of a folder out, and a loader it gets from there must be ours:
    Python's own would read the file and run it with imports of the environment.
    """

    def __init__(self, root: Root, package: str, find_root: Callable[[str], Root | None]) -> None:
        self._root = root
        self._package = package
        self._find_root = find_root

    def find_spec(
        self, fullname: str, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find a module of the folder by its full name below `wardian.live`."""
        if not fullname.startswith(PREFIX):
            return None
        # Two roots may share a folder: the same file, opened with and without sharing.
        root_name, _, module = fullname[len(PREFIX) :].partition(".")
        root = self._find_root(root_name)
        return None if root is None else root.find_spec(module)

    def iter_modules(self, prefix: str = "") -> Iterator[tuple[str, bool]]:
        """Yield (name, whether it is a package) of the modules in the folder, as `pkgutil` asks."""
        for name, is_package in self._root.children(self._package):
            yield prefix + name, is_package

    def invalidate_caches(self) -> None:
        """Do nothing: a case does not change while it is open."""


class RootLoader(importlib.abc.Loader):
    """Make the root package of a case."""

    def __init__(self, root: Root) -> None:
        self.root = root

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Return None: an ordinary module will do."""
        return

    def exec_module(self, module: types.ModuleType) -> None:
        """Do nothing: a root has no code."""


class AliasLoader(importlib.abc.Loader):
    """Give a module of the environment, or one made by the root, a name below the root."""

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

    def __init__(self, root: Root, module: str) -> None:
        self.root = root
        self.module = module
        self.path = os.path.join(root.files.path_of(module.replace(".", "/")), "__init__.py")

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Return None: an ordinary module will do."""
        return

    def exec_module(self, module: types.ModuleType) -> None:
        """Run nothing: there is no code."""
        module.__dict__.update(self.root.attributes)

    def is_package(self, fullname: str) -> bool:
        """Return True."""
        return True

    def get_resource_reader(self, fullname: str) -> FileReader:
        """Return a reader of the folder, which is made for the purpose."""
        self.root.files.materialise(self.module.partition(".")[0])
        return FileReader(self)  # type: ignore[arg-type]  # it reads only `path`


class CaseLoader(importlib.abc.SourceLoader):
    """Load one packed module from verified records.

    `SourceLoader` does the work: it asks `get_data` for the bytecode beside the source, checks that it
    fits the interpreter, sets the file name in its code objects, and else compiles the source with
    `source_to_code`.
    """

    def __init__(self, root: Root, module: PackedModule) -> None:
        self.root = root
        self.module = module
        self.name = f"{root.name}.{module.name}"
        self.path = root.files.path_of(module.record)

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
            return self.root.archive.read(self.module.bytecode)
        record = self.root.files.record_at(path)
        if record is None or record not in self.root.archive:
            raise FileNotFoundError(f"the case has no file for {path}")
        return self.root.archive.read(record)

    def source_to_code(self, data: bytes, path: str = "<string>") -> types.CodeType:  # type: ignore[override]
        """Compile the source with its imports of packed modules made relative."""
        try:
            return compile_module(
                bytes(data),
                self.module.name,
                is_package=self.module.is_package,
                filename=path,
                roots=self.root.rewritten,
            )
        except SyntaxError as error:
            packed = self.root.manifest.python
            if packed.tag and packed.tag != sys.implementation.cache_tag:
                error.add_note(
                    f"the case was packed with Python {packed.version}, whose language this Python,"
                    f" {platform.python_version()}, does not know\n    fix: load it with {packed.version}"
                )
            raise

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        """Return a package that waits if it is deferred, else None for an ordinary module."""
        if self.module.is_package and self.root.is_deferred(self.module.name):
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
        self.root.files.prepare(self.module.name, code)
        self.root.declare_operators()
        module.__dict__.update(self.root.attributes)
        # Bytecode without source has its imports as they were written.
        if (
            self.root.allows is not None
            or needs_hooked_builtins(code, self.root.hidden)
            or self.module.record not in self.root.archive
        ):
            module.__dict__["__builtins__"] = self.root.builtins
        # Warnings show the line of code that way; what else shows lines brings the globals with it.
        linecache.lazycache(self.path, module.__dict__)
        if registers(code):
            self.root.registers = True
            _registering.add(self.module.top_level)
        if mentions(code, HOOKING):
            note_hooks(self.root.name)
        with tolerate_second_copies(wanted=self.root.registers or calls_back(code)):
            exec(code, module.__dict__)
        self._correct_names(module)

    def _correct_names(self, module: types.ModuleType) -> None:
        """Give classes and functions that say of which packed module they are the name that it has here.

        Libraries write it down for what they define in private modules: `Layer.__module__ = "shop"`. Pickles,
        and whoever else looks there, would look for it in the environment.
        """
        for value in list(module.__dict__.values()):
            if not isinstance(value, type | types.FunctionType):
                continue
            attributes = type.__getattribute__(value, "__dict__") if isinstance(value, type) else None
            said = value.__module__ if attributes is None else attributes.get("__module__")
            if not isinstance(said, str) or said.startswith(PREFIX) or said not in self.root.modules:
                continue
            if known_attribute(sys.modules.get(said), value.__name__) is value:
                continue  # the installed one
            if isinstance(value, type):
                type.__setattr__(value, "__module__", f"{self.root.name}.{said}")  # a metaclass may refuse
            else:
                value.__module__ = f"{self.root.name}.{said}"

    def get_resource_reader(self, fullname: str) -> FileReader:
        """Return a reader of the folder of `__file__`, which is made for the purpose."""
        self.root.files.materialise(self.module.top_level)
        return FileReader(self)  # type: ignore[arg-type]  # it needs only `path`
