"""How a class or function is named in a pickle, so that the importers of an exporter lead to it."""

from __future__ import annotations

from typing import Any

from wardian.domain.live_names import is_live
from wardian.domain.names import ModuleName
from wardian.package._closure import Scans
from wardian.package.importer import Importer, ObjMismatchError, ObjNotFoundError, leaves

__all__ = ["ImportedGlobals"]


class ImportedGlobals:
    """Look up globals in importers, and remember which of them has each.

    Args:
        importer: Where they are looked up.
        scans: Is told whose objects are of a module.
    """

    def __init__(self, importer: Importer, scans: Scans) -> None:
        self._importer = importer
        self._scans = scans

    def reduce(self, obj: Any) -> Any:
        """Return how a nested class or function is reached; NotImplemented for all that a name leads to.

        Raises:
            ObjNotFoundError: if no importer has it.
            ObjMismatchError: if an importer has another object under its name.
        """
        module, name = self._find_name(obj)
        if is_live(module):
            raise ObjMismatchError(f"{obj!r} is from a package that is none of this exporter's importers")
        parent, _, last = name.rpartition(".")
        if not parent or "<locals>" in name:
            return NotImplemented
        # torch.package finds no nested names; getattr does.
        owner: Any = self._importer.import_module(module)
        for part in parent.split("."):
            owner = getattr(owner, part)
        return getattr, (owner, last)

    def _find_name(self, obj: Any) -> tuple[str, str]:
        missing: ObjNotFoundError | None = None
        for leaf in leaves(self._importer):
            # Under its name every importer before the one that has the object has nothing, or else the
            # object would come back with another class: ObjMismatchError.
            try:
                module, name = leaf.get_name(obj)
            except ObjNotFoundError as error:
                missing = missing or error
                continue
            owner = self._scans.claim(ModuleName(module), leaf)
            if owner is not leaf:
                raise ObjMismatchError(
                    f"{obj!r} is from {leaf!r}, but objects of {module} from {owner!r} were saved before, "
                    "and a package holds one copy of a module"
                )
            return module, name
        raise missing or ObjNotFoundError(f"{obj!r} was not found: the exporter has no importers")
