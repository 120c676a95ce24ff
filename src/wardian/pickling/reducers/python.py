"""Objects of the standard library that Python pickles wrongly or not at all."""

from __future__ import annotations

import enum
import functools
import sys
import types
import typing
import weakref
from typing import TYPE_CHECKING, Any

from wardian.capture.classes import Described
from wardian.capture.homes import importable, is_at, is_importable, public_name
from wardian.environment.modules import is_module
from wardian.pickling.reducers.row import Answer, Row

if TYPE_CHECKING:
    from wardian.capture.session import Capture

__all__ = ["ROWS"]


_FUNCTION_LIKE = (types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)


def _member(capture: Capture, member: enum.Enum) -> Any:
    """Return the name of a member of an enumeration whose value does not find it again.

    Python looks members up by value; `functools.partial(gelu)` is equal to no other.
    """
    by_value = isinstance(member._value_, str | bytes | int | float | complex | None)
    usual = type(member).__reduce_ex__ is enum.Enum.__reduce_ex__
    if by_value or not usual or member._name_ not in type(member).__members__:
        return NotImplemented
    return capture.named("operator", "getitem"), (type(member), member._name_)


def _builtin(capture: Capture, obj: Any) -> Any:
    owner = getattr(obj, "__self__", None)
    if owner is not None and not is_module(owner):
        if not isinstance(owner, type) or type(owner).__module__.startswith("torch"):
            return NotImplemented
        if importable(owner) is not None and not owner.__module__.startswith("torch._C"):
            return NotImplemented
    found = public_name(obj)
    return NotImplemented if found is None else capture.named(*found)


def _cell(capture: Capture, cell: types.CellType) -> Any:
    make = capture.named("types", "CellType")
    try:
        content = cell.cell_contents
    except ValueError:  # empty
        return make, ()
    return make, (), (content,), None, None, capture.helper("fill")


def _method(capture: Capture, method: types.MethodType) -> Any:
    name = getattr(method.__func__, "__name__", "")
    if getattr(type(method.__self__), name, None) is method.__func__ and name not in getattr(
        method.__self__, "__dict__", ()
    ):
        return NotImplemented
    if isinstance(method.__self__, type) and getattr(method.__self__, name, None) == method:
        return NotImplemented
    return capture.named("types", "MethodType"), (method.__func__, method.__self__)


def _forward_reference(capture: Capture, found: typing.ForwardRef) -> Any:
    arguments = (found.__forward_arg__, found.__forward_is_argument__, found.__forward_module__)
    return capture.named("typing", "ForwardRef"), arguments


def _reference(capture: Capture, reference: weakref.ref[Any]) -> Any:
    obj, callback = reference(), reference.__callback__
    if obj is None:
        return capture.helper("dead_reference"), ()
    return capture.named("weakref", "ref"), (obj,) if callback is None else (obj, callback)


def _proxy(capture: Capture, proxy: Any) -> Any:
    # A proxy hands the look-up of a method on: the method is bound to what it stands for.
    return capture.named("weakref", "proxy"), (proxy.__init__.__self__,)


def _weak_dictionary(capture: Capture, found: Any) -> Any:
    # Items are set after it was made, which may be one of them.
    return capture.named("weakref", type(found).__name__), (), None, None, iter(list(found.items()))


_DESCRIPTORS = (property, staticmethod, classmethod, functools.cached_property)


def _descriptor(capture: Capture, found: Any) -> Any:
    """Return what makes a property or the like, also of a class of the user's, which may have attributes."""
    kind: Any = type(found)
    if kind.__reduce_ex__ is not object.__reduce_ex__ or kind.__reduce__ is not object.__reduce__:
        return NotImplemented
    base = next(base for base in _DESCRIPTORS if isinstance(found, base))
    state = dict(getattr(found, "__dict__", {}))
    arguments: tuple[Any, ...]
    if base is property:
        arguments = (found.fget, found.fset, found.fdel, found.__doc__)
    elif base is functools.cached_property:
        arguments = (state.pop("func", None),)
        state.pop("lock", None)  # before Python 3.12
    else:
        arguments = (found.__func__,)
        state = {
            name: value for name, value in state.items() if value is not getattr(found.__func__, name, state)
        }
    if kind is base:
        return (kind, arguments, state) if state and base is functools.cached_property else (kind, arguments)
    return capture.helper("descriptor"), (kind, base, *arguments), state or None


def _variable(capture: Capture, obj: Any) -> Any:
    """Return the name of a type variable or the like, which pickles by name."""
    found = importable(obj) or (obj.__module__, obj.__name__)
    if is_at(found[0], found[1], obj) and is_importable(found[0]):
        return NotImplemented if found[1] == obj.__name__ else capture.named(*found)
    known = capture.in_module(obj.__module__, obj)
    if known is not None:
        return known
    if type(obj).__name__ == "TypeAliasType":
        return capture.helper("alias"), (obj.__name__, obj.__value__, obj.__type_params__)
    if isinstance(obj, typing.NewType):
        return capture.named("typing", "NewType"), (obj.__name__, obj.__supertype__)
    return type(obj), (obj.__name__, *getattr(obj, "__constraints__", ()))


def _lru_cache(capture: Capture, obj: Any) -> Any:
    if importable(obj) is not None:
        return NotImplemented
    known = capture.in_globals(getattr(obj.__wrapped__, "__globals__", {}), obj)
    if known is not None:
        return known
    parameters = obj.cache_parameters()
    return capture.helper("cached"), (obj.__wrapped__, parameters["maxsize"], parameters["typed"])


def _wrapped_by_pydantic(capture: Capture, obj: Described) -> Any:
    proxy = capture.named("pydantic._internal._decorators", "PydanticDescriptorProxy")
    return proxy, (obj.wrapped, obj.decorator.info, obj.decorator.shim)


_ANSWERS: dict[type, Answer] = {
    Described: _wrapped_by_pydantic,
    types.CellType: _cell,
    types.MethodType: _method,
    types.MappingProxyType: lambda capture, view: (capture.named("types", "MappingProxyType"), (dict(view),)),
    typing.TypeVar: _variable,
    typing.ParamSpec: _variable,
    typing.TypeVarTuple: _variable,
    typing.NewType: _variable,
    typing.ForwardRef: _forward_reference,
    type(functools.lru_cache(len)): _lru_cache,
    weakref.ref: _reference,
    weakref.WeakMethod: lambda capture, found: (capture.named("weakref", "WeakMethod"), (found(),)),
    weakref.ProxyType: _proxy,
    weakref.CallableProxyType: _proxy,
    weakref.WeakValueDictionary: _weak_dictionary,
    weakref.WeakKeyDictionary: _weak_dictionary,
    weakref.WeakSet: lambda capture, found: (capture.named("weakref", "WeakSet"), (list(found),)),
}
"""Class → what is written for its instances, but not for those of classes below it."""
if sys.version_info >= (3, 12):
    _ANSWERS[typing.TypeAliasType] = _variable

ROWS = (
    Row(lambda obj: isinstance(obj, _FUNCTION_LIKE), _builtin),
    Row(lambda obj: type(obj) in _ANSWERS, lambda capture, obj: _ANSWERS[type(obj)](capture, obj)),
    Row(lambda obj: isinstance(obj, _DESCRIPTORS), _descriptor),
    Row(lambda obj: isinstance(obj, enum.Enum), _member),
)
