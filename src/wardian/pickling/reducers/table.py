"""How objects are written that Python pickles wrongly or not at all: the first row that is about one answers.

The order counts. Rows that know one class come first; those that look at how a class is pickled come last,
for classes of all families are like that, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wardian.pickling.reducers import logging_libraries, process, python, pytorch, sharded, state, training

if TYPE_CHECKING:
    from wardian.capture.session import Capture

__all__ = ["answer_for"]

_ROWS = (
    *sharded.ROWS,
    *logging_libraries.ROWS,
    *training.ROWS,
    *python.ROWS,
    *process.ROWS,
    *pytorch.ROWS,
    *state.ROWS,
)


def answer_for(capture: Capture, obj: Any) -> Any:
    """Return what the pickler is to write for *obj*: what the capture says of code, or by its kind.

    Args:
        capture: Knows the names of what is in the case.
        obj: Any object.

    Returns:
        A `Global`, a reduce tuple, or NotImplemented for what Python pickles rightly.
    """
    code = capture.reduce(obj)
    if code is not None:
        return code
    answer = None
    for row in _ROWS:
        if row.is_about(obj):
            answer = row.answer(capture, obj)
            if answer is not None:
                break
    answer = training.as_before(obj, answer)
    if answer is not None:
        return answer
    # All that was asked is the same for the next instance, but for those that look at the object: at its
    # slots, at which stream it is, at the hooks of a tensor.
    kind = type(obj)
    looks = any("__slots__" in vars(cls) for cls in kind.__mro__) or hasattr(kind, "register_hook")
    if not looks and kind not in capture.stream_kinds:
        capture.left_to_python.add(kind)
    return NotImplemented
