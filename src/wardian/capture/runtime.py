"""Code without a module of its own: what rebuilds functions and classes when a case is loaded.

A case holds this file as the package `captured`; it needs nothing but Python.
"""

import abc
import collections
import contextlib
import contextvars
import csv
import dataclasses
import enum
import functools
import io
import marshal
import socket
import sys
import threading
import types
import typing
import weakref
from types import FunctionType
from typing import Any

__all__ = [
    "Silent",
    "alias",
    "cached",
    "change",
    "changed",
    "class_of",
    "closed_socket",
    "code_of",
    "context_variable",
    "dead_reference",
    "descriptor",
    "dropping",
    "dropping_rows",
    "enum_of",
    "event_loop",
    "executor",
    "factory",
    "fill",
    "finish",
    "inside",
    "named_tuple_of",
    "of_class",
    "parametrized",
    "process_context",
    "register",
    "restore",
    "set_hooks",
    "set_state",
    "set_state_and_slots",
    "set_state_in_order",
    "set_variable",
    "silent",
    "thread",
    "typed_dict_of",
]


def factory(namespace: dict[str, Any]) -> Any:
    """Turn a function that makes a function into one that takes the cells of its free variables.

    Args:
        namespace: The globals of what is made.
    """

    def decorate(outer: Any) -> Any:
        bound = FunctionType(outer.__code__, namespace, outer.__name__)
        names = bound.__code__.co_varnames[: bound.__code__.co_argcount]

        def make(*cells: Any) -> FunctionType:
            # The arguments only make the compiler see free variables.
            return _function(
                bound(*[None] * len(names)).__code__, namespace, dict(zip(names, cells, strict=True))
            )

        return make

    return decorate


def code_of(namespace: dict[str, Any]) -> Any:
    """Return what makes a function of bytecode, which only the Python that packed it can run."""

    def make(data: bytes, *cells: Any) -> FunctionType:
        code = marshal.loads(data)  # noqa: S302  part of a case, whose purpose is to run code
        return _function(code, namespace, dict(zip(code.co_freevars, cells, strict=True)))

    return make


def _function(code: Any, namespace: dict[str, Any], cells: dict[str, Any]) -> FunctionType:
    for name in code.co_names:
        if name not in namespace:  # a package whose __init__ waits runs at the first look
            getattr(sys.modules.get(namespace.get("__name__", "")), name, None)
    closure = tuple(cells[name] for name in code.co_freevars)
    return FunctionType(code, namespace, code.co_name, None, closure or None)


def _once(make: Any) -> Any:
    """Return what makes a class once, however often what holds it is loaded, as an import would.

    What is made takes a key first, which no other class of the module has.
    """
    known: dict[str, Any] = {}

    def make_once(key: str, *arguments: Any) -> Any:
        made = known.get(key, _nothing)()
        if made is None or not _is_whole(made):
            made = make(*arguments)
            known[key] = weakref.ref(made)
        return made

    return make_once


def _nothing() -> None:
    pass


_whole: dict[int, Any] = {}
"""References to classes that have all their members, by id: a metaclass may say what is equal."""


def _is_whole(made: Any) -> bool:
    return _whole.get(id(made), _nothing)() is made


_hooks = threading.RLock()


@contextlib.contextmanager
def _passing_over(owner: Any) -> Any:
    """Let no `__init_subclass__` of *owner* be called: what it does has been done, and travels."""
    if owner is None:
        yield
        return
    with _hooks:
        hook = vars(owner)["__init_subclass__"]
        type.__setattr__(owner, "__init_subclass__", classmethod(lambda cls, **keywords: None))
        try:
            yield
        finally:
            type.__setattr__(owner, "__init_subclass__", hook)


def _make_class(
    metaclass: Any, name: str, bases: tuple[Any, ...], body: Any, way: dict[str, Any], **more: Any
) -> Any:
    """Make a class.

    Args:
        metaclass: Its class.
        name: As in the statement.
        bases: As in the statement.
        body: What the statement has in its block.
        way: `keywords` of the statement; `quiet`, a class whose `__init_subclass__` must not run; `plain`,
            the metaclass whose methods run in the place of those of *metaclass*.
        more: Other keywords.
    """
    with _passing_over(way.get("quiet")):
        plain = way.get("plain")
        if plain is None:
            return metaclass(name, bases, body, **way.get("keywords", {}), **more)
        made = plain.__new__(metaclass, name, bases, body, **more)
        plain.__init__(made, name, bases, body, **more)
        return made


def class_of(namespace: dict[str, Any]) -> Any:
    """Return what makes a class without members, which `finish` gives it."""

    def make(
        metaclass: Any,
        name: str,
        qualname: str,
        bases: tuple[Any, ...],
        way: dict[str, Any],
        *early: tuple[str, Any],
    ) -> Any:
        body = {"__module__": namespace.get("__name__", ""), "__qualname__": qualname, **dict(early)}
        return _make_class(metaclass, name, bases, body, way)

    return _once(make)


def enum_of(namespace: dict[str, Any]) -> Any:
    """Return what makes an enumeration, whose members `finish` gives their attributes."""

    def make(
        metaclass: Any,
        name: str,
        qualname: str,
        bases: tuple[Any, ...],
        way: dict[str, Any],
        boundary: Any,
        data: Any,
        members: Any,
    ) -> Any:
        body = metaclass.__prepare__(name, bases)
        body["__module__"] = namespace.get("__name__", "")
        body["__qualname__"] = qualname
        more = {} if boundary is None else {"boundary": boundary}
        if members and data is not False:
            # Its own are given to it afterwards: of what they were called with only the value is known.
            body["__new__"] = lambda cls, parts: _member(data, cls, parts)
            body["__init__"] = lambda member, *parts: None
        for key, *parts in members:
            body[key] = enum.member(_Parts(parts) if data is not False else parts[0])
        made = _make_class(metaclass, name, bases, body, way, **more)
        if members and data is not False:
            del made.__init__
        return made

    return _once(make)


class _Parts:
    """The parts of a member of an enumeration: its value and, if it is a number or text beside, that."""

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts


def _member(data: Any, cls: Any, made_of: Any) -> Any:
    if isinstance(made_of, tuple):  # of members that are tuples
        (made_of,) = made_of
    value, *beside = made_of.parts
    member = object.__new__(cls) if data is None else data.__new__(cls, *beside)
    member._value_ = value  # as the documentation of enum asks of a `__new__`
    return member


def named_tuple_of(namespace: dict[str, Any]) -> Any:
    """Return what makes a named tuple."""

    def make(name: str, qualname: str, fields: Any, defaults: Any, bases: tuple[Any, ...]) -> Any:
        module = namespace.get("__name__", "")
        make_type: Any = vars(collections)["namedtuple"]
        # Names that it has made of others begin with an underscore.
        made = make_type(name, fields, rename=True, defaults=defaults, module=module)
        made.__qualname__ = qualname
        if bases:
            made.__bases__ = bases
            generic: Any = typing.Generic
            made.__class_getitem__ = classmethod(generic.__class_getitem__.__func__)
        return made

    return _once(make)


def typed_dict_of(namespace: dict[str, Any]) -> Any:
    """Return what makes a class of dictionaries with certain keys."""

    def make(typed_dict: Any, name: str, qualname: str, generic: Any, total: bool) -> Any:
        body = {"__module__": namespace.get("__name__", ""), "__qualname__": qualname}
        bases = (typed_dict, *(generic or ()))
        made: Any = types.new_class(name, bases, {"total": total}, lambda own: own.update(body))
        if generic is None:
            del made.__orig_bases__
        return made

    return _once(make)


def parametrized(inject_class: Any, inject_property: Any, base: Any, names: tuple[str, ...]) -> Any:
    """Return an empty module of the class that PyTorch makes of *base* for parametrizations.

    PyTorch makes such a class for each module and lets it refuse to be pickled, because no import leads to
    it (torch/nn/utils/parametrize.py, `_inject_new_class`).

    Args:
        inject_class: `torch.nn.utils.parametrize._inject_new_class`.
        inject_property: The function of that module that gives such a class a tensor.
        base: The class that was parametrized.
        names: The tensors that have parametrizations.
    """
    module = base.__new__(base)
    inject_class(module)
    for name in names:
        inject_property(module, name)
    return module


def context_variable(
    name: str, default: tuple[Any, ...], value: tuple[Any, ...]
) -> contextvars.ContextVar[Any]:
    """Make a context variable with its default and its value here, of each none or one."""
    variable: contextvars.ContextVar[Any] = (
        contextvars.ContextVar(name, default=default[0]) if default else contextvars.ContextVar(name)
    )
    if value:
        variable.set(value[0])
    return variable


def dead_reference() -> Any:
    """Return a weak reference to what is gone."""
    return weakref.ref(type("Gone", (), {})())


class _Nowhere(io.RawIOBase):
    """Drops what is written."""

    def __init__(self, name: Any) -> None:
        super().__init__()
        self.name, self.mode = name, "wb"

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def write(self, data: Any) -> int:
        return memoryview(data).nbytes


def dropping(name: Any, encoding: str | None, closed: bool) -> Any:
    """Return a file in the place of one that was open for writing, whose folder need not be here.

    Args:
        name: Of the file.
        encoding: Of a text file; None for bytes.
        closed: Whether the file was closed.
    """
    file: Any = io.BufferedWriter(_Nowhere(name))
    if encoding is not None:
        file = io.TextIOWrapper(file, encoding)
    if closed:
        file.close()
    return file


def dropping_rows() -> Any:
    """Return a writer of the module csv whose file is not here."""
    return csv.writer(dropping(None, "utf-8", False))


class Silent:
    """Takes the place of a run or writer of a logging library: whatever is asked of it does nothing."""

    def __init__(self, name: str, values: dict[str, Any]) -> None:
        # No copy: what is set in `run.config` is set in the run.
        self.__dict__["_name"], self.__dict__["_values"] = name, values

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("_name", "_values"):
            raise AttributeError(name)
        value = self._values.get(name, self)
        return Silent(name, value) if name == "config" and isinstance(value, dict) else value

    def __setattr__(self, name: str, value: Any) -> None:
        self._values[name] = value

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what is decorated, or itself."""
        decorates = len(args) == 1 and not kwargs and isinstance(args[0], type | FunctionType)
        return args[0] if decorates else self

    def __getitem__(self, key: Any) -> Any:
        return self._values[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._values[key] = value

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __bool__(self) -> bool:
        return True

    def __contains__(self, key: Any) -> bool:
        return key in self._values

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __repr__(self) -> str:
        return f"<{self._name} that notes nothing>"

    def get(self, key: Any, default: Any = None) -> Any:
        """Return a setting."""
        return self._values.get(key, default)

    def keys(self) -> Any:
        """Return the names of the settings."""
        return self._values.keys()

    def values(self) -> Any:
        """Return the settings."""
        return self._values.values()

    def items(self) -> Any:
        """Return the settings with their names."""
        return self._values.items()

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Change settings."""
        self._values.update(*args, **kwargs)


def silent(name: str, values: dict[str, Any]) -> Any:
    """Return what takes the place of a run or writer of a logging library.

    Args:
        name: Of its class.
        values: The settings that a model may read of it.
    """
    return Silent(name, values)


def closed_socket() -> Any:
    """Return a socket in the place of one whose other end is not here."""
    made = socket.socket()
    made.close()
    return made


def executor(kind: Any, base: Any, settings: dict[str, Any], is_shut_down: bool) -> Any:
    """Return a new executor.

    Args:
        kind: Its class.
        base: The class of `concurrent.futures` that this is, or is derived from.
        settings: What the constructor of that is given.
        is_shut_down: Whether it takes no work.
    """
    made = kind.__new__(kind)
    base.__init__(made, **settings)
    if is_shut_down:
        base.shutdown(made)
    return made


def thread(kind: Any, base: Any, name: str, daemon: bool, has_ended: bool) -> Any:
    """Return a thread that was not started, or one that has ended.

    Args:
        kind: Its class.
        base: `threading.Thread`.
        name: Of the thread.
        daemon: Whether the process ends without waiting for it.
        has_ended: Whether it has run: elsewhere.
    """
    made = kind.__new__(kind)
    base.__init__(made, name=name, daemon=daemon)
    if has_ended:
        made.run = lambda: None  # Python has no other way to make one
        base.start(made)
        base.join(made)
        del made.run
    return made


def event_loop(is_closed: bool) -> Any:
    """Return an event loop of this platform."""
    import asyncio

    made = asyncio.new_event_loop()
    if is_closed:
        made.close()
    return made


def process_context(method: str) -> Any:
    """Return what starts processes by *method*, or as this platform does, if it has not got that."""
    import multiprocessing

    known = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context(method if method in known else None)


def cached(function: Any, maxsize: Any, typed: bool) -> Any:
    """Return *function* with an empty cache of its own."""
    return functools.lru_cache(maxsize, typed)(function)


def descriptor(kind: Any, base: Any, *arguments: Any) -> Any:
    """Return a property or the like of a class that is derived from it.

    Args:
        kind: The class.
        base: The class of Python that it is derived from.
        arguments: Of the constructor of that.
    """
    made = kind.__new__(kind)
    base.__init__(made, *arguments)
    return made


def fill(cell: Any, content: tuple[Any]) -> None:
    """Give a cell its content; a tuple, as None would mean that there is none."""
    cell.cell_contents = content[0]


def set_variable(function: Any, name: str, value: Any) -> None:
    """Set a variable that a function has from the one around it."""
    cells = dict(zip(function.__code__.co_freevars, function.__closure__, strict=True))
    cells[name].cell_contents = value


def inside(function: Any, steps: tuple[str, ...]) -> Any:
    """Return a function that another one was made of.

    Args:
        function: A decorated function.
        steps: Names of the attribute, or else of the variables of the decorators, that lead to it.
    """
    for name in steps:
        if name == "__wrapped__":
            function = function.__wrapped__
        else:
            cells = dict(zip(function.__code__.co_freevars, function.__closure__, strict=True))
            function = cells[name].cell_contents
    return function


def set_hooks(tensor: Any, state: tuple[dict[str, Any], Any]) -> None:
    """Give a tensor its hooks: the dictionaries, which handles refer to.

    Args:
        tensor: The tensor.
        state: Its dictionaries by attribute; the class of PyTorch that numbers hooks.
    """
    hooks, handle = state
    for name, numbered in hooks.items():
        setattr(tensor, name, numbered)
        # What is registered next must not take the place of one.
        handle.next_id = max(handle.next_id, *(number + 1 for number in numbered))


def set_state(made: Any, state: Any) -> None:
    """Give an object its attributes, and ask it for nothing."""
    values, slots = state if isinstance(state, tuple) else (state, None)
    for name, value in {**(values or {}), **(slots or {})}.items():
        object.__setattr__(made, name, value)


def register(container: Any, key: Any, value: Any) -> None:
    """Put into a container of a module what a script had put there, unless it is there."""
    if isinstance(container, dict):
        container[key] = value
    elif isinstance(container, set):
        container.add(value)
    elif value not in container:
        container.append(value)


def alias(name: str, value: Any, parameters: tuple[Any, ...]) -> Any:
    """Return a type alias, which Python 3.12 and newer have."""
    kind: Any = typing.TypeAliasType  # type: ignore[attr-defined,unused-ignore]
    return kind(name, value, type_params=parameters)


def of_class(kind: type, make: Any, *arguments: Any) -> Any:
    """Make an object by a function that makes one of a class above its own."""
    made = make(*arguments)
    made.__class__ = kind
    return made


def set_state_and_slots(made: Any, state: Any) -> None:
    """Give an object its state as it wants it, and what it has in slots."""
    values, slots = state
    made.__setstate__(values)
    for name, value in slots.items():
        object.__setattr__(made, name, value)


def set_state_in_order(made: Any, state: dict[str, Any]) -> None:
    """Give an object its state, and its attributes the order that they had.

    A constructor, or its `__setstate__`, sets some of them first.
    """
    names = list(state)  # the object may keep the dictionary
    if hasattr(made, "__setstate__"):
        made.__setstate__(state)
    else:
        vars(made).update(state)
    own = vars(made)
    before = [name for name in names if name in own]
    if before != list(own)[: len(before)]:
        ordered = {name: own[name] for name in (*before, *own)}
        own.clear()
        own.update(ordered)


def restore(made: Any, state: dict[str, Any]) -> None:
    """Give a function or class the attributes it had."""
    for name, value in state.items():
        setattr(made, name, value)
    if isinstance(made, abc.ABCMeta):
        update: Any = abc.update_abstractmethods
        update(made)


def finish(made: Any, state: dict[str, Any]) -> None:
    """Give a class that was made what it had, unless it was made, and has it, before."""
    if _is_whole(made):
        return
    # No global: who packs again would take functions in a container for what was registered.
    decorators: dict[str, Any] = {"@dataclass": _as_dataclass, "@attrs": _as_attrs, "@enum": _as_enum}
    decorated = [(decorate, state.pop(name)) for name, decorate in decorators.items() if name in state]
    restore(made, state)
    if "__annotations__" in state and isinstance(vars(made).get("_fields"), tuple):
        made.__new__.__annotations__ = state["__annotations__"]
    for decorate, told in decorated:
        decorate(made, *told)
    number = id(made)
    _whole[number] = weakref.ref(made, lambda reference: _whole.pop(number, None))


def _as_dataclass(
    made: Any, maker: Any, fields: Any, options: dict[str, Any], kept: dict[str, Any], told: dict[str, Any]
) -> None:
    """Decorate a class of data.

    Args:
        made: The class, with its annotations and slots.
        maker: The decorator, of the standard library or of pydantic.
        fields: Name, options and kind of each field of its own.
        options: Of the decorator.
        kept: Attributes in the place of those that the decorator sets.
        told: What the decorator is to say that it was told.
    """
    slots = {n: v for n, v in vars(made).items() if isinstance(v, types.MemberDescriptorType)}
    annotations = vars(made).get("__annotations__", {})
    usual = {}
    kinds: dict[str, Any] = {"InitVar": dataclasses.InitVar[Any], "ClassVar": typing.ClassVar[Any], "": Any}
    for name, options_of_field, kind in fields:
        written = annotations.get(name, Any)
        # Names in strings would be looked for where the class was defined.
        usual[name] = kinds[kind] if isinstance(written, str) or name not in annotations else written
        if options_of_field is not None:
            setattr(made, name, dataclasses.field(**options_of_field))
    made.__annotations__ = usual
    maker(made, **options)
    for name, found in made.__dataclass_fields__.items():
        if name in usual and name in annotations and found.type is not annotations[name]:
            found.type = annotations[name]
            if name in getattr(made.__init__, "__annotations__", {}):
                made.__init__.__annotations__[name] = annotations[name]
    made.__annotations__ = annotations or usual
    for name, value in {**slots, **kept}.items():
        type.__setattr__(made, name, value)
    for name, value in told.items():
        if hasattr(made.__dataclass_params__, name):
            object.__setattr__(made.__dataclass_params__, name, value)


def _as_attrs(
    made: Any,
    decorate: Any,
    field: Any,
    fields: dict[str, Any],
    options: dict[str, Any],
    names: tuple[str, ...],
    attributes: tuple[Any, ...],
    cached: dict[str, Any] | None = None,
    getting: Any = None,
) -> None:
    """Give a class what attrs generates: for another one, as it makes a new one of a class with slots.

    Args:
        made: The class, with its slots.
        decorate: `attr.s`.
        field: `attr.ib`.
        fields: Options of each field, those of the classes above included.
        options: Of the decorator.
        names: Of what it generates.
        attributes: What attrs tells of the fields.
        cached: Functions of its cached properties, if it has slots.
        getting: Its own `__getattr__`, if it has cached properties.
    """
    body = {"__module__": made.__module__, "__qualname__": made.__qualname__}
    for hook in ("__attrs_pre_init__", "__attrs_post_init__"):
        if hasattr(made, hook):
            body[hook] = getattr(made, hook)
    body |= {name: functools.cached_property(function) for name, function in (cached or {}).items()}
    if getting is not None:
        body["__getattr__"] = getting
    like = type(made.__name__, (BaseException,) if options["auto_exc"] else (), body)
    like = decorate(like, these={name: field(**told) for name, told in fields.items()}, **options)
    for name in names:
        if name in vars(like):
            setattr(made, name, vars(like)[name])
            for cell in getattr(vars(like)[name], "__closure__", None) or ():
                if cell.cell_contents is like:  # which `super()` asks
                    cell.cell_contents = made
    made.__attrs_attrs__ = type(like.__attrs_attrs__)(attributes)


def _as_enum(made: Any, attributes: dict[str, Any], own_new: Any, takes_parts: bool) -> None:
    """Give the members of an enumeration their attributes, and it the `__new__` that it was made with."""
    for name, values in attributes.items():
        for attribute, value in values.items():
            object.__setattr__(made[name], attribute, value)
    if own_new is not None:
        made.__new_member__ = own_new
    elif "__new_member__" in vars(made):
        del made.__new_member__
    made._new_member_ = getattr(made, "__new_member__", made._member_type_.__new__)
    made._use_args_ = takes_parts


changed: list[tuple[Any, str]] = []
"""The module or class, and the name, of each attribute that `change` has set, for whoever packs again."""


def change(owner: Any, state: dict[str, Any]) -> None:
    """Set in a module, or class of one, what a script had set in it."""
    restore(owner, state)
    changed.extend((owner, name) for name in state)
