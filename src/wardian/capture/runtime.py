"""Code without a module of its own: what rebuilds functions and classes when a case is loaded.

A case holds this file as the package `captured`; it needs nothing but Python.
"""

import abc
import collections
import contextvars
import csv
import dataclasses
import functools
import io
import marshal
import socket
import sys
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
    "dropping",
    "dropping_rows",
    "enum_of",
    "event_loop",
    "executor",
    "factory",
    "fill",
    "named_tuple_of",
    "of_class",
    "parametrized",
    "process_context",
    "register",
    "restore",
    "set_state",
    "set_state_and_slots",
    "set_state_in_order",
    "silent",
    "thread",
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


def class_of(namespace: dict[str, Any]) -> Any:
    """Return what makes a class without members, which `restore` gives it."""

    def make(
        metaclass: Any, name: str, qualname: str, bases: tuple[Any, ...], *early: tuple[str, Any]
    ) -> Any:
        body = {"__module__": namespace.get("__name__", ""), "__qualname__": qualname, **dict(early)}
        return metaclass(name, bases, body)

    return make


def enum_of(namespace: dict[str, Any]) -> Any:
    """Return what makes an enumeration."""

    def make(metaclass: Any, name: str, qualname: str, bases: tuple[Any, ...], body: Any) -> Any:
        members = metaclass.__prepare__(name, bases)
        members["__module__"] = namespace.get("__name__", "")
        members["__qualname__"] = qualname
        for key, value in body:
            members[key] = value
        return metaclass(name, bases, members)

    return make


def named_tuple_of(namespace: dict[str, Any]) -> Any:
    """Return what makes a named tuple."""

    def make(name: str, qualname: str, fields: Any, defaults: Any) -> Any:
        module = namespace.get("__name__", "")
        make_type: Any = vars(collections)["namedtuple"]
        made = make_type(name, fields, defaults=defaults, module=module)
        made.__qualname__ = qualname
        return made

    return make


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
        self.__dict__["_name"], self.__dict__["_values"] = name, dict(values)

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


def fill(cell: Any, content: tuple[Any]) -> None:
    """Give a cell its content; a tuple, as None would mean that there is none."""
    cell.cell_contents = content[0]


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
    generated = state.pop("@dataclass", None)
    for name, value in state.items():
        setattr(made, name, value)
        set_name = getattr(type(value), "__set_name__", None)
        if isinstance(made, type) and set_name is not None:
            set_name(value, made, name)
    if generated is not None:
        fields, options = generated
        for name, options_of_field in fields:
            setattr(made, name, dataclasses.field(**options_of_field))
        dataclasses.dataclass(made, **options)
    if isinstance(made, abc.ABCMeta):
        update: Any = abc.update_abstractmethods
        update(made)


changed: list[tuple[Any, str]] = []
"""What `change` has set: the module or class, and the name. Whoever packs again has to know."""


def change(owner: Any, state: dict[str, Any]) -> None:
    """Set in a module, or class of one, what a script had set in it."""
    restore(owner, state)
    changed.extend((owner, name) for name in state)
