"""Objects that are pickled in each of Python's ways, and pickles that are written by hand."""

from __future__ import annotations

import enum
import pickle
import pickletools
from typing import TYPE_CHECKING, Any, Self

from wardian.pickling.canonical import canonicalise


class Layer:
    """Hashed by identity; holds whatever it is given."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Device:
    """Pickled as a call, without state."""

    def __init__(self, kind: Any, index: int = 0) -> None:
        self.kind = kind
        self.index = index

    def __reduce__(self) -> Any:
        return Device, (self.kind, self.index)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and (self.kind, self.index) == (other.kind, other.index)

    def __hash__(self) -> int:
        return hash(self.index)


class Keyword:
    """Pickled with NEWOBJ_EX."""

    def __new__(cls, *, name: str) -> Self:
        made = super().__new__(cls)
        made.name = name
        return made

    name: str

    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, str]]:
        return (), {"name": self.name}


class Settled:
    """Pickled with a function that sets its state: ends in REDUCE, POP."""

    def __init__(self) -> None:
        self.state: Any = None

    def __reduce__(self) -> Any:
        return Settled, (), self.state, None, None, settle


def settle(target: Settled, state: Any) -> None:
    target.state = state


def canonical(value: Any) -> bytes:
    """The canonical pickle, after a check that it loads and is its own canonical form."""
    made = canonicalise(pickle.dumps(value, 4))
    assert canonicalise(made.data) == made
    return made.data


def opcodes(data: bytes) -> list[str]:
    return [opcode.name for opcode, _, _ in pickletools.genops(data)]


def in_order(*items: bytes, close: bytes = b"\x90") -> bytes:
    """A pickle of a set whose items are written in the order given."""
    start = b"\x8f\x94(" if close == b"\x90" else b"("
    return b"\x80\x04" + start + b"".join(items) + close + b"."
