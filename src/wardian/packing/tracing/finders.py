"""Import modules that exist only as text, in the clean process."""

from __future__ import annotations

import builtins
import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from types import CodeType, ModuleType

from wardian.domain.names import top_level
from wardian.environment.modules import known_attribute

__all__ = ["LoadedFinder", "SilencingFinder", "SourceFinder", "loaded_elsewhere"]


class SourceFinder(importlib.abc.MetaPathFinder):
    """A finder of modules whose sources it is given.

    Args:
        sources: Module name → (source, whether it is a package, its file if it has one).
        import_for: What they get as `__import__`; None leaves them the usual one.
    """

    def __init__(
        self,
        sources: Mapping[str, tuple[str, bool, str | None]],
        import_for: Callable[..., ModuleType] | None = None,
    ) -> None:
        self._sources = sources
        self._import_for = import_for

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find one of the modules; None for every other name."""
        if fullname not in self._sources:
            return None
        source, is_package, file = self._sources[fullname]
        loader = _Loader(source, file, is_package=is_package, import_for=self._import_for)
        if file is None:
            return importlib.util.spec_from_loader(fullname, loader, is_package=is_package)
        places = [os.path.dirname(file)] if is_package else None
        return importlib.util.spec_from_file_location(
            fullname, file, loader=loader, submodule_search_locations=places
        )


class SilencingFinder(importlib.abc.MetaPathFinder):
    """A finder of modules in the place of logging libraries, of which everything does nothing.

    Args:
        names: Top-level names of the libraries.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = frozenset(names)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find one of the modules; None for every other name."""
        if top_level(fullname) not in self._names:
            return None
        return importlib.machinery.ModuleSpec(fullname, _SilentLoader(), is_package=True)


class _SilentLoader(importlib.abc.Loader):
    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        # Late: what loads captured code needs nothing but Python.
        from wardian.loading.stand_ins.externs import make_stand_in

        module = ModuleType(spec.name)
        stand_in = make_stand_in(spec.name, None, None)
        module.__dict__["__getattr__"] = lambda name: getattr(stand_in, name)
        return module

    def exec_module(self, module: ModuleType) -> None:
        pass


class _Loader(importlib.abc.InspectLoader):
    def __init__(
        self,
        source: str,
        file: str | None,
        *,
        is_package: bool,
        import_for: Callable[..., ModuleType] | None,
    ) -> None:
        self._source = source
        self._file = file
        self._is_package = is_package
        self._import_for = import_for

    def exec_module(self, module: ModuleType) -> None:
        # In the case it has one; without, `inspect` takes it for a module of C.
        module.__dict__.setdefault("__file__", self._path(module.__name__))
        if self._import_for is not None:
            module.__dict__["__builtins__"] = {**vars(builtins), "__import__": self._import_for}
        # Before anybody asks for the source of a function that claims to be of another module: its lines
        # would be looked for there.
        linecache.lazycache(self._path(module.__name__), module.__dict__)
        super().exec_module(module)

    def get_source(self, fullname: str) -> str:
        return self._source

    def get_code(self, fullname: str) -> CodeType:
        # `inspect` asks the loader for source only if the name of the file is no `<string>`.
        return self.source_to_code(self._source, self._path(fullname))

    def _path(self, fullname: str) -> str:
        return self._file or f"{fullname}.py"

    def is_package(self, fullname: str) -> bool:
        return self._is_package


_Place = tuple[str, list[str] | None]
"""The file of a module and, of a package, the folders of its submodules."""


def loaded_elsewhere() -> dict[str, _Place]:
    """Return the modules of this process that a new one with the same `sys.path` would not find.

    They were imported from a folder that was on `sys.path` for a while (`torch.hub` does so), by a finder
    that other processes lack, or by their file, under whatever name (torch_geometric gives what it generates
    the name of the package of a user's class). Of what is in the folder of its package the package counts.
    """
    found: dict[str, _Place] = {}
    path = [os.path.abspath(entry) for entry in sys.path]
    for name, module in sys.modules.copy().items():
        spec = known_attribute(module, "__spec__")
        if spec is None or not spec.has_location or spec.name != name or not os.path.isfile(spec.origin):
            continue
        if name in (*sys.stdlib_module_names, "__main__"):
            continue
        file = os.path.abspath(spec.origin)
        above = sys.modules.get(name.rpartition(".")[0])
        folders_above = [] if above is None else list(known_attribute(above, "__path__") or ())
        folder = os.path.dirname(os.path.dirname(file) if spec.submodule_search_locations else file)
        if above is not None and (not folders_above or folder in folders_above):
            continue
        usual = importlib.machinery.PathFinder.find_spec(name, path if above is None else folders_above)
        if usual is None or os.path.abspath(usual.origin or "") != file:
            folders = spec.submodule_search_locations
            found[name] = file, None if folders is None else [os.path.abspath(f) for f in folders]
    return found


class LoadedFinder(importlib.abc.MetaPathFinder):
    """A finder of modules that another process has loaded.

    Args:
        places: Module name → place, as `loaded_elsewhere` returns them.
    """

    def __init__(self, places: Mapping[str, _Place]) -> None:
        self._places = places

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find one of the modules; None for every other name."""
        if fullname not in self._places:
            return None
        file, folders = self._places[fullname]
        return importlib.util.spec_from_file_location(fullname, file, submodule_search_locations=folders)
