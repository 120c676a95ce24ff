"""Plain data as bytes and back. The other side is not trusted: everything has a limit, nothing is unpickled.

A message is JSON behind its length. Text, numbers, true, false and null stand for themselves; the rest is a
list that begins with a letter:

    ["l", ...] list    ["t", ...] tuple    ["d", key, value, ...] dict
    ["b", base64] bytes    ["c", real, imaginary] complex    ["x", number] a tensor of the message
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["CrossingError", "LENGTH", "MOST", "WireError", "decode", "encode", "pack", "unpack"]

LENGTH = struct.Struct(">I")
"""The length of a message, which stands before it."""
MOST = 4 << 20
"""Bytes of a message; what is larger belongs into tensors."""
_DEEPEST = 64
"""Containers in containers."""
_LARGE = 1 << 60
"""Integers below are their own hashes."""
_MOST_MADE = 1000
"""Keys of one dictionary that are neither text nor small numbers."""
_PARTS = 200_000
"""Values in a message."""


class CrossingError(TypeError):
    """A value cannot cross: it is no plain data and no tensor."""


class WireError(ValueError):
    """The bytes that came are no message."""


def pack(message: Mapping[str, Any]) -> bytes:
    """Return a message as bytes, behind its length.

    Raises:
        CrossingError: if it is too large.
    """
    content = json.dumps(message).encode("ascii")
    if len(content) > MOST:
        raise CrossingError(
            f"plain data of {len(content):,} bytes cannot cross, only {MOST:,}; large data go into tensors"
        )
    return LENGTH.pack(len(content)) + content


def unpack(content: bytes) -> dict[str, Any]:
    """Return a message that came.

    Raises:
        WireError: if it is none.
    """
    try:
        message = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise WireError(f"it is no JSON: {type(error).__name__}") from None
    if not isinstance(message, dict):
        raise WireError("it is no object of JSON")
    return message


def encode(value: Any, put: Callable[[Any], int | None]) -> Any:
    """Return a value in the form of a message.

    Args:
        value: Plain data and tensors. Of a subclass of a container goes the content.
        put: Takes a tensor and returns its place; returns None for anything else.

    Raises:
        CrossingError: if something in it cannot cross.
    """
    return _Encoding(put).encode(value, 0)


class _Encoding:
    def __init__(self, put: Callable[[Any], int | None]) -> None:
        self._put = put
        self._parts = 0

    def encode(self, value: Any, depth: int) -> Any:
        self._parts += 1
        if depth > _DEEPEST or self._parts > _PARTS:
            raise CrossingError(f"data with more than {_PARTS:,} parts, or {_DEEPEST} levels, cannot cross")
        if value is None or isinstance(value, bool):
            return value
        for kind in (str, int, float):
            if isinstance(value, kind):
                return kind(value)  # an enum or a subclass as what it holds
        if isinstance(value, complex):
            return ["c", value.real, value.imag]
        if isinstance(value, bytes | bytearray):
            return ["b", base64.b64encode(value).decode("ascii")]
        if isinstance(value, Mapping):
            pairs = [part for pair in value.items() for part in pair]
            return ["d", *(self.encode(part, depth + 1) for part in pairs)]
        if isinstance(value, list | tuple):
            letter = "l" if isinstance(value, list) else "t"
            return [letter, *(self.encode(part, depth + 1) for part in value)]
        place = self._put(value)
        if place is None:
            name = f"{type(value).__module__}.{type(value).__qualname__}"
            raise CrossingError(f"{name} cannot cross: only tensors and plain data do")
        return ["x", place]


def decode(form: Any, tensors: Sequence[Any]) -> Any:
    """Return the value of a form that came.

    Args:
        form: What `encode` makes, or anything else.
        tensors: The tensors that came with it.

    Raises:
        WireError: if the form is none.
    """
    return _Decoding(tensors).decode(form, 0)


class _Decoding:
    def __init__(self, tensors: Sequence[Any]) -> None:
        self._tensors = tensors
        self._parts = 0

    def decode(self, form: Any, depth: int) -> Any:
        self._parts += 1
        if depth > _DEEPEST or self._parts > _PARTS:
            raise WireError(f"it has more than {_PARTS:,} parts, or {_DEEPEST} levels")
        if form is None or isinstance(form, bool | int | float | str):
            return form
        if not isinstance(form, list) or not form:
            raise WireError("a part has no form that is known")
        letter, *parts = form
        if letter in ("l", "t", "d"):
            found = [self.decode(part, depth + 1) for part in parts]
            if letter == "l":
                return found
            return tuple(found) if letter == "t" else _dictionary(found)
        read = _LEAVES.get(letter) if isinstance(letter, str) else None
        if read is None:
            raise WireError("a part has no form that is known")
        return read(parts, self._tensors)


def _check_keys(keys: list[Any]) -> None:
    """Refuse many keys whose hashes may be equal by design: to look one up takes as many steps."""
    plain = (str, bytes, bool, float, type(None))
    made = sum(
        not isinstance(key, plain) and not (isinstance(key, int) and abs(key) < _LARGE) for key in keys
    )
    if made > _MOST_MADE:
        raise WireError(f"a dictionary has more than {_MOST_MADE:,} keys that are tuples or large numbers")


def _dictionary(found: list[Any]) -> dict[Any, Any]:
    keys, values = found[::2], found[1::2]
    if len(keys) != len(values):
        raise WireError("a dictionary has a key without a value")
    _check_keys(keys)
    try:
        made = dict(zip(keys, values, strict=True))
    except TypeError:
        raise WireError("a key of a dictionary has no hash") from None
    if len(made) != len(keys):
        raise WireError("a dictionary has a key twice")
    return made


def _bytes(parts: list[Any], _: Sequence[Any]) -> bytes:
    if len(parts) != 1 or not isinstance(parts[0], str):
        raise WireError("bytes are no text")
    try:
        return base64.b64decode(parts[0], validate=True)
    except (binascii.Error, ValueError):
        raise WireError("bytes are no base64") from None


def _complex(parts: list[Any], _: Sequence[Any]) -> complex:
    if len(parts) != 2 or not all(isinstance(part, float) for part in parts):
        raise WireError("a complex number is not two numbers")
    return complex(*parts)


def _tensor(parts: list[Any], tensors: Sequence[Any]) -> Any:
    if len(parts) != 1 or type(parts[0]) is not int or not 0 <= parts[0] < len(tensors):
        raise WireError("a tensor is not there")
    return tensors[parts[0]]


_LEAVES: Mapping[str, Callable[[list[Any], Sequence[Any]], Any]] = {
    "b": _bytes,
    "c": _complex,
    "x": _tensor,
}
