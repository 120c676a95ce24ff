"""The tape of a canonical pickle: what `wardian.pickling.canonical` explains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final, NoReturn, cast

from wardian.domain.names import PlainTensor
from wardian.pickling.opcodes import COUNTED, HEADER, PUT, fetch_of, literal_of

__all__ = ["LOST", "Tape", "named_global", "same_object"]


# Stands in the memo for what was defined only in a part of a region that the graph does not hold.
LOST: Final = -(1 << 62)


def named_global(module: str, qualname: str) -> NoReturn:
    """Stand, in what a pickler is given, for the global of these two names.

    The C pickler writes a class or function as a global only if its own `__module__` and `__qualname__` lead
    to it. For any other, a `reducer_override` returns `(named_global, (module, qualname))`, and
    `canonicalise` writes the global in place of the call. The names are not renamed.

    Raises:
        TypeError: always; a pickle that calls it is not in canonical form.
    """
    raise TypeError(f"not a pickle in canonical form: it calls named_global({module!r}, {qualname!r})")


def same_object(known: object) -> NoReturn:
    """Stand, in what a pickler is given, for an object that the pickler has written already.

    For what equals another, and is one with it wherever it is loaded, a `reducer_override` returns
    `(same_object, (known,))`, and `canonicalise` writes *known* in place of the call.

    Raises:
        TypeError: always; a pickle that calls it is not in canonical form.
    """
    raise TypeError(f"not a pickle in canonical form: it calls same_object({known!r})")


_MARKER: Final = (named_global.__module__, named_global.__qualname__)
_SAME: Final = (same_object.__module__, same_object.__qualname__)


class Tape:
    """The tape, with the objects that occur on it.

    An object is a number, its index in `literals`. The tape is two lists of one length: at each place is a
    piece of bytes and after it an object, or -1 where none occurs.

    Attributes:
        pieces: The bytes.
        things: The objects.
        literals: The opcode and argument that make a string; empty for other objects.
        strings: Literal → object.
        pairs: Global → the objects of its module and its qualified name.
        places: Other object → index into the tape of its first occurrence.
        phrases: Object that stands for several that follow each other → these, and the bytes between them.
        again: Objects that may occur more than once; all others occur at most once.
        names: What becomes `CanonicalPickle.globals`.
    """

    def __init__(self, rename: Callable[[str], str] | None) -> None:
        self.pieces: list[bytes] = [HEADER]
        self.things: list[int] = [-1]
        self.literals: list[bytes] = []
        self.strings: dict[bytes, int] = {}
        self.pairs: dict[int, tuple[int, int]] = {}
        self.places: dict[int, int] = {}
        self.phrases: dict[int, tuple[bytes | int, ...]] = {}
        self.again: set[int] = set()
        self.names: list[tuple[str, str]] = []
        self._globals: dict[tuple[int, int], int] = {}
        self._written: set[int] = set()
        self._said: dict[int, int] = {}
        self._rename = rename
        self._renamed: dict[int, int] = {}
        self._fixed: tuple[int, int, int, int] | None = None
        self._kinds: dict[str, int] = {}
        self._numbers: dict[tuple[object, ...], int] = {}
        self.marker = -1
        """The object of `named_global`, once the pickle has named it."""
        self.same = -1
        """That of `same_object`."""

    def copy(self, piece: bytes) -> None:
        """Put bytes at the end of the tape."""
        self.pieces.append(piece)
        self.things.append(-1)

    def new(self, literal: bytes = b"") -> int:
        """Make an object; a string if it has a literal."""
        self.literals.append(literal)
        return len(self.literals) - 1

    def string(self, text: bytes) -> int:
        """Return the object of the string that is *text* in UTF-8."""
        literal = literal_of(text)
        found = self.strings.get(literal)
        if found is None:
            found = self.strings[literal] = self.new(literal)
        return found

    def strings_of(self, literals: list[bytes]) -> list[int]:
        """Return the objects of strings that occur now."""
        made = range(len(self.literals), len(self.literals) + len(literals))
        found = list(map(self.strings.setdefault, literals, made))
        self.literals += literals
        if found != list(made):
            for new, string in zip(made, found, strict=True):
                if string != new:
                    self.again.add(string)
                    self.literals[new] = b""  # of no object
        return found

    def text(self, string: int) -> str:
        """Return the text of a string."""
        literal = self.literals[string]
        return literal[1 + COUNTED[literal[0]] :].decode("utf-8", "surrogatepass")

    def global_(self, module: int, qualname: int, *, final: bool = False) -> int:
        """The object of the global that a pickle names by two strings; *final* ones are not renamed."""
        if self._rename is not None and not final:
            renamed = self._renamed.get(module)
            if renamed is None:
                renamed = self.string(self._rename(self.text(module)).encode("utf-8", "surrogatepass"))
                self._renamed[module] = renamed
            module = renamed
        found = self._globals.get((module, qualname))
        if found is None:
            found = self._globals[module, qualname] = self.new()
            self.pairs[found] = (module, qualname)
            if self.marker < 0 and (self.text(module), self.text(qualname)) == _MARKER:
                self.marker = found
            elif self.same < 0 and (self.text(module), self.text(qualname)) == _SAME:
                self.same = found
        return found

    def share(self, memo: list[int], index: int) -> int:
        """Make an object of a memo entry that is fetched for the first time.

        Args:
            memo: Objects, and, of what was only put so far, ~place on the tape.
            index: The entry. Where it was put, after the piece of that place, the object occurs now, too.
        """
        place = ~memo[index]
        made = memo[index] = self.things[place] = self.new()
        self.places[made] = place
        return made

    def define(self) -> int:
        """Make an object of what the tape has built last."""
        made = self.new()
        self.places[made] = len(self.things)
        self.pieces.append(b"")
        self.things.append(made)
        return made

    def tensor(self, tensor: PlainTensor) -> int:
        """Write a tensor as the pickler would, and return its object."""
        if self._fixed is None:
            rebuild = self._global_named("torch._utils", "_rebuild_tensor_v2")
            no_hooks = self._global_named("collections", "OrderedDict")
            self._fixed = rebuild, self.string(b"storage"), self.string(b"cpu"), no_hooks
        rebuild, storage, cpu, no_hooks = self._fixed
        key, kind_name, *numbers = tensor
        kind = self._kinds.get(kind_name)
        if kind is None:
            global_ = self._global_named("torch", kind_name)
            kind = self._kinds[kind_name] = self._phrase(rebuild, b"((", storage, global_)
        known = tuple(numbers)
        rest = self._numbers.get(known)
        if rest is None:
            rest = self._numbers[known] = self._phrase(cpu, _numbers_of(tensor), no_hooks, b")RtR")
        self._say(kind)
        self.occur(self.string(key.encode()))
        self._say(rest)
        return self.define()

    def _phrase(self, *pieces: bytes | int) -> int:
        """Make an object of pieces that follow each other often."""
        made = self.new()
        self.phrases[made] = pieces
        return made

    def _say(self, phrase: int) -> None:
        """Put a phrase at the end of the tape."""
        said = self._said[phrase] = self._said.get(phrase, 0) + 1
        if said > 1:
            self.occur(phrase)
            return
        # The first time each piece is there by itself, since it may be defined there. What comes later is
        # made of fetches.
        for piece in self.phrases[phrase]:
            if type(piece) is int:
                self.occur(piece)
            else:
                self.copy(cast("bytes", piece))

    def _global_named(self, module: str, qualname: str) -> int:
        return self.global_(self.string(module.encode()), self.string(qualname.encode()))

    def occur(self, thing: int) -> None:
        """Put an object at the end of the tape, of a global the names first."""
        if thing in self.pairs and thing not in self._written:
            self._written.add(thing)
            module, qualname = self.pairs[thing]
            self.names.append((self.text(module), self.text(qualname)))
            self.occur(module)
            self.occur(qualname)
            self.copy(b"\x93")
        self.again.add(thing)
        self.pieces.append(b"")
        self.things.append(thing)

    def join(self) -> bytes:
        """Replace objects by definitions and fetches, and return the pickle."""
        things, literals, phrases = self.things, self.literals, self.phrases
        # In the order of first occurrence, in which they get their memo entries.
        counts = Counter(filter(self.again.__contains__, things))
        for phrase, said in self._said.items():
            if said > 1:
                counts.update([piece for piece in phrases[phrase] if type(piece) is int])
        shared = [thing for thing, count in counts.items() if count > 1 and thing not in phrases]
        written = [*literals, b""]  # the last one for -1
        for entry, thing in enumerate(shared):
            written[thing] = fetch_of(entry)
        for phrase, pieces in phrases.items():
            written[phrase] = b"".join([p if type(p) is bytes else written[cast("int", p)] for p in pieces])
        joined = [b""] * (2 * len(things))
        joined[::2] = self.pieces
        joined[1::2] = map(written.__getitem__, things)
        place = 0
        for thing in shared:
            place = things.index(thing, place)
            joined[2 * place + 1] = literals[thing] + PUT
        return b"".join(joined)


def _numbers_of(tensor: PlainTensor) -> bytes:
    """The middle of a tensor: from the number of elements on, to whether it needs a gradient."""
    gradient = b"\x88" if tensor.requires_grad else b"\x89"
    sizes = _integers(tensor.shape) + _integers(tensor.stride)
    return _integer(tensor.elements) + b"tQ" + _integer(tensor.offset) + sizes + gradient


def _integer(value: int) -> bytes:
    """A number, which is not negative, as CPython's `save_long` writes it."""
    if value < 1 << 8:
        return b"K%c" % value
    if value < 1 << 16:
        return b"M" + value.to_bytes(2, "little")
    if value < 1 << 31:
        return b"J" + value.to_bytes(4, "little")
    size = value.bit_length() // 8 + 1
    return b"\x8a%c" % size + value.to_bytes(size, "little")


def _integers(values: tuple[int, ...]) -> bytes:
    """A tuple of such numbers, as CPython's `save_tuple` writes it."""
    numbers = b"".join(map(_integer, values))
    if len(values) > 3:
        return b"(" + numbers + b"t"
    return numbers + (b")", b"\x85", b"\x86", b"\x87")[len(values)]
