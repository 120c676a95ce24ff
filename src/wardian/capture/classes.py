"""Recipes for classes: the call that makes a class again, and the members it is given.

Most of what makes classes forgets what it was told. Each recipe reads that from the class, and leaves out
what its maker generates; `tests/property/test_class_laws.py` holds what comes back to what went in.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import sys
import types
import typing
from collections.abc import Callable
from typing import Any

from wardian.capture.homes import importable
from wardian.capture.statements import functions_in
from wardian.capture.texts import first_line, read_texts
from wardian.domain.modules import is_stdlib
from wardian.domain.names import ModuleName

__all__ = ["Described", "Recipe", "recipe_for", "subscription_of"]

_MADE_BY_PYTHON = frozenset(
    {
        "__dict__",
        "__weakref__",
        "__module__",
        "__qualname__",
        "__slots__",
        "__slotnames__",  # what pickle has found
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
        "__replace__",
    }
)

_MADE_BY_NAMEDTUPLE = frozenset(
    {"_fields", "_field_defaults", "__new__", "_make", "__repr__", "_asdict", "__getnewargs__", "_replace"}
    | {"__match_args__", "__replace__", "__class_getitem__"}
)

_MADE_BY_ENUM = frozenset(
    {"_new_member_", "_use_args_", "_member_names_", "_member_map_", "_value2member_map_", "_member_type_"}
    | {"_hashable_values_", "_unhashable_values_", "_unhashable_values_map_", "_value_repr_", "__new__"}
    | {"__new_member__", "_boundary_", "_flag_mask_", "_all_bits_", "_singles_mask_", "_inverted_"}
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


def subscription_of(cls: type) -> tuple[Any, Any] | None:
    """Return the generic class, and what is in the brackets, of a class that a subscription made.

    Pydantic makes one of `Box[int]`, and keeps it.
    """
    told = vars(cls).get("__pydantic_generic_metadata__")
    if not isinstance(told, dict) or told.get("origin") is None or not told.get("args"):
        return None
    arguments = told["args"]
    return told["origin"], arguments[0] if len(arguments) == 1 else arguments


def recipe_for(cls: type) -> Recipe:
    """Take *cls* apart."""
    if isinstance(cls, enum.EnumType) and "_member_map_" in vars(cls):
        return _enum(cls)
    if "__pydantic_decorators__" in vars(cls) and "__pydantic_fields__" in vars(cls):
        if "__dataclass_params__" not in vars(cls):
            return _pydantic(cls)
    elif (
        isinstance(getattr(cls, "_fields", None), tuple) and "_fields" in vars(cls) and tuple in cls.__bases__
    ):
        return _named_tuple(cls)
    elif type(cls).__name__ == "_TypedDictMeta":
        return _typed_dict(cls)
    members = {
        name: value
        for name, value in vars(cls).items()
        if name not in _MADE_BY_PYTHON
        and not isinstance(value, types.MemberDescriptorType | types.GetSetDescriptorType)
    }
    if "__dataclass_params__" in members:
        _dataclass(cls, members)
    elif "__attrs_attrs__" in members:
        _attrs(cls, members)
    if getattr(cls, "_is_protocol", False):
        for name in ("__init__", "__subclasshook__"):
            if (
                getattr(getattr(members.get(name), "__func__", members.get(name)), "__module__", "")
                == "typing"
            ):
                del members[name]
    members = _with_doc_first(members)
    # What making a class looks at: slots, and of Generic[T] among the bases the T.
    early = tuple((name, vars(cls)[name]) for name in ("__slots__", "__orig_bases__") if name in vars(cls))
    members.pop("__orig_bases__", None)
    return Recipe("class_of", (*_head(cls), *early), members)


def _head(cls: type) -> tuple[Any, ...]:
    return type(cls), cls.__name__, cls.__qualname__, cls.__bases__, _way(cls)


def _with_doc_first(members: dict[str, Any]) -> dict[str, Any]:
    """Return members as every class that was made again has them: the docstring first, if there is one."""
    doc = members.pop("__doc__", None)
    return members if doc is None else {"__doc__": doc, **members}


# How the class statement is said again


def _way(cls: type) -> dict[str, Any]:
    """Return how a class is to be made, beside its metaclass, name and bases.

    `__init_subclass__`, and the methods of a metaclass, have done already what they do. What they did to
    classes and tables that travel with the class travels, too, so that they must not do it twice: they are
    passed over. What they did to a module that is imported is done there again, as an import of it knows
    nothing of this class; they are given the keywords that the class statement has.
    """
    hook = next((c for c in cls.__mro__[1:] if "__init_subclass__" in vars(c)), object)
    metaclass: Any = type(cls)
    meta = next((c for c in metaclass.__mro__ if {"__new__", "__init__"} & vars(c).keys()), type)
    way: dict[str, Any] = {}
    if not _is_of_python(meta) and importable(meta) is None:
        way["plain"] = next(c for c in metaclass.__mro__ if _is_of_python(c) or importable(c) is not None)
    if not _is_of_python(hook) and importable(hook) is None:
        way["quiet"] = hook
    elif not (_is_of_python(hook) and _is_of_python(meta)) and "plain" not in way:
        keywords = _keywords_of(cls)
        if keywords:
            way["keywords"] = keywords
        elif not _is_of_python(hook) and not _takes_nothing(hook):
            way["quiet"] = hook
    return way


def _is_of_python(cls: type) -> bool:
    return is_stdlib(ModuleName(cls.__module__))


def _takes_nothing(hook: Any) -> bool:
    try:
        inspect.signature(hook.__init_subclass__).bind()
    except (TypeError, ValueError):
        return False
    return True


def _keywords_of(cls: type) -> dict[str, Any]:
    """Return the keywords of a class statement, but for the metaclass; empty if one cannot be told."""
    functions = [f for f in functions_in(cls) if f.__qualname__.startswith(f"{cls.__qualname__}.")]
    variables = functions[0].__globals__ if functions else vars(sys.modules.get(cls.__module__, types))
    file = functions[0].__code__.co_filename if functions else variables.get("__file__")
    for text in read_texts(file) if isinstance(file, str) else ():
        for node in ast.walk(text.tree):
            if not isinstance(node, ast.ClassDef) or node.name != cls.__name__ or not node.keywords:
                continue
            lines = range(first_line(node), (node.end_lineno or 0) + 1)
            if all(f.__code__.co_firstlineno in lines for f in functions[:1]):
                told = [(k.arg, k.value) for k in node.keywords if k.arg != "metaclass"]
                try:
                    return {str(name): _valued(value, variables) for name, value in told}
                except (ValueError, KeyError, AttributeError):
                    return {}
    return {}


def _valued(expression: ast.expr, variables: dict[str, Any]) -> Any:
    """Return the value of a literal or of a global name."""
    if isinstance(expression, ast.Name):
        return variables[expression.id]
    if isinstance(expression, ast.Attribute):
        return getattr(_valued(expression.value, variables), expression.attr)
    return ast.literal_eval(expression)


# What generated the members


def _dataclass(cls: type, members: dict[str, Any]) -> None:
    """Replace what the decorator made by what it was told.

    The class has its slots already: `slots=True` would make another one. What is set after the decorator
    ran is what that would take away: descriptors, also those of slots.
    """
    params = members.pop("__dataclass_params__")
    fields = members.pop("__dataclass_fields__")
    for name in _MADE_BY_DATACLASS & members.keys():
        function = getattr(members[name], "__wrapped__", members[name])
        code = getattr(function, "__code__", None)
        # What it generates has no file; what the user wrote has.
        if (
            code is None
            or code.co_filename.startswith("<string")
            or "__create_fn__" in function.__qualname__
            or function.__module__ == "dataclasses"
        ):
            del members[name]
    told: list[tuple[str, dict[str, Any] | None, str]] = []
    kept: dict[str, Any] = {}
    for name in vars(cls).get("__annotations__", getattr(cls, "__annotations__", {})):
        field = fields.get(name)
        kind = str(getattr(field, "_field_type", ""))
        if not isinstance(field, dataclasses.Field):
            continue
        if kind == "_FIELD_CLASSVAR":
            told.append((name, None, "ClassVar"))
            continue
        options: dict[str, Any] = {option: getattr(field, option) for option in _FIELD_OPTIONS}
        for default in ("default", "default_factory"):
            if getattr(field, default) is not dataclasses.MISSING:
                options[default] = getattr(field, default)
        if field.metadata:
            options["metadata"] = dict(field.metadata)
        value = members.pop(name, dataclasses.MISSING)
        if value is not dataclasses.MISSING and value is not field.default:
            kept[name] = value
        told.append((name, options, "InitVar" if kind == "_FIELD_INITVAR" else ""))
    # `__match_args__` is kept as it is.
    names = ("init", "repr", "eq", "order", "unsafe_hash", "frozen")
    options = {name: getattr(params, name) for name in names} | {"match_args": False}
    params_kept = {
        name: getattr(params, name)
        for name in ("match_args", "kw_only", "slots", "weakref_slot")
        if hasattr(params, name)
    }
    maker: Any = dataclasses.dataclass
    if "__pydantic_validator__" in members:
        maker = _pydantic_dataclass(cls, members, options)
    members["@dataclass"] = (maker, tuple(told), options, kept, params_kept)


def _pydantic_dataclass(cls: Any, members: dict[str, Any], options: dict[str, Any]) -> Any:
    """Leave out what pydantic compiles, and return its decorator."""
    for name, found in _decorated(cls).items():
        if name in members:
            members[name] = Described(members[name], found)
    config = members.pop("__pydantic_config__", None)
    for name in list(members):
        function = getattr(members[name], "__wrapped__", members[name])
        generated = (getattr(function, "__module__", None) or "").startswith("pydantic._internal")
        if name.startswith("__pydantic_") or name == "__signature__" or generated:
            del members[name]
    del options["match_args"], options["init"]
    if config:
        options["config"] = dict(config)
    module: Any = sys.modules["pydantic.dataclasses"]
    return module.dataclass


_ATTRS_OPTIONS = (
    *("default", "validator", "repr", "eq", "order", "hash", "init", "metadata", "type", "converter"),
    *("kw_only", "on_setattr", "alias"),
)


def _attrs(cls: Any, members: dict[str, Any]) -> None:
    """Replace what attrs made by what it was told.

    The names are those of `attr.s` and `attr.ib`, which promise most: https://www.attrs.org/en/stable/names.html
    """
    attr: Any = sys.modules["attr"]
    fields = {found.name: _field_of_attrs(attr, found) for found in cls.__attrs_attrs__}
    generated = [name for name, value in members.items() if _is_of_attrs(value)]
    props = members.get("__attrs_props__")
    functions = {name: getattr(members[name], "__code__", None) for name in generated}
    is_frozen = getattr(props, "is_frozen", None)
    if is_frozen is None:  # before attrs 25.4
        is_frozen = getattr(vars(cls).get("__setattr__"), "__name__", "") == "_frozen_setattrs"
    hashes = functions.get("__hash__")
    told: dict[str, Any] = {
        "init": "__init__" in generated,
        "repr": "__repr__" in generated,
        "str": "__str__" in generated,
        "eq": "__eq__" in generated,
        "order": "__lt__" in generated,
        "frozen": is_frozen,
        "unsafe_hash": hashes is not None,
        "cache_hash": hashes is not None and "_attrs_cached_hash" in hashes.co_names,
        "auto_exc": issubclass(cls, BaseException),
        "slots": "__slots__" in vars(cls),
        "getstate_setstate": "__getstate__" in generated,
        "match_args": False,
    }
    if "__setattr__" in generated and not is_frozen:
        usual = [attr.setters.convert, attr.setters.validate]
        told["on_setattr"] = getattr(props, "on_setattr_hook", None) or usual
    getting = members["__getattr__"] if "__getattr__" in generated else None
    for name in (*generated, "__attrs_attrs__", "__attrs_base_of_slotted__"):
        members.pop(name, None)
    own = tuple(cls.__attrs_attrs__)
    members["@attrs"] = (attr.s, attr.ib, fields, told, tuple(generated), own)
    if getting is not None:  # a class with slots computes cached properties there
        members["@attrs"] += tuple(getting.__defaults__[:2])


def _field_of_attrs(attr: Any, found: Any) -> dict[str, Any]:
    options = {name: getattr(found, name) for name in _ATTRS_OPTIONS if hasattr(found, name)}
    for name in ("eq", "order"):
        options[name] = getattr(found, f"{name}_key", None) or options[name]
    options["metadata"] = dict(found.metadata)
    if options["default"] is attr.NOTHING:
        del options["default"]
    return options


def _is_of_attrs(value: Any) -> bool:
    code = getattr(value, "__code__", None)
    module = str(getattr(value, "__globals__", {}).get("__name__"))
    return code is not None and (
        code.co_filename.startswith("<attrs generated") or module.startswith("attr.")
    )


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
    annotations = dict(own.get("__annotations__", {}))
    if annotations:
        body["__annotations__"] = annotations
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
    decorated = _decorated(cls)
    members: dict[str, Any] = {"__annotations__": dict(own["__annotations__"])} if annotations else {}
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
        elif (isinstance(value, types.FunctionType) and name not in _READ_BY_PYDANTIC) or (
            # Only what has set it afterwards can have left out the annotation.
            name not in annotations and not name.startswith("_") and _is_plain_value(value)
        ):
            members[name] = value
        else:
            body[name] = function if name == "model_post_init" else value
    return Recipe("class_of", (*_head(cls), *body.items()), members)


def _is_plain_value(value: Any) -> bool:
    return not isinstance(value, type) and not hasattr(type(value), "__get__")


def _decorated(cls: Any) -> dict[str, Any]:
    """Return what pydantic keeps of the functions that its decorators marked, by name."""
    return {
        found.cls_var_name: found
        for kind in dataclasses.fields(cls.__pydantic_decorators__)
        if isinstance(known := getattr(cls.__pydantic_decorators__, kind.name), dict)
        for found in known.values()
    }


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Described:
    """A function that a decorator of pydantic marked."""

    wrapped: Any
    decorator: Any
    """The note about it that pydantic keeps."""


def _named_tuple(cls: type) -> Recipe:
    fields: tuple[str, ...] = cls._fields  # type: ignore[attr-defined]
    defaults = tuple(cls._field_defaults.values())  # type: ignore[attr-defined]
    members = {
        name: value
        for name, value in vars(cls).items()
        if name not in _MADE_BY_PYTHON | _MADE_BY_NAMEDTUPLE
        and (name not in fields or type(value).__name__ != "_tuplegetter" or not _is_plain_field(value))
    }
    bases = () if cls.__bases__ == (tuple,) else cls.__bases__
    return Recipe("named_tuple_of", (cls.__name__, cls.__qualname__, fields, defaults, bases), members)


def _is_plain_field(getter: Any) -> bool:
    return str(getter.__doc__).startswith("Alias for field number")


def _typed_dict(cls: Any) -> Recipe:
    members = {name: value for name, value in vars(cls).items() if name not in _MADE_BY_PYTHON | {"__new__"}}
    maker: Any = sys.modules[type(cls).__module__]
    bases = members.get("__orig_bases__")
    generic = None if bases is None else tuple(b for b in bases if typing.get_origin(b) is typing.Generic)
    arguments = (maker.TypedDict, cls.__name__, cls.__qualname__, generic, cls.__total__)
    return Recipe("typed_dict_of", arguments, _with_doc_first(members))


# Enumerations

_EXACT: dict[type, Callable[[Any], Any]] = {
    int: int.__int__,
    float: float.__float__,
    complex: complex.__complex__,
    str: lambda member: str.__getitem__(member, slice(None)),
    bytes: lambda member: bytes.__getitem__(member, slice(None)),
    tuple: lambda member: tuple.__getitem__(member, slice(None)),
}
"""Types that a member may also be of, each with a function that takes the plain value out of it."""

_OF_MEMBERS = frozenset({"_value_", "_name_", "__objclass__", "_sort_order_"})


def _enum(cls: Any) -> Recipe:
    """Take an enumeration apart into members that are made without its own `__new__` and `__init__`.

    Of what these were given only the value is known.
    """
    data: Any = next((base for base in _EXACT if issubclass(cls, base)), None)
    if data is None and cls._member_type_.__new__ is not object.__new__:
        data = False  # of another class of C: made of its value
    body = [
        (name, member._value_, *((_EXACT[data](member),) if data else ()))
        for name, member in cls.__members__.items()
    ]
    attributes = {
        name: own
        for name, member in cls.__members__.items()
        if member._name_ == name
        and (own := {k: v for k, v in getattr(member, "__dict__", {}).items() if k not in _OF_MEMBERS})
    }
    above = [vars(base) for base in cls.__mro__[1:]]
    members: dict[str, Any] = {}
    for name, value in vars(cls).items():
        function = getattr(value, "__func__", value)
        if (
            name in cls.__members__
            or name in _MADE_BY_PYTHON | _MADE_BY_ENUM
            or any(known.get(name) is value for known in above)
            or getattr(function, "__module__", None) == "enum"
            or isinstance(value, types.WrapperDescriptorType | types.MethodDescriptorType)
            or (isinstance(value, staticmethod | types.FunctionType) and function in _functions_of(cls, name))
        ):
            continue
        members[name] = value
    own_new = vars(cls).get("__new_member__")
    if isinstance(own_new, staticmethod):
        own_new = own_new.__func__
    members = _with_doc_first(members)
    members["@enum"] = (attributes, own_new, cls._use_args_)
    boundary = getattr(cls, "_boundary_", None)
    if boundary is getattr(cls.__bases__[-1], "_boundary_", None):
        boundary = None
    return Recipe("enum_of", (*_head(cls), boundary, data, tuple(body)), members)


def _functions_of(cls: type, name: str) -> list[Any]:
    """Return what the classes above *cls* have under a name, as functions."""
    found = [vars(base).get(name) for base in cls.__mro__[1:]]
    return [getattr(value, "__func__", value) for value in found if value is not None]
