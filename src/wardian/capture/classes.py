"""What a class is made of: the call that makes it again, and the members it is given."""

from __future__ import annotations

import dataclasses
import enum
import types
from typing import Any

__all__ = ["Described", "Recipe", "recipe_for"]

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
    if "__pydantic_decorators__" in vars(cls):
        return _pydantic(cls)
    if tuple in cls.__bases__ and isinstance(getattr(cls, "_fields", None), tuple) and "_fields" in vars(cls):
        return _named_tuple(cls)
    members = {
        name: value
        for name, value in vars(cls).items()
        if name not in _MADE_BY_PYTHON
        and not isinstance(value, types.MemberDescriptorType | types.GetSetDescriptorType)
    }
    if "__dataclass_params__" in members:
        _dataclass(cls, members)
    doc = members.pop("__doc__", None)
    if doc is not None:  # first, as every class that was made again has it
        members = {"__doc__": doc, **members}
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


_READ_BY_PYDANTIC = frozenset(
    {"__init__", "__hash__", "model_post_init", "__pydantic_init_subclass__", "__get_pydantic_core_schema__"}
)
"""Methods that pydantic looks at when a model is made; others can be given to it afterwards."""


def _pydantic(cls: Any) -> Recipe:
    """Take a pydantic model apart into what its class statement said: the metaclass compiles that.

    What became of it is in `pydantic/_internal/_model_construction.py`, `ModelMetaclass.__new__`: fields and
    private attributes are taken out of the class, and decorated functions out of their descriptors.
    """
    own = vars(cls)
    body: dict[str, Any] = {name: own[name] for name in ("__orig_bases__", "__doc__") if own.get(name)}
    body["model_config"] = dict(cls.model_config)
    body["__annotations__"] = annotations = dict(own.get("__annotations__", {}))
    for name, field in cls.__pydantic_fields__.items():
        if name not in annotations:
            continue
        # Names in strings would be looked for where the class was defined.
        annotations[name] = field.rebuild_annotation()
        told = {key: value for key, value in field._attributes_set.items() if key != "annotation"}  # noqa: SLF001
        if told:
            body[name] = type(field)(**told)
    inherited = {name for base in cls.__bases__ for name in getattr(base, "__private_attributes__", ())}
    for name, private in cls.__private_attributes__.items():
        if name in annotations:
            annotations[name] = Any
        if name in annotations or name not in inherited:
            body[name] = private
    decorated = {
        found.cls_var_name: found
        for kind in dataclasses.fields(cls.__pydantic_decorators__)
        if isinstance(known := getattr(cls.__pydantic_decorators__, kind.name), dict)
        for found in known.values()
    }
    members: dict[str, Any] = {}
    for name, value in own.items():
        function = getattr(value, "__wrapped__", value)
        if (
            name in body
            or name in _MADE_BY_PYTHON
            or name.startswith(("__pydantic_", "__class_vars__", "__private_attributes__", "__signature__"))
            or name in ("__parameters__", "__doc__")
            or getattr(function, "__module__", None) == "pydantic._internal._model_construction"
        ):
            continue
        if name in decorated:
            body[name] = Described(value, decorated[name])
        elif isinstance(value, types.FunctionType) and name not in _READ_BY_PYDANTIC:
            members[name] = value
        else:
            body[name] = function if name == "model_post_init" else value
    return Recipe(
        "class_of", (type(cls), cls.__name__, cls.__qualname__, cls.__bases__, *body.items()), members
    )


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Described:
    """A function that a decorator of pydantic marked."""

    wrapped: Any
    decorator: Any
    """What pydantic keeps of it."""


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
