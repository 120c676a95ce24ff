"""What `__reduce_package__` of an object is given where `wardian.pack` packs it.

PyTorch packs its graph modules and objects of TorchScript through this protocol of `torch.package`: the
object writes what it needs with the exporter, and names a function that makes it again with the importer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wardian.capture.session import Capture, Global
from wardian.capture.synthesis import CapturedModule
from wardian.errors import UnpicklableError
from wardian.names import GlobalRef, ModuleName, RecordName, ancestors, record_name
from wardian.pickling.paths import find_path
from wardian.pickling.pickler import module_of

if TYPE_CHECKING:
    from wardian.tensors.scripts import ScriptingStorageWriter

__all__ = ["Reductions"]


class Reductions:
    """The exporter that objects with `__reduce_package__` see, for one case.

    Args:
        capture: Knows the names of functions and classes that no import leads to.
        storages: Writes the storages of TorchScript.
    """

    def __init__(self, capture: Capture, storages: ScriptingStorageWriter) -> None:
        self.importer = _Names(capture)
        self._capture = capture
        self.modules: dict[ModuleName, CapturedModule] = {}
        """Modules that objects wrote, and the packages above them."""
        self.resources: dict[RecordName, bytes] = {}
        """Other files that they wrote."""
        self._storages = storages
        # An object is held: were it freed, the next one could get its id and be taken for it.
        self._reduced: dict[int, tuple[tuple[Any, ...], Any, dict[str, Any]]] = {}
        self._numbers = 0

    def persistent_id(self, obj: Any) -> tuple[Any, ...]:
        """Return the persistent id of an object with `__reduce_package__` (docs/format.md, 4.3)."""
        known = self._reduced.get(id(obj))
        if known is None:
            reduced = obj.__reduce_package__(self)
            cut = _cut_cycles(obj, reduced)
            reduced = tuple(map(_without_case, reduced))
            known = self._reduced[id(obj)] = (("reduce_package", len(self._reduced), *reduced), obj, cut)
        for name, value in known[2].items():
            self._capture.set_afterwards(obj, name, value)
        return known[0]

    def scripts(self) -> Mapping[RecordName, bytes]:
        """Return the records of TorchScript beside its storages. No more TorchScript can follow."""
        return self._storages.finish_scripts()

    @property
    def globals(self) -> frozenset[GlobalRef]:
        """What the written modules are named by, as globals of a pickle are."""
        return frozenset(GlobalRef(module, "") for module in self.modules)

    # What objects call, by the names of `torch.package.PackageExporter`.

    def get_unique_id(self) -> str:
        """Return a number that no other object of this case gets."""
        self._numbers += 1
        return str(self._numbers - 1)

    def save_source_string(
        self, module_name: str, src: str, is_package: bool = False, dependencies: bool = True
    ) -> None:
        """Add a module; what it imports is always followed."""
        name = ModuleName(module_name)
        for above in ancestors(name):
            self.modules.setdefault(above, CapturedModule(above, "", True))
        self.modules[name] = CapturedModule(name, _without_case(src), is_package)

    def save_text(self, package: str, resource: str, text: str) -> None:
        """Add a text file."""
        self.save_binary(package, resource, text.encode())

    def save_binary(self, package: str, resource: str, binary: bytes) -> None:
        """Add a file."""
        self.resources[record_name(f"{package.replace('.', '/')}/{resource}")] = bytes(binary)

    @property
    def script_module_serializer(self) -> Any:
        """PyTorch's serializer of TorchScript."""
        return self._storages.serializer


def _cut_cycles(obj: Any, reduced: tuple[Any, ...]) -> dict[str, Any]:
    """Take attributes that lead back to *obj* out of what it is made from.

    A graph module that `torch.export` made holds methods bound to itself, one of quantised layers hooks that
    hold it.

    Returns:
        The attributes, by name.
    """
    cut: dict[str, Any] = {}
    if find_path(reduced, obj, "") is not None:
        for argument in reduced[1]:
            for name in list(argument) if type(argument) is dict else ():
                value = argument[name]
                if vars(obj).get(name, argument) is value and find_path(value, obj, "") is not None:
                    cut[name] = argument.pop(name)
    return cut


class _Names:
    """Tells generated code where to import something from."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture

    def get_name(self, obj: Any, name: str | None = None) -> tuple[str, str]:
        """Return the module and the name of *obj*.

        Raises:
            UnpicklableError: if no import leads to it.
        """
        answer = self._capture.reduce(obj)
        if type(answer) is Global:
            return answer.module, answer.qualname
        name = name or str(getattr(obj, "__qualname__", getattr(obj, "__name__", None)))
        if answer is not NotImplemented or "<" in name:
            raise UnpicklableError(
                f"generated code cannot import {name}: define it at the top level of a module"
            )
        return self._capture.rename(module_of(obj, name)), name


_OF_CASE = re.compile(r"\bwardian_live_\w*?_[0-9a-f]{8}_(?=\w)")


def _without_case(value: Any) -> Any:
    """Return generated code as it would be if what it uses were not from a case.

    PyTorch names functions in it by the modules that they are from, and those of an open case have its digest
    in their names: the next case would be another, and the one after it, too.

    Args:
        value: Code, or what has it; all else is returned as it is.
    """
    if isinstance(value, str):
        found = {name: _OF_CASE.sub("", name) for name in re.findall(r"\w+", value) if _OF_CASE.match(name)}
        if found and not any(re.search(rf"\b{plain}\b", value) for plain in found.values()):
            return _OF_CASE.sub("", value)
    elif isinstance(value, tuple):
        return tuple(map(_without_case, value))
    elif type(value) is dict and "_graphmodule_cls_name" in value:
        return {**value, "_code": _without_case(value.get("_code"))}
    return value
