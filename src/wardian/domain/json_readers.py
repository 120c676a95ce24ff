"""From JSON to frozen dataclasses: each value is checked against the type of its field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

__all__ = ["InvalidError", "Reader", "Readers"]

Reader = Callable[[Any, str], Any]
"""Takes a value of JSON and the words for where it stands, and returns what it means."""


class InvalidError(Exception):
    """A value is not of the type of its field. The message says where, and of which it must be."""


class Readers:
    """Functions that read values of JSON by the type that they must have, each made once.

    An integer is 0 to 2^63-1; a dataclass is an object with just its fields as keys.

    Args:
        own: Type → the function that makes its reader, for types that are not read by their fields.

    >>> Readers({}).read([1, 2], tuple[int, ...], "shape")
    (1, 2)
    """

    def __init__(self, own: Mapping[Any, Callable[[Readers], Reader]]) -> None:
        self._own = own
        self._known: dict[Any, Reader] = {}

    def read(self, value: Any, hint: Any, where: str) -> Any:
        """Return what a value means as one of type *hint*.

        Raises:
            InvalidError: if it is not of that type.
        """
        return self.of(hint)(value, where)

    def of(self, hint: Any) -> Reader:
        """Return the reader of a type."""
        reader = self._known.get(hint)
        if reader is None:
            reader = self._known[hint] = self._make(hint)
        return reader

    def of_object(self, hint: Any) -> Reader:
        """Return a reader of a dataclass by its fields."""
        hints = get_type_hints(hint)
        readers = {f.name: self.of(hints[f.name]) for f in fields(hint)}

        def read_object(value: Any, where: str) -> Any:
            if not isinstance(value, dict) or value.keys() != readers.keys():
                keys = sorted(value.keys() ^ readers.keys()) if isinstance(value, dict) else []
                raise InvalidError(
                    f"{where} must be an object with the keys of the format; wrong: {keys[:5]!r:.400}"
                )
            return hint(**{key: read(value[key], f"{where}.{key}") for key, read in readers.items()})

        return read_object

    def _make(self, hint: Any) -> Reader:
        origin, args = get_origin(hint), get_args(hint)
        if hint in self._own:
            return self._own[hint](self)
        if isinstance(hint, type) and is_dataclass(hint):
            return self.of_object(hint)
        if origin is tuple:
            return _list_of(self.of(args[0]))
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return _mapping_to(self.of(args[1]))
        if origin is Literal:
            return _one_of(args)
        if origin in (Union, UnionType):
            inner = self.of(next(a for a in args if a is not type(None)))
            return lambda value, where: None if value is None else inner(value, where)
        return _atom(hint)


def _list_of(item: Reader) -> Reader:
    def read_list(value: Any, where: str) -> Any:
        if not isinstance(value, list):
            raise InvalidError(f"{where} must be a list")
        return tuple(item(v, f"{where}[{i}]") for i, v in enumerate(value))

    return read_list


def _mapping_to(item: Reader) -> Reader:
    def read_mapping(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            raise InvalidError(f"{where} must be an object")
        return MappingProxyType({k: item(v, f"{where}[{k!r}]") for k, v in value.items()})

    return read_mapping


def _one_of(allowed: tuple[Any, ...]) -> Reader:
    def read_literal(value: Any, where: str) -> Any:
        if value not in allowed:
            raise InvalidError(f"{where} must be one of {', '.join(map(repr, allowed))}")
        return value

    return read_literal


def _atom(hint: Any) -> Reader:
    def read_atom(value: Any, where: str) -> Any:
        if type(value) is not hint or (hint is int and not 0 <= value < 2**63):
            raise InvalidError(
                f"{where} must be {hint.__name__} (an integer is 0 to 2^63-1), not {value!r:.40}"
            )
        return value

    return read_atom
