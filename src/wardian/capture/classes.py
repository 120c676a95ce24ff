"""What a class is made of: the call that makes it again, and the members it is given."""

from __future__ import annotations

import dataclasses
import enum
import types
from typing import Any

__all__ = ["Recipe", "recipe_for"]

_MADE_BY_PYTHON = frozenset(
    {
        "__dict__",
        "__weakref__",
        "__module__",
        "__qualname__",
        "__slots__",
        "__firstlineno__",
        "__static_attributes__",
        "__abstractmethods__",
        "_abc_impl",
        "__annotate__",
        "__annotate_func__",
        "__annotations_cache__",
    }
)

_MADE_BY_DATACLASS = frozenset(
    {
        "__init__",
        "__repr__",
        "__eq__",
        "__lt__",
        "__le__",
        "__gt__",
        "__ge__",
        "__hash__",
        "__setattr__",
        "__delattr__",
        "__match_args__",
        "__replace__",
        "__getstate__",
        "__setstate__",
    }
)

_MADE_BY_NAMEDTUPLE = frozenset(
    {"_fields", "_field_defaults", "__new__", "_make", "__repr__", "_asdict", "__getnewargs__", "_replace"}
    | {"__match_args__", "__replace__", "__doc__", "__orig_bases__", "__annotations__"}
)

_FIELD_OPTIONS = ("init", "repr", "hash", "compare", "kw_only")


@dataclasses.dataclass(frozen=True, slots=True)
class Recipe:
    """How a class is made again.

    Attributes:
        maker: Name of the function of `runtime` that gives the maker.
        arguments: Of the maker.
        members: What the class is given afterwards.
    """

    maker: str
    arguments: tuple[Any, ...]
    members: dict[str, Any]


def recipe_for(cls: type) -> Recipe:
    """Take *cls* apart."""
    if issubclass(cls, enum.Enum):
        return _enum(cls)
    if tuple in cls.__bases__ and isinstance(getattr(cls, "_fields", None), tuple) and "_fields" in vars(cls):
        return _named_tuple(cls)
    members = {
        name: value
        for name, value in vars(cls).items()
        if name not in _MADE_BY_PYTHON
        and not isinstance(value, types.MemberDescriptorType | types.GetSetDescriptorType)
    }
    if members.get("__doc__", cls) is None:
        del members["__doc__"]
    if "__dataclass_params__" in members:
        _dataclass(cls, members)
    # What making a class looks at: slots, and of Generic[T] among the bases the T.
    early = tuple((name, vars(cls)[name]) for name in ("__slots__", "__orig_bases__") if name in vars(cls))
    members.pop("__orig_bases__", None)
    return Recipe("class_of", (type(cls), cls.__name__, cls.__qualname__, cls.__bases__, *early), members)


def _dataclass(cls: type, members: dict[str, Any]) -> None:
    """Replace what the decorator made by what it was told."""
    params = members.pop("__dataclass_params__")
    fields = members.pop("__dataclass_fields__")
    for name in _MADE_BY_DATACLASS & members.keys():
        function = getattr(members[name], "__wrapped__", members[name])
        code = getattr(function, "__code__", None)
        # What it generates has no file; what the user wrote has.
        if code is None or code.co_filename.startswith("<string") or "__create_fn__" in function.__qualname__:
            del members[name]
    told = []
    for name in members.get("__annotations__", getattr(cls, "__annotations__", {})):
        field = fields.get(name)
        if field is None or not isinstance(field, dataclasses.Field):
            continue
        options = {option: getattr(field, option) for option in _FIELD_OPTIONS}
        for default in ("default", "default_factory"):
            if getattr(field, default) is not dataclasses.MISSING:
                options[default] = getattr(field, default)
        if field.metadata:
            options["metadata"] = dict(field.metadata)
        if str(getattr(field, "_field_type", "")) != "_FIELD_CLASSVAR":
            members.pop(name, None)
            told.append((name, options))
    names = ("init", "repr", "eq", "order", "unsafe_hash", "frozen")
    members["@dataclass"] = (tuple(told), {name: getattr(params, name) for name in names})


def _named_tuple(cls: type) -> Recipe:
    fields: tuple[str, ...] = cls._fields  # type: ignore[attr-defined]
    defaults = tuple(cls._field_defaults.values())  # type: ignore[attr-defined]
    members = {
        name: value
        for name, value in vars(cls).items()
        if name not in _MADE_BY_PYTHON | _MADE_BY_NAMEDTUPLE and name not in fields
    }
    return Recipe("named_tuple_of", (cls.__name__, cls.__qualname__, fields, defaults), members)


def _enum(cls: type[enum.Enum]) -> Recipe:
    body = [(name, member._value_) for name, member in cls.__members__.items()]
    for name, value in vars(cls).items():
        if name in cls.__members__ or name in _MADE_BY_PYTHON:
            continue
        function = getattr(value, "fget", getattr(value, "__func__", value))
        if isinstance(function, types.FunctionType) and function.__qualname__.startswith(
            f"{cls.__qualname__}."
        ):
            body.append((name, value))
    return Recipe("enum_of", (type(cls), cls.__name__, cls.__qualname__, cls.__bases__, tuple(body)), {})
