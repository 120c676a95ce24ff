"""Environments to import modules from: the interpreter, a package, or several of them in order."""

from __future__ import annotations

import importlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from wardian.domain.live_names import is_live, mount_of, original_name
from wardian.errors import WardianError
from wardian.loading.open_mounts import get_mount
from wardian.package._mangling import get_mangle_prefix
from wardian.pickling.pickler import module_of

__all__ = [
    "Importer",
    "ObjMismatchError",
    "ObjNotFoundError",
    "OrderedImporter",
    "leaves",
    "sys_importer",
]


class ObjNotFoundError(WardianError):
    """An importer has nothing under the name of an object."""


class ObjMismatchError(WardianError):
    """An importer has another object under the name of the one it was asked about."""


class Importer(ABC):
    """An environment to import modules from.

    Several environments may each have a module of one name. The law of an importer: of the names that
    `get_name` returns for an object, `import_module` and `getattr` lead to that very object; where they
    would not, `get_name` raises.

    Attributes:
        modules: Imported modules by name.
    """

    modules: dict[str, ModuleType]

    @abstractmethod
    def import_module(self, module_name: str) -> ModuleType:
        """Import a module of this environment, as `importlib.import_module` does.

        Args:
            module_name: Its dotted name.

        Raises:
            ModuleNotFoundError: if it has no such module.
        """

    def get_name(self, obj: Any, name: str | None = None) -> tuple[str, str]:
        """Return the names under which *obj* is found in this environment.

        Args:
            obj: A class, a function, or an object whose `__reduce__` returns its name.
            name: Its name within its module, if it is not its `__qualname__` or `__name__`.

        Returns:
            The name of the module and the name in it.

        Raises:
            ObjNotFoundError: if nothing has that name here.
            ObjMismatchError: if another object has it.
        """
        name = name or _own_name(obj)
        full_name = self.whichmodule(obj, name)
        module_name = original_name(full_name)
        try:
            found: Any = self.import_module(module_name)
            for part in name.split("."):
                found = getattr(found, part)
        except (ImportError, KeyError, AttributeError):
            raise ObjNotFoundError(
                f"{obj!r} was not found as {module_name}.{name} in {_describe(self)}", **_way_out(full_name)
            ) from None
        if found is obj:
            return str(module_name), name
        raise ObjMismatchError(
            f"{obj!r} is from {_origin(full_name)}, but {module_name}.{name} in {_describe(self)} is another "
            f"object, from {_origin(self.whichmodule(found, name))}; name the importer that the object comes "
            "from before the others: PackageExporter(f, importer=(its_importer, sys_importer))"
        )

    def whichmodule(self, obj: Any, name: str) -> str:
        """Return the name of the module that *obj* says, or else is found, to be from.

        Args:
            obj: What to look for.
            name: Its name within its module.

        Returns:
            The full name of the module, `__main__` if none is found.
        """
        said = getattr(obj, "__module__", None)
        if isinstance(said, str):
            return said
        for module_name, module in self.modules.copy().items():
            if module_name in ("__main__", "__mp_main__") or module is None:
                continue
            found: Any = module
            try:
                for part in name.split("."):
                    found = getattr(found, part)
            except AttributeError:
                continue
            if found is obj:
                return module_name
        return "__main__"


def _own_name(obj: Any) -> str:
    if not isinstance(obj, type):
        try:
            reduced = obj.__reduce__()
        except Exception:  # noqa: BLE001  any __reduce__ may raise anything
            reduced = None
        if isinstance(reduced, str):
            return reduced
    name = getattr(obj, "__qualname__", None)
    return name if isinstance(name, str) else str(obj.__name__)


def _origin(full_name: str) -> str:
    if is_live(full_name):
        return f"the package {get_mangle_prefix(full_name)}"
    return "this interpreter"


def _way_out(full_name: str) -> dict[str, str]:
    """Return the fix of an error about an object of a package that is none of the importers."""
    root = get_mount(mount_of(full_name)) if is_live(full_name) else None
    if root is None:
        return {}
    path = str(root.archive.path or "...")
    load = f"load it by importer = PackageImporter({path!r})"
    return {"fix": f"{load}, and name that: PackageExporter(f, importer=(importer, sys_importer))"}


def _describe(importer: Importer) -> str:
    name = getattr(importer, "id", None)
    return f"the package {name()}" if callable(name) else type(importer).__name__


class _SysImporter(Importer):
    """The interpreter's own modules."""

    @property
    def modules(self) -> dict[str, ModuleType]:  # type: ignore[override]
        """`sys.modules`."""
        return sys.modules

    def import_module(self, module_name: str) -> ModuleType:
        """Import with `importlib.import_module`."""
        return importlib.import_module(module_name)

    def whichmodule(self, obj: Any, name: str) -> str:
        """Return what pickle would write."""
        said = getattr(obj, "__module__", None)
        return said if isinstance(said, str) else module_of(obj, name)

    def __repr__(self) -> str:
        return "sys_importer"


sys_importer = _SysImporter()
"""The interpreter as an importer."""


class OrderedImporter(Importer):
    """Several importers as one: the first that has what is asked for answers.

    Args:
        *importers: In the order in which they are asked.
    """

    def __init__(self, *importers: Importer) -> None:
        self._importers = list(importers)

    @property
    def modules(self) -> dict[str, ModuleType]:  # type: ignore[override]
        """The modules of all of them; the first that has a name gives it."""
        found: dict[str, ModuleType] = {}
        for importer in reversed(self._importers):
            found |= importer.modules
        return found

    def import_module(self, module_name: str) -> ModuleType:
        """Import a module from the first importer that has it.

        A package that is only a folder in one importer may have an `__init__` in the next, and counts last.

        Args:
            module_name: Its dotted name.

        Raises:
            TypeError: if one of them is not an `Importer`.
            ModuleNotFoundError: if none has it.
        """
        folder: ModuleType | None = None
        error: ModuleNotFoundError | None = None
        for importer in self._importers:
            if not isinstance(importer, Importer):
                raise TypeError(f"{importer!r} is not an Importer, as all that are searched must be")
            try:
                module = importer.import_module(module_name)
            except ModuleNotFoundError as missing:
                error = missing
                continue
            if not _is_bare_folder(module):
                return module
            folder = folder or module
        if folder is not None:
            return folder
        raise error or ModuleNotFoundError(f"No module named {module_name!r}", name=module_name)

    def get_name(self, obj: Any, name: str | None = None) -> tuple[str, str]:
        """Return the names under which the first importer that has *obj* finds it.

        Args:
            obj: As for `Importer.get_name`.
            name: As for `Importer.get_name`.

        Raises:
            ObjNotFoundError: if none has it; the message has the reason of each.
        """
        reasons = []
        for importer in self._importers:
            try:
                return importer.get_name(obj, name)
            except (ObjNotFoundError, ObjMismatchError) as error:
                reasons.append(str(error))
        raise ObjNotFoundError(
            f"{obj!r} was not found in any of the importers:\n" + "\n".join(f"  - {r}" for r in reasons)
        )

    def whichmodule(self, obj: Any, name: str) -> str:
        """Return the name of the module of *obj* that the first importer tells which knows it.

        Args:
            obj: What to look for.
            name: Its name within its module.

        Returns:
            The full name of the module, `__main__` if none knows it.
        """
        for importer in self._importers:
            module_name = importer.whichmodule(obj, name)
            if module_name != "__main__":
                return module_name
        return "__main__"

    def __repr__(self) -> str:
        return f"OrderedImporter({', '.join(map(repr, self._importers))})"


def _is_bare_folder(module: ModuleType) -> bool:
    return (
        is_live(getattr(module, "__name__", ""))
        and hasattr(module, "__path__")
        and getattr(module, "__file__", None) is None
    )


def leaves(importer: Importer) -> Iterator[Importer]:
    """Yield the importers that *importer* consists of, in order."""
    if type(importer) is OrderedImporter:
        for part in importer._importers:
            yield from leaves(part)
    else:
        yield importer
