"""Objects whose class says what their state is."""

from __future__ import annotations

import copyreg
import dis
import sys
import types
import weakref
from typing import TYPE_CHECKING, Any

from wardian.capture.homes import is_importable
from wardian.pickling.reducers.row import Row

if TYPE_CHECKING:
    from wardian.capture.session import Capture

__all__ = ["ROWS"]


def _with_getattr(capture: Capture, obj: Any) -> Any:
    """Set the state of an object without asking it for `__setstate__`.

    A `__getattr__` that looks into an attribute, which is not there before the state is set, would ask
    itself for ever.
    """
    reduced = obj.__reduce_ex__(4)
    if len(reduced) < 3 or reduced[2] is None:
        return NotImplemented
    parts = (*reduced, None, None)[:5]
    return *parts, capture.helper("set_state")


def _with_own_state(capture: Capture, obj: Any) -> Any:
    """Return how an object is pickled; if its `__getstate__` pickles parts itself, then with its attributes.

    What is pickled within a pickle names code where nobody can look for it: skorch so keeps its modules,
    and wrappers what they have pickled with cloudpickle.
    """
    try:
        reduced = obj.__reduce_ex__(4)
    except Exception as error:
        if "pickle" not in str(error):
            raise
    else:
        state = reduced[2] if len(reduced) > 2 else None
        own = {id(value) for value in vars(obj).values()}
        if not any(
            isinstance(part, bytes) and _is_pickle(part) and id(part) not in own
            for part in (state.values() if type(state) is dict else (state,))
        ):
            return reduced
    new = copyreg.__newobj__  # type: ignore[attr-defined]
    return new, (type(obj),), dict(vars(obj)), None, None, capture.helper("set_state")


def _is_pickle(data: bytes) -> bool:
    """Tell whether bytes look like a pickle, or like what `torch.save` writes."""
    return (data[:1] == b"\x80" and data[-1:] == b".") or data[:4] == b"PK\x03\x04"


def _in_order(capture: Capture, obj: Any, reduced: Any) -> Any:
    """Have attributes keep their order, though some of them are set before the others."""
    if not isinstance(reduced, tuple):
        return NotImplemented
    state, own = reduced[2] if len(reduced) > 2 else None, getattr(obj, "__dict__", None)
    if type(state) is not dict or type(own) is not dict or list(state) != [n for n in own if n in state]:
        return reduced
    parts = (*reduced, None, None, None)[:6]
    return reduced if parts[5] is not None else (*parts[:5], capture.helper("set_state_in_order"))


def _is_plain(kind: type) -> bool:
    """Tell whether Python's own way of pickling is that of a class."""
    own = ("__reduce__", "__reduce_ex__", "__getstate__")
    return not hasattr(kind, "__setstate__") and all(
        getattr(kind, name) is getattr(object, name) for name in own
    )


def _has_state_of_its_own(kind: type) -> bool:
    """Tell whether a class says what its state is, and nothing else of how it is pickled."""
    names = ("__reduce_ex__", "__reduce__", "__getnewargs_ex__", "__getnewargs__")
    usual = all(getattr(kind, name, None) is getattr(object, name, None) for name in names)
    return (
        usual
        and not issubclass(kind, dict | list)
        and kind not in copyreg.dispatch_table
        and not kind.__module__.startswith("torch.")
        and isinstance(getattr(kind, "__getstate__", None), types.FunctionType)
        and isinstance(getattr(kind, "__setstate__", None), types.FunctionType)
        and kind.__dictoffset__ != 0
    )


def _sets_attributes(kind: type) -> bool:
    """Tell whether what makes an instance again sets attributes one by one: `__init__`, `__setstate__`.

    Those of PyTorch keep the order.
    """
    known = _setting.get(kind)
    if known is None:
        known = _setting[kind] = _finds_setting(kind)
    return known


_setting: weakref.WeakKeyDictionary[type, bool] = weakref.WeakKeyDictionary()
"""Answers of `_sets_attributes`, which take a look at bytecode."""


def _finds_setting(kind: type) -> bool:
    if kind in copyreg.dispatch_table or _is_own(kind, "__reduce_ex__"):
        return False
    if _is_own(kind, "__reduce__"):
        of_torch = (getattr(kind.__reduce__, "__module__", None) or "").startswith("torch.")
        return isinstance(getattr(kind, "__init__", None), types.FunctionType) and not of_torch
    if not isinstance(getattr(kind, "__setstate__", None), types.FunctionType):
        return False
    for cls in kind.__mro__:
        function = vars(cls).get("__setstate__")
        if isinstance(function, types.FunctionType) and not cls.__module__.startswith("torch."):
            names = function.__code__.co_names
            stored = (i.argval for i in dis.get_instructions(function) if i.opname == "STORE_ATTR")
            if any(name != "__dict__" for name in stored) or not {"setattr", "__setattr__"}.isdisjoint(names):
                return True
    return False


def _is_own(kind: type, name: str) -> bool:
    """Tell whether a class has a method that is not that of every object."""
    return getattr(kind, name) is not getattr(object, name)


def _sentinel(capture: Capture, obj: Any) -> Any:
    """Return the name of an object without state that its module keeps: it is looked for by `is`."""
    kind = type(obj)
    if not _is_plain(kind) or kind.__module__ == "builtins" or getattr(obj, "__dict__", None):
        return None
    if not is_importable(kind.__module__) or _slots_of(kind):
        return None
    names = (n for n, v in list(vars(sys.modules[kind.__module__]).items()) if v is obj and n.isidentifier())
    name = next(names, None)
    return None if name is None else capture.named(capture.rename(kind.__module__), name)


def _slots_of(kind: type) -> bool:
    return any(vars(cls).get("__slots__") for cls in kind.__mro__)


def _with_state(capture: Capture, obj: Any) -> Any:
    """Write what a class does with its state by itself; None if Python's own way is right."""
    ordered = _sets_attributes(type(obj))
    if _has_state_of_its_own(type(obj)):
        reduced = _with_own_state(capture, obj)
    elif ordered:
        reduced = obj.__reduce_ex__(4)
    else:
        return None
    return _in_order(capture, obj, reduced) if ordered else reduced


def _finds_attributes(obj: Any) -> bool:
    return isinstance(getattr(type(obj), "__getattr__", None), types.FunctionType) and _is_plain(type(obj))


ROWS = (
    Row(_finds_attributes, _with_getattr),
    Row(lambda obj: True, _sentinel),
    Row(lambda obj: True, _with_state),
)
