"""The exporter that `__reduce_package__` of an object is given where `wardian.pack` packs it.

PyTorch packs its graph modules and objects of TorchScript through this protocol of `torch.package`: the
object writes what it needs with the exporter, and names a function that makes it again with the importer.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from wardian.capture.naming import Global
from wardian.capture.session import Capture
from wardian.capture.synthesis import CapturedModule
from wardian.domain.global_refs import GlobalRef
from wardian.domain.names import ModuleName, RecordName, ancestors, record_name
from wardian.errors import UnpicklableError
from wardian.pickling.paths import find_path
from wardian.pickling.pickler import module_of
from wardian.pickling.reducers.table import answer_for

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
        """Return the persistent id of an object with `__reduce_package__` (docs/reference/format.md, 4.3)."""
        known = self._reduced.get(id(obj))
        if known is None:
            with self.importer.generating(obj):
                reduced = obj.__reduce_package__(self)
            cut = {**_cut_notes(reduced), **_cut_cycles(obj, reduced)}
            reduced = tuple(map(self.importer.in_case, reduced))
            known = self._reduced[id(obj)] = (("reduce_package", len(self._reduced), *reduced), obj, cut)
        for name, value in known[2].items():
            self._capture.effects.set_last(obj, name, value)
        return known[0]

    def scripts(self) -> Mapping[RecordName, bytes]:
        """Return the records of TorchScript beside its storages. No more TorchScript can follow."""
        return self._storages.finish_scripts()

    @property
    def globals(self) -> frozenset[GlobalRef]:
        """The modules that were written, in the form of the globals of a pickle."""
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
        self.modules[name] = CapturedModule(name, self.importer.source_in_case(src), is_package)

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


def _cut_notes(reduced: tuple[Any, ...]) -> dict[str, Any]:
    """Take out the notes of a graph module, `meta`, which PyTorch writes and does not give back."""
    for body in reduced[1]:
        if type(body) is dict and "_graphmodule_cls_name" in body and body.get("meta"):
            return {"meta": body.pop("meta")}
    return {}


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


_IMPORTED = re.compile(r"^from (\S+) import (\S+) as (\w+)$", re.MULTILINE)
"""An import as PyTorch writes it above the code that it generates."""


class _Names:
    """Tells generated code where to import something from, and what it calls it."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._prefixes: dict[str, str] = {}
        """How PyTorch begins the names of what is of a module: here, and in the case."""
        self._aliases: dict[str, str] = {}
        """Names in the code that was generated last."""
        self._calls: Collection[Any] = ()
        """Functions that the nodes of a graph call, while code is generated from it."""
        self._imported: dict[tuple[str, str], Any] = {}
        """Imports of that code, by module and name."""

    @contextmanager
    def generating(self, obj: Any) -> Iterator[None]:
        """Let the code that PyTorch generates of a graph give the same graph when it is traced again.

        Operators that change their input are written as calls (`wardian.tensors.graphs`), and what the graph
        calls is wrapped (`torch.fx.wrap`), since a trace goes through other functions.
        """
        from wardian.tensors.graphs import calling_operators, find_calls

        self._calls = find_calls(obj)
        self._imported = {}
        with calling_operators(obj):
            yield

    def get_name(self, obj: Any, name: str | None = None) -> tuple[str, str]:
        """Return the module and the name of *obj*.

        Raises:
            UnpicklableError: if no import leads to it.
        """
        found = self._find(obj, name)
        self._imported[found] = obj
        here = getattr(obj, "__module__", None)
        if isinstance(here, str) and here != found[0]:
            self._prefixes[_prefix(here)] = _prefix(found[0])
        return found

    def _find(self, obj: Any, name: str | None) -> tuple[str, str]:
        answer = answer_for(self._capture, obj)
        if type(answer) is Global:
            return answer.module, answer.qualname
        name = name or str(getattr(obj, "__qualname__", getattr(obj, "__name__", None)))
        if answer is not NotImplemented or "<" in name:
            raise UnpicklableError(
                f"generated code cannot import {name}: define it at the top level of a module"
            )
        return self._capture.rename(module_of(obj, name)), name

    def source_in_case(self, source: str) -> str:
        """Return generated code as it would be if what it imports were of the modules of the case.

        PyTorch names functions in it by the modules that they are of, `__main___leaf`, and those of an open
        case have its digest in their names: the next case would be another, and the one after it, too.
        """
        self._aliases.clear()
        wrapped = [
            alias
            for module, name, alias in _IMPORTED.findall(source)
            if any(call is self._imported.get((module, name), self) for call in self._calls)
        ]
        source += "".join(f"\ntorch.fx.wrap({alias!r})" for alias in wrapped)
        source = f"import torch.fx\n{source}" if wrapped else source
        for _, _, alias in _IMPORTED.findall(source):
            prefix = max(filter(alias.startswith, self._prefixes), key=len, default="")
            name = f"{self._prefixes.get(prefix, '')}{alias.removeprefix(prefix)}"
            if name not in self._aliases.values() and not re.search(rf"\b{name}\b", source):
                self._aliases[alias] = name
        return self._renamed(source)

    def in_case(self, value: Any) -> Any:
        """Return what has the code that was generated last with the names that it has in the case.

        Args:
            value: What an object is made from; all else is returned as it is.
        """
        if type(value) is tuple:
            return tuple(map(self.in_case, value))
        if type(value) is dict and isinstance(value.get("_code"), str) and "_graphmodule_cls_name" in value:
            return {**value, "_code": self._renamed(value["_code"])}
        return value

    def _renamed(self, code: str) -> str:
        return re.sub(r"\b\w+", lambda found: self._aliases.get(found[0], found[0]), code)


def _prefix(module: str) -> str:
    """Return how names of what is of a module begin: `torch.fx.graph._Namespace.create_name`."""
    return re.sub(r"\W+", "_", module) + "_"
