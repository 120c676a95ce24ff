"""The object in this process: what calling it raises here, and what pickling it loses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wardian.capture.session import Capture
from wardian.domain.live_names import original_name
from wardian.pickling.copies import pickled_copy
from wardian.pickling.paths import find_type_paths

__all__ = ["LiveObject"]


class LiveObject:
    """Entry points as they are here, which a run elsewhere is compared with.

    Args:
        name: What to call all of them: the entry point, if there is one.
        objects: The entry points.
        calls: Arguments of a call, by entry point; of those that are called.
        capture: Code that no import leads to.
    """

    def __init__(
        self, name: str, objects: Mapping[str, Any], calls: Mapping[str, Any], capture: Capture
    ) -> None:
        self.name, self.objects, self.calls = name, objects, calls
        self._capture = capture
        self._raised: dict[str, str | None] = {}  # once at most: a call may take long

    @property
    def whole(self) -> Any:
        """The entry point if there is one, else a dictionary of all."""
        return self.objects[self.name] if len(self.objects) == 1 else dict(self.objects)

    @property
    def classes(self) -> dict[str, str]:
        """The entry points that are classes, with their names."""
        return {name: obj.__qualname__ for name, obj in self.objects.items() if isinstance(obj, type)}

    def raised_by_call(self, name: str) -> str | None:
        """Tell what a call raises in a copy of this process, "" if nothing; None if that cannot be told."""
        from wardian.tensors.changes import call_in_fork

        if self._capture.runs_here:
            return None
        if name not in self._raised:
            self._raised[name] = call_in_fork(self.objects[name], self.calls[name])
        return self._raised[name]

    def find_loss(self, name: str, expected: tuple[Any, Mapping[str, Any]] | None = None) -> str | None:
        """Tell what pickling loses, so that a call gives something else or raises; None if it is not that.

        Args:
            name: The entry point.
            expected: What the call gave from the pickle, and what it changed; None if it raised.
        """
        from wardian.tensors.changes import find_loss_in_fork

        if self._capture.losses:
            ended = "\n       ".join(self._capture.losses)
            return f"the likely reason is this: {ended}; begin it anew in __setstate__, or at its first use"
        lost = find_loss_in_fork(self.objects[name], self.calls[name], pickled_copy, name, expected)
        if lost is None:
            return None
        return (
            f"pickling loses {lost}: pickle.loads(pickle.dumps({name})) does the same here; let"
            " __getstate__ and __setstate__, or __reduce__, keep it"
        )

    def find_place(self, module: str, qualname: str) -> tuple[str | None, str]:
        """Return where the first object of a class is, None if none is found, and what to call the class."""
        wanted = (original_name(module), qualname)
        try:
            live = self._capture.made_by(qualname) or self._capture.find_live(*wanted)
            wanted = (original_name(live.__module__), live.__qualname__)
        except AttributeError:  # none of a script
            pass
        path = find_type_paths(self.whole, self.name, {wanted}, original_name).get(wanted)
        return path, ".".join(wanted)
