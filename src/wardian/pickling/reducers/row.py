"""One row of the table of reducers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from wardian.capture.session import Capture

__all__ = ["Answer", "RefusedError", "Row"]

Answer = Callable[["Capture", Any], Any]
"""Returns a `Global`, a reduce tuple, or NotImplemented for what Python pickles rightly.

None: the row is not about the object, and the next one is asked.
"""


class RefusedError(Exception):
    """Something must not be written, whatever `pickle` would say of it.

    Args:
        what: What is wrong, as a sentence without a full stop that does not say where.
        fix: What settles it.
    """

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.fix = fix


class Row(NamedTuple):
    """How one kind of objects is written."""

    is_about: Callable[[Any], Any]
    """Tells whether the row is about an object."""
    answer: Answer
