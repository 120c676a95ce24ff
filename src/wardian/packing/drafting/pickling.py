"""How a draft is pickled: the object, its entry points and their self-tests, all in one way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from wardian.capture.homes import look_up
from wardian.capture.session import Capture
from wardian.domain.global_refs import GlobalRef
from wardian.domain.live_names import original_name
from wardian.packing.drafting.origins import Origins, refuse_closed
from wardian.packing.drafting.reductions import Reductions
from wardian.pickling.pickler import PickledObject, pickle_object

if TYPE_CHECKING:
    from wardian.tensors.scripts import ScriptingStorageWriter

__all__ = ["Pickling"]


class Pickling:
    """Pickles what goes into one case.

    Args:
        capture: Code that no import leads to.
        origins: The open cases that parts of it come from.
        reductions: What parts of it write themselves.
        storages: Where storages go.
    """

    def __init__(
        self, capture: Capture, origins: Origins, reductions: Reductions, storages: ScriptingStorageWriter
    ) -> None:
        self._capture, self._origins, self._reductions = capture, origins, reductions
        self._storages = storages

    def pickle(self, obj: Any, name: str, seen: dict[int | str, Any] | None = None) -> PickledObject:
        """Pickle a value that is only called *name*, such as inputs; *seen* as for `pickle_object`.

        Raises:
            UnpicklableError: if something inside cannot be pickled.
        """
        return pickle_object(
            obj,
            name=name,
            persistent_id=self._storages.persistent_id,
            rename=self._origins,
            reduce_package=self._reductions.persistent_id,
            capture=self._capture,
            refuse=refuse_closed,
            tensors=self._storages,
            seen=seen,
        )

    def pickle_with_effects(
        self,
        obj: Any,
        name: str,
        beforehand: tuple[Any, ...] = (),
        seen: dict[int | str, Any] | None = None,
    ) -> PickledObject:
        """Pickle an object with what is set when it is loaded, after what must be there *beforehand*."""
        self._capture.effects.begin(beforehand)
        pickled = self.pickle(obj, name, seen)
        self._capture.effects.commit()
        return pickled

    def type_of(self, obj: Any) -> GlobalRef:
        """Return the name of the class of an object in the case."""
        kind = type(obj)
        module, qualname = self._capture.name_of(kind) or (self._capture.home_of(kind), kind.__qualname__)
        return GlobalRef(original_name(module), qualname)

    def classes_of(self, pickled: PickledObject) -> Iterator[type]:
        """Yield the classes that a pickle names."""
        captured = self._capture.modules()
        for module, qualname in pickled.globals:
            find = self._origins.find_global if self._origins.packs(module) else look_up
            try:
                found = (self._capture.find_live if module in captured else find)(module, qualname)
            except AttributeError:  # what makes a function or class, not one
                continue
            if isinstance(found, type):
                yield found
