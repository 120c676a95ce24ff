"""The canonical form of a pickle: equal objects give equal bytes (docs/format.md, section 4.4).

The C pickler writes at C speed, but what it writes depends on accidents: on the hash seed (the order of
sets), on which equal strings happen to be one object, on memo entries that nobody fetches. `canonicalise`
removes the accidents in one pass over the opcodes, without loading anything.

How it works. The output is a *tape*: pieces of the input, copied as they are, and between them numbers,
each of which stands for an *occurrence* of an object that may be shared. The first occurrence in the order
of the tape becomes the definition, the others become memo fetches; which is only known at the end, so the
numbers are replaced at the end. There are three sorts of such objects:

    string     identified by its text; an occurrence can be a literal or the fetch of one
    global     identified by its two names, after renaming
    other      identified by its memo entry; its first occurrence is the place where it was put there

Whatever is not in a set keeps its place. The stretch of an outermost set is a *region*. A region is read
into a graph of nodes by a small stack machine and written from that graph as the pickler would write it if
the sets were iterated in sorted order. Since the definition of a shared object goes wherever its
first use is, items can change places although one refers into another.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Final, NoReturn, TypeAlias, cast

__all__ = ["CanonicalPickle", "canonicalise", "named_global"]

# The opcodes of CPython's Lib/pickle.py that need a treatment of their own.
_MARK: Final = 0x28
_POP: Final = 0x30
_POP_MARK: Final = 0x31
_STOP: Final = 0x2E
_BINUNICODE: Final = 0x58
_GLOBAL: Final = 0x63
_BINGET: Final = 0x68
_LONG_BINGET: Final = 0x6A
_BINPUT: Final = 0x71
_LONG_BINPUT: Final = 0x72
_SHORT_BINUNICODE: Final = 0x8C
_BINUNICODE8: Final = 0x8D
_EMPTY_SET: Final = 0x8F
_ADDITEMS: Final = 0x90
_FROZENSET: Final = 0x91
_STACK_GLOBAL: Final = 0x93
_MEMOIZE: Final = 0x94
_FRAME: Final = 0x95

_HEADER: Final = b"\x80\x04"
_PUT: Final = b"\x94"

# Opcodes that are copied as they are: those without argument, and those with one of a fixed size.
_PLAIN: Final = b"(0)t]ae}suNRbQ\x81\x85\x86\x87\x88\x89\x8f\x92"
_FIXED: Final = {ord("K"): 1, ord("M"): 2, ord("J"): 4, ord("G"): 8}
# Opcodes with a length in front of their content, by the size of the length.
_COUNTED: Final = {
    ord("B"): 4,  # BINBYTES
    ord("C"): 1,  # SHORT_BINBYTES
    0x8A: 1,  # LONG1
    0x8B: 4,  # LONG4
    0x8E: 8,  # BINBYTES8
    _BINUNICODE: 4,
    _SHORT_BINUNICODE: 1,
    _BINUNICODE8: 8,
}
_STRINGS: Final = (_SHORT_BINUNICODE, _BINUNICODE, _BINUNICODE8)
_FETCHES: Final = (_BINGET, _LONG_BINGET)
_PUTS: Final = (_BINPUT, _LONG_BINPUT)
_REFUSED: Final = {
    0x82: "EXT1: extension codes are private to a process",
    0x83: "EXT2: extension codes are private to a process",
    0x84: "EXT4: extension codes are private to a process",
    0x96: "BYTEARRAY8 is of protocol 5",
    0x97: "NEXT_BUFFER: out-of-band buffers are of protocol 5",
    0x98: "READONLY_BUFFER: out-of-band buffers are of protocol 5",
}


def _run_of(opcodes: bytes, others: bytes = rb"K.|M..|J.{4}|G.{8}") -> Callable[..., re.Match[bytes] | None]:
    # Possessive (*+): a list of a million integers is one run and must not fill the backtracking stack.
    return re.compile(rb"(?:[%b]++|%b)*+" % (re.escape(opcodes), others), re.DOTALL).match


_run_of_plain: Final = _run_of(_PLAIN)
# The same without the opcodes that touch marks, and with those of the memo: to find marks quickly.
_run_without_marks: Final = _run_of(
    bytes(op for op in _PLAIN if op not in b"(teu") + b"\x93\x94",
    rb"K.|M..|J.{4}|G.{8}|[hq].|[jr].{4}",
)

# A key longer than this is replaced by its digest, because keys hold the keys of what lies inside.
_LONGEST_KEY: Final = 1024
# Rounds of refinement for items in reference cycles; those that still look alike keep their order.
_MOST_ROUNDS: Final = 32

# Stands in the memo for what was defined only in a part of a region that the graph does not hold.
_LOST: Final = -(1 << 62)


def named_global(module: str, qualname: str) -> NoReturn:
    """Stand, in what a pickler is given, for the global of these two names.

    The C pickler writes a class or function as a global only if its own `__module__` and `__qualname__` lead
    to it. For any other, a `reducer_override` returns `(named_global, (module, qualname))`, and
    `canonicalise` writes the global in place of the call. The names are not renamed.

    Raises:
        TypeError: always; a pickle that calls it is not in canonical form.
    """
    raise TypeError(f"not a pickle in canonical form: it calls named_global({module!r}, {qualname!r})")


_MARKER: Final = (named_global.__module__, named_global.__qualname__)


@dataclass(frozen=True, slots=True)
class CanonicalPickle:
    """A pickle in canonical form.

    Attributes:
        data: The pickle: protocol 4, without frames.
        globals: `(module, qualified name)` of every global in it, after renaming, each once, in the
            order of first use.
    """

    data: bytes
    globals: tuple[tuple[str, str], ...]


def canonicalise(data: bytes, rename: Callable[[str], str] | None = None) -> CanonicalPickle:
    r"""Rewrite a pickle so that equal objects give equal bytes.

    The result loads to the same graph of objects, with the same identities, except that equal strings
    are one string. Applying the function to its own result changes nothing.

    Args:
        data: A pickle of protocol 4 or 5, as CPython's pickler writes it, without out-of-band buffers. It is
            read, never loaded.
        rename: Maps the module of every global to the one to write. Strings that merely look like a
            module name are left alone, also where the pickler shared one memo entry between both.

    Returns:
        The canonical pickle and the globals it names.

    Raises:
        ValueError: if *data* is malformed or uses what a case cannot hold (extension codes, out-of-band
            buffers); the message has the byte position.

    >>> import pickle
    >>> canonicalise(pickle.dumps({"b", "a"}, 4)).data
    b'\\x80\\x04\\x8f(\\x8c\\x01a\\x8c\\x01b\\x90.'
    >>> canonicalise(pickle.dumps(len, 4), rename=lambda module: module.upper()).globals
    (('BUILTINS', 'len'),)

    .. versionadded:: 0.1
    """
    if data[:1] != b"\x80" or len(data) < 2:
        _fail(0, "no protocol header")
    if data[1] not in (4, 5):
        _fail(1, f"protocol {data[1]}, expected 4 or 5")
    # Regions are looked for only if there is a set that is not empty, because it takes a pass of its own.
    regions: list[tuple[int, int]] | None = None
    while True:
        output = _Output(rename)
        try:
            _copy(data, output, regions)
        except _RegionsNeeded:
            regions = _find_regions(data)
        except _Unsortable as unsortable:
            assert regions is not None
            regions.remove(next(region for region in regions if region[0] == unsortable.start))
        else:
            return CanonicalPickle(output.join(), tuple(output.names))


def _fail(position: int, what: str) -> NoReturn:
    raise ValueError(f"malformed pickle at byte {position}: {what}")


class _RegionsNeeded(Exception):  # noqa: N818  # not an error
    """There is a set that is not empty; find the regions first."""


class _Unsortable(Exception):  # noqa: N818  # not an error
    """The region has a shape that the graph cannot hold: copy it as it is.

    Attributes:
        start: Where the region starts.
    """

    def __init__(self, start: int) -> None:
        super().__init__(start)
        self.start = start


class _Output:
    """The tape, with the objects that occur on it.

    An object is a number, its index in `counts` and `literals`.

    Attributes:
        tape: Pieces of bytes and, at the places listed in `occurrences`, objects.
        occurrences: Indices into the tape; sorted only at the end.
        counts: How often each object occurs.
        literals: The opcode and argument that make a string; empty for other objects.
        strings: Literal → object.
        pairs: Global → the objects of its module and its qualified name.
        places: Other object → index into the tape of its first occurrence.
        names: What becomes `CanonicalPickle.globals`.
    """

    def __init__(self, rename: Callable[[str], str] | None) -> None:
        self.tape: list[bytes | int] = [_HEADER]
        self.occurrences: list[int] = []
        self.counts: list[int] = []
        self.literals: list[bytes] = []
        self.strings: dict[bytes, int] = {}
        self.pairs: dict[int, tuple[int, int]] = {}
        self.places: dict[int, int] = {}
        self.names: list[tuple[str, str]] = []
        self._globals: dict[tuple[int, int], int] = {}
        self._rename = rename
        self._renamed: dict[int, int] = {}
        self.marker = -1
        """The object of `named_global`, once the pickle has named it."""

    def new(self, literal: bytes = b"") -> int:
        self.counts.append(0)
        self.literals.append(literal)
        return len(self.counts) - 1

    def string(self, text: bytes) -> int:
        literal = _literal(text)
        found = self.strings.get(literal)
        if found is None:
            found = self.strings[literal] = self.new(literal)
        return found

    def text(self, string: int) -> str:
        literal = self.literals[string]
        return literal[1 + _COUNTED[literal[0]] :].decode("utf-8", "surrogatepass")

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
        return found

    def define(self) -> int:
        """Make an object of what the tape has built last."""
        made = self.new()
        self.places[made] = len(self.tape)
        self.occur(made)
        return made

    def occur(self, thing: int) -> None:
        if not self.counts[thing] and thing in self.pairs:
            module, qualname = self.pairs[thing]
            self.names.append((self.text(module), self.text(qualname)))
            self.occur(module)
            self.occur(qualname)
            self.tape.append(b"\x93")
        self.occurrences.append(len(self.tape))
        self.tape.append(thing)
        self.counts[thing] += 1

    def join(self) -> bytes:
        """Replace objects by definitions and fetches, and return the pickle."""
        tape, counts, literals = self.tape, self.counts, self.literals
        fetches: list[bytes | None] = [None] * len(counts)
        entries = 0
        self.occurrences.sort()
        for place in self.occurrences:
            thing = cast("int", tape[place])
            fetch = fetches[thing]
            if fetch is not None:
                tape[place] = fetch
            elif counts[thing] == 1:
                tape[place] = literals[thing]
            else:
                tape[place] = literals[thing] + _PUT
                fetches[thing] = b"h%c" % entries if entries < 256 else b"j" + entries.to_bytes(4, "little")
                entries += 1
        return b"".join(cast("list[bytes]", tape))


def _literal(text: bytes) -> bytes:
    size = len(text)
    if size < 1 << 8:
        return b"\x8c%c" % size + text
    if size < 1 << 32:
        return b"X" + size.to_bytes(4, "little") + text
    return b"\x8d" + size.to_bytes(8, "little") + text


def _token_end(data: bytes, position: int) -> int:
    """Where the opcode at *position*, with its argument, ends; for all but STOP and FRAME.

    Raises:
        ValueError: if the opcode is unknown or refused, or its argument is cut off.
    """
    size = len(data)
    if position >= size:
        _fail(size, "the pickle ends without STOP")
    op = data[position]
    width = _COUNTED.get(op)
    if width is not None:
        end = position + 1 + width
        if end <= size:
            end += int.from_bytes(data[position + 1 : end], "little")
    elif op in _PLAIN or op in (_MEMOIZE, _STACK_GLOBAL, _ADDITEMS, _FROZENSET, _POP_MARK):
        end = position + 1
    elif op in _FIXED:
        end = position + 1 + _FIXED[op]
    elif op in (_BINGET, _BINPUT):
        end = position + 2
    elif op in (_LONG_BINGET, _LONG_BINPUT):
        end = position + 5
    elif op == _GLOBAL:
        end = data.find(b"\n", data.find(b"\n", position) + 1) + 1
        if end == 0 or data.find(b"\n", position) < 0:
            end = size + 1
    elif op in _REFUSED:
        _fail(position, _REFUSED[op])
    else:
        _fail(position, f"unexpected opcode {op:#04x}")
    if end > size:
        _fail(position, "the argument of the opcode is cut off")
    return end


def _frame_end(data: bytes, position: int) -> int:
    """Where the opcode FRAME at *position* ends. Frames only group bytes; they are left out."""
    end = position + 9
    if end + int.from_bytes(data[position + 1 : end], "little") > len(data):
        _fail(position, "the frame is longer than the pickle")
    return end


def _fetch_index(data: bytes, position: int) -> int:
    return int.from_bytes(data[position + 1 : _token_end(data, position)], "little")


def _global_names(data: bytes, position: int, end: int) -> tuple[bytes, bytes]:
    module, qualname = data[position + 1 : end - 1].split(b"\n")
    return module, qualname


def _copy(data: bytes, output: _Output, regions: list[tuple[int, int]] | None) -> None:
    """Write the whole pickle to the tape.

    Raises:
        _RegionsNeeded: if *regions* is None and there is a set that is not empty.
        _Unsortable: if one of the regions must be copied as it is.
    """
    tape, occurrences, counts = output.tape, output.occurrences, output.counts
    literals, strings, places = output.literals, output.strings, output.places
    append, occurs_at = tape.append, occurrences.append
    # An object, or, of what was put but not fetched so far, ~place on the tape.
    memo: list[int] = []
    memo_append = memo.append
    run, find_string = _run_of_plain, strings.get
    size = len(data)
    pending = list(reversed(regions or ()))
    limit = pending[-1][0] if pending else size
    # Memo entries made within regions: for each, the first index and the start of the region.
    first_entries: list[int] = []
    starts: list[int] = []

    position = 2  # of the next opcode
    copied = 2  # everything before is on the tape
    top = -1  # the object that the last opcode pushed, if it is one already
    while True:
        end = run(data, position, limit).end()  # type: ignore[union-attr]  # it can match nothing
        if end != position:
            top = -1
        if end == limit:
            if not pending:
                _fail(size, "the pickle ends without STOP")
            if end > copied:
                append(data[copied:end])
            start, position = pending.pop()
            first_entries.append(len(memo))
            starts.append(start)
            _Region(data, start, position, output, memo).write()
            copied = position
            limit = pending[-1][0] if pending else size
            top = -1
            continue
        op = data[end]
        if op == _MEMOIZE:
            if top < 0:
                append(data[copied:end])
                memo_append(~len(tape))
                append(b"")
            else:
                memo_append(top)
            position = copied = end + 1
        elif op in _FETCHES:
            if end > copied:
                append(data[copied:end])
            position = copied = end + 2 if op == _BINGET else end + 5
            if position > size:
                _fail(end, "the argument of the opcode is cut off")
            index = data[end + 1] if op == _BINGET else int.from_bytes(data[end + 1 : position], "little")
            if index >= len(memo):
                _fail(end, f"memo entry {index} does not exist")
            top = memo[index]
            if top == output.marker and top >= 0:
                top, position = _read_named_global(data, position, output, memo)
                copied = position
                output.occur(top)
                continue
            if top < 0:
                if top == _LOST:
                    raise _Unsortable(starts[bisect_right(first_entries, index) - 1])
                # Fetched for the first time: now its place on the tape is an occurrence.
                place = ~top
                top = memo[index] = len(counts)
                counts.append(1)
                literals.append(b"")
                places[top] = place
                tape[place] = top
                occurs_at(place)
            occurs_at(len(tape))
            append(top)
            counts[top] += 1
        elif op in _STRINGS:
            if end > copied:
                append(data[copied:end])
            if op == _SHORT_BINUNICODE and end + 1 < size:
                position = end + 2 + data[end + 1]
                literal = data[end:position]
            else:
                position = _token_end(data, end)
                literal = _literal(data[end + 1 + _COUNTED[op] : position])
            known = find_string(literal)
            if known is None:
                if position >= size:
                    _fail(end, "the argument of the opcode is cut off")
                known = strings[literal] = len(counts)
                counts.append(0)
                literals.append(literal)
            top = known
            if data[position : position + 1] == _PUT:
                memo_append(top)
                position += 1
            copied = position
            occurs_at(len(tape))
            append(top)
            counts[top] += 1
        elif op == _STACK_GLOBAL:
            if top < 0 or end > copied or not literals[top]:
                _fail(end, "STACK_GLOBAL without two strings")
            names = []
            for _ in range(2):
                name = tape.pop()
                if type(name) is not int or not literals[name]:
                    _fail(end, "STACK_GLOBAL without two strings")
                occurrences.pop()
                counts[name] -= 1
                names.append(name)
            top = output.global_(names[1], names[0])
            position = end + 1
            if top == output.marker:
                top, position = _read_named_global(data, position, output, memo)
            copied = position
            output.occur(top)
        elif op == _GLOBAL:
            if end > copied:
                append(data[copied:end])
            position = copied = _token_end(data, end)
            top = output.global_(*map(output.string, _global_names(data, end, position)))
            output.occur(top)
        elif op in _PUTS:
            position = _token_end(data, end)
            if int.from_bytes(data[end + 1 : position], "little") != len(memo):
                _fail(end, "memo entries are not numbered in order")
            if top < 0:
                append(data[copied:end])
                memo_append(~len(tape))
                append(b"")
            else:
                memo_append(top)
            copied = position
        elif op == _FRAME:
            if end > copied:
                append(data[copied:end])
            position = copied = _frame_end(data, end)
        elif op == _STOP:
            if end + 1 != size:
                _fail(end + 1, "bytes after STOP")
            append(data[copied:])
            return
        else:
            if op in (_ADDITEMS, _FROZENSET) and regions is None:
                raise _RegionsNeeded
            position = _token_end(data, end)
            top = -1


def _read_named_global(data: bytes, position: int, output: _Output, memo: list[int]) -> tuple[int, int]:
    """Read the call of `named_global` after its name: two strings, TUPLE2, REDUCE.

    Returns:
        The object of the global, and where to go on.
    """
    names: list[int] = []
    last = output.marker
    while True:
        end = _frame_end(data, position) if data[position : position + 1] == b"\x95" else 0
        if end:
            position = end
            continue
        end = _token_end(data, position)
        op = data[position]
        if op == _MEMOIZE or op in _PUTS:
            # What is put after TUPLE2 is the tuple of the arguments, which nothing else refers to.
            memo.append(last)
        elif op in _STRINGS:
            last = output.string(data[position + 1 + _COUNTED[op] : end])
            names.append(last)
        elif op in _FETCHES:
            index = _fetch_index(data, position)
            last = memo[index] if index < len(memo) else -1
            if last < 0 or not output.literals[last]:
                _fail(position, "named_global without two strings")
            names.append(last)
        elif op == 0x86 and len(names) == 2:
            last = _LOST
        elif op == ord("R") and last == _LOST:
            return output.global_(names[0], names[1], final=True), end
        else:
            _fail(position, "named_global without two strings")
        position = end


def _find_regions(data: bytes) -> list[tuple[int, int]]:
    """Find the outermost stretches that hold items of sets, from MARK to the opcode that takes them.

    A set in batches is one region. A frozenset that holds itself through one of its items is written as
    MARK, items, POP_MARK, fetch; that is a region up to and with the fetch.
    """
    found: list[tuple[int, int]] = []
    batches: set[int] = set()  # starts of the regions that end in ADDITEMS
    marks: list[int] = []
    run = _run_without_marks
    position = 2
    while True:
        position = run(data, position).end()  # type: ignore[union-attr]  # it can match nothing
        if position >= len(data):
            _fail(position, "the pickle ends without STOP")
        op = data[position]
        if op == _SHORT_BINUNICODE and position + 1 < len(data):
            position += 2 + data[position + 1]
        elif op == _MARK:
            marks.append(position)
            position += 1
        elif op == _FRAME:
            end = _frame_end(data, position)
            if found and found[-1][1] == position:
                found[-1] = found[-1][0], end
            position = end
        elif op == _STOP:
            return found
        elif op in b"teu" or op in (_ADDITEMS, _FROZENSET, _POP_MARK):
            if not marks:
                _fail(position, "no MARK for the opcode")
            start = marks.pop()
            position += 1
            if op == _POP_MARK:
                if not found or found[-1][0] < start:
                    continue
                while data[position : position + 1] == b"\x95":
                    position = _frame_end(data, position)
                if data[position : position + 1] not in (b"h", b"j"):
                    continue
                position = _token_end(data, position)
            elif op not in (_ADDITEMS, _FROZENSET):
                continue
            while found and found[-1][0] >= start:
                found.pop()
            if op == _ADDITEMS:
                if found and found[-1][1] == start and found[-1][0] in batches:
                    start = found.pop()[0]
                batches.add(start)
            found.append((start, position))
        else:
            position = _token_end(data, position)


class _Node:
    """A value in a region that is built from others.

    Written as: parts, op, put if it is shared, fill.

    Attributes:
        parts: What must be on the stack before `op`: bytes to copy, and values.
        op: The opcode that makes the value; empty if `parts` is the value.
        fill: What changes the value after it was made.
        items: Of a set or frozenset; not in `parts` or `fill`. None for other values.
        shared: Whether it was put into the memo.
        thing: Its object, once it is on the tape; else -1.
        depth: How many values lie below it on the stack where it is made. Where it is fetched from within
            itself, there are more.
    """

    __slots__ = ("depth", "fill", "items", "op", "parts", "shared", "thing")

    def __init__(self, depth: int, parts: list[_Value], op: bytes, items: list[_Value] | None = None) -> None:
        self.parts = parts
        self.op = op
        self.fill: list[_Value] = []
        self.items = items
        self.shared = False
        self.thing = -1
        self.depth = depth


# Bytes are opcodes to copy, a number is an object.
_Value: TypeAlias = "bytes | int | _Node"

_OPERANDS: Final = {0x85: 1, 0x86: 2, 0x87: 3, 0x51: 1, 0x52: 2, 0x81: 2, 0x92: 3}
_MUTATIONS: Final = {ord("a"): 1, ord("s"): 2, ord("b"): 1}
# How the pickler takes back the parts of a value when it finds that one of them has made the value already.
_UNDO: Final = {b"\x85": b"0", b"\x86": b"00", b"\x87": b"000", b"t": b"1", b"\x91": b"1"}


class _Region:
    """The items of an outermost set: reads them into a graph and writes the graph with sorted sets."""

    def __init__(self, data: bytes, start: int, end: int, output: _Output, memo: list[int]) -> None:
        self._data = data
        self._start = start
        self._end = end
        self._output = output
        self._memo = memo

    def write(self) -> None:
        """Write the region to the tape, and the objects it has made to the memo.

        Raises:
            _Unsortable: if it has a shape that the graph cannot hold. Nothing was written then.
        """
        known = len(self._memo)
        value, entries = self._read()
        self._emit(value, _Keys(self._output, value))
        assert known == len(self._memo)
        for entry in entries:
            if type(entry) is _Node:
                self._memo.append(entry.thing if entry.thing >= 0 else _LOST)
            else:
                self._memo.append(cast("int", entry))

    def _fetch(self, index: int, position: int, entries: list[_Value]) -> _Value:
        memo, output = self._memo, self._output
        if index >= len(memo):
            if index - len(memo) >= len(entries):
                _fail(position, f"memo entry {index} does not exist")
            return entries[index - len(memo)]
        thing = memo[index]
        if thing == _LOST:
            raise _Unsortable(self._start)
        if thing < 0:
            place = ~thing
            thing = memo[index] = output.new()
            output.counts[thing] = 1
            output.places[thing] = place
            output.tape[place] = thing
            output.occurrences.append(place)
        return thing

    def _read(self) -> tuple[_Node, list[_Value]]:
        """Run the stack machine; returns the set or frozenset, and the memo entries made on the way."""
        data, output, memo = self._data, self._output, self._memo
        strings = output.strings
        entries: list[_Value] = []
        whole = _Node(0, [], b"", [])
        stack: list[_Value] = [whole]
        marks: list[int] = []
        position = self._start
        end = position
        while end < self._end:
            position = end
            op = data[position]
            if op == _SHORT_BINUNICODE and position + 1 < self._end:
                end = position + 2 + data[position + 1]
                literal = data[position:end]
                known = strings.get(literal)
                if known is None:
                    if end > self._end:
                        _fail(position, "the argument of the opcode is cut off")
                    known = strings[literal] = output.new(literal)
                stack.append(known)
                if data[end : end + 1] == _PUT:
                    entries.append(known)
                    end += 1
                continue
            if op == _FRAME:
                end = _frame_end(data, position)
                continue
            if op == _STOP:
                _fail(position, "STOP within a set")
            end = _token_end(data, position)
            token = data[position:end]
            if op in _STRINGS:
                stack.append(output.string(token[1 + _COUNTED[op] :]))
            elif op in _FETCHES:
                stack.append(self._fetch(_fetch_index(data, position), position, entries))
            elif op == _MEMOIZE or op in _PUTS:
                if len(token) > 1 and int.from_bytes(token[1:], "little") != len(memo) + len(entries):
                    _fail(position, "memo entries are not numbered in order")
                if len(stack) <= (marks[-1] if marks else 0):
                    _fail(position, "nothing on the stack")
                entries.append(self._share(stack))
            elif op in _OPERANDS:
                parts = self._take(stack, marks, _OPERANDS[op], position)
                named = self._named_global(parts)
                stack.append(_Node(len(stack), parts, token) if named is None else named)
            elif op in _MUTATIONS:
                parts = self._take(stack, marks, _MUTATIONS[op], position)
                self._open_target(stack, marks, position).fill += [*parts, token]
            elif op == _MARK:
                marks.append(len(stack))
            elif op in (_FROZENSET, _ADDITEMS, _POP_MARK) or op in b"teu":
                if not marks:
                    _fail(position, "no MARK for the opcode")
                parts = self._take(stack, marks, len(stack) - marks[-1], position)
                marks.pop()
                if op == ord("t"):
                    stack.append(_Node(len(stack), [b"(", *parts], token))
                elif op == _FROZENSET:
                    stack.append(_Node(len(stack), [], token, parts))
                elif op == _ADDITEMS:
                    target = self._open_target(stack, marks, position)
                    if target.items is None or target.op == b"\x91":
                        raise _Unsortable(self._start)
                    target.items += parts
                elif op == _POP_MARK:
                    fetched, end = self._fetched_next(end, entries)
                    count = len(fetched.items) if fetched.items is not None else len(fetched.parts) - 1
                    if fetched.op not in (b"t", b"\x91") or count != len(parts):
                        raise _Unsortable(self._start)
                    stack.append(fetched)
                else:
                    self._open_target(stack, marks, position).fill += [b"(", *parts, token]
            elif op == _EMPTY_SET:
                stack.append(_Node(len(stack), [], token, []))
            elif op in b"]}":
                stack.append(_Node(len(stack), [], token))
            elif op == _STACK_GLOBAL:
                module, qualname = self._take(stack, marks, 2, position)
                for name in (module, qualname):
                    if type(name) is not int or not output.literals[name]:
                        _fail(position, "STACK_GLOBAL without two strings")
                stack.append(output.global_(cast("int", module), cast("int", qualname)))
            elif op == _GLOBAL:
                stack.append(output.global_(*map(output.string, _global_names(data, position, end))))
            elif op == _POP:
                end = self._pop(stack, marks, position, entries)
            else:
                stack.append(token)
        if marks or stack[0] is not whole or len(stack) > 2:
            _fail(self._end, "the items of a set do not end where they should")
        if len(stack) == 1:
            return whole, entries
        value = stack[1]
        if type(value) is not _Node:
            raise _Unsortable(self._start)
        return value, entries

    def _named_global(self, parts: list[_Value]) -> int | None:
        """The object of the global if *parts* are a call of `named_global`."""
        if len(parts) == 2 and type(parts[0]) is int and parts[0] == self._output.marker:
            arguments = parts[1]
            if type(arguments) is _Node and arguments.op == b"\x86":
                module, qualname = arguments.parts
                if type(module) is int and type(qualname) is int:
                    return self._output.global_(module, qualname, final=True)
        return None

    def _take(self, stack: list[_Value], marks: list[int], count: int, position: int) -> list[_Value]:
        base = len(stack) - count
        if base < (marks[-1] if marks else 0):
            _fail(position, "too few values on the stack")
        taken = stack[base:]
        del stack[base:]
        return taken

    def _open_target(self, stack: list[_Value], marks: list[int], position: int) -> _Node:
        if len(stack) <= (marks[-1] if marks else 0):
            _fail(position, "nothing on the stack")
        target = stack[-1]
        # A change to a fetched object would have to stay here, while the object may move.
        if type(target) is not _Node or target.depth != len(stack) - 1:
            raise _Unsortable(self._start)
        return target

    def _share(self, stack: list[_Value]) -> _Value:
        value = stack[-1]
        if type(value) is int:
            return value
        if type(value) is not _Node or (value.fill and not value.shared):
            value = stack[-1] = _Node(len(stack) - 1, [value], b"")
        value.shared = True
        return value

    def _fetched_next(self, position: int, entries: list[_Value]) -> tuple[_Node, int]:
        """The node that the opcode at *position* fetches, and where that opcode ends."""
        data = self._data
        while data[position : position + 1] == b"\x95":
            position = _frame_end(data, position)
        if position >= self._end or data[position] not in _FETCHES:
            raise _Unsortable(self._start)
        value = self._fetch(_fetch_index(data, position), position, entries)
        if type(value) is not _Node:
            raise _Unsortable(self._start)
        return value, _token_end(data, position)

    def _pop(self, stack: list[_Value], marks: list[int], position: int, entries: list[_Value]) -> int:
        """Do one or more POP from *position* on; returns where to go on.

        The pickler writes POP after a call that sets the state of the object below (`save_reduce`, the
        sixth item), and to throw away what a part of it has made already, which it then fetches.
        """
        data = self._data
        floor = marks[-1] if marks else 0
        if len(stack) - 1 > floor and type(call := stack[-1]) is _Node and call.op == b"R":
            arguments = call.parts[1]
            if type(arguments) is _Node and arguments.op == b"\x86" and arguments.parts[0] is stack[-2]:
                stack.pop()
                self._open_target(stack, marks, position).fill += [call, b"0"]
                return position + 1
        count = 0
        while data[position : position + 1] in (b"0", b"\x95"):
            if data[position] == _FRAME:
                position = _frame_end(data, position)
            else:
                position += 1
                count += 1
        self._take(stack, marks, count, position)
        fetched, end = self._fetched_next(position, entries)
        if fetched.op in (b"\x85", b"\x86", b"\x87"):
            fits = count == len(fetched.parts)
        else:
            fits = count == 1 and fetched.op in (b"R", b"\x81", b"\x92")
        if not fits:
            raise _Unsortable(self._start)
        stack.append(fetched)
        return end

    def _emit(self, value: _Node, keys: _Keys) -> None:
        """Write *value* as the pickler would, without recursion."""
        output, tape = self._output, self._output.tape
        # A node stands for itself, a node in a list for what follows its parts.
        todo: list[_Value | list[_Node]] = [value]
        while todo:
            step = todo.pop()
            if type(step) is bytes:
                tape.append(step)
            elif type(step) is int:
                output.occur(step)
            elif type(step) is _Node:
                if step.thing >= 0:
                    output.occur(step.thing)
                    continue
                todo.append([step])
                todo += reversed(step.parts)
                if step.op == b"\x91":
                    todo += reversed(keys.sort(cast("list[_Value]", step.items)))
                    todo.append(b"(")
            else:
                (node,) = cast("list[_Node]", step)
                if node.thing >= 0:
                    # One of the parts refers to the node and has made it.
                    tape.append(_UNDO.get(node.op, node.op + b"0"))
                    output.occur(node.thing)
                    continue
                tape.append(node.op)
                if node.shared:
                    node.thing = output.define()
                todo += reversed(node.fill)
                if node.items and node.op != b"\x91":
                    todo.append(b"\x90")
                    todo += reversed(keys.sort(node.items))
                    todo.append(b"(")


class _Keys:
    """Sort keys of the items of sets: each item's encoding by itself, without memo.

    Keys do not depend on the order of any set nor on what is in the memo. Items that differ only in which of
    several equal objects they refer to have equal keys.
    """

    def __init__(self, output: _Output, root: _Node) -> None:
        self._output = output
        self._root = root

    def sort(self, items: list[_Value]) -> list[_Value]:
        if len(items) < 2:
            return items
        return sorted(items, key=self._key)

    def _key(self, value: _Value) -> bytes:
        if type(value) is bytes:
            return value
        if type(value) is int:
            output = self._output
            if value in output.pairs:
                module, qualname = output.pairs[value]
                return output.literals[module] + output.literals[qualname] + b"\x93"
            return output.literals[value] or b"h" + self._outer_objects[value].to_bytes(4, "big")
        assert type(value) is _Node
        return self._node_keys[value]

    @cached_property
    def _nodes(self) -> dict[_Node, list[_Value]]:
        """Every node of the region, with what it holds."""
        nodes: dict[_Node, list[_Value]] = {}
        todo = [self._root]
        while todo:
            node = todo.pop()
            if node not in nodes:
                held = nodes[node] = [*node.parts, *node.fill, *(node.items or ())]
                todo += [value for value in held if type(value) is _Node]
        return nodes

    @cached_property
    def _outer_objects(self) -> dict[int, int]:
        """The objects from before the region that it refers to, numbered in the order of definition.

        Their memo entries would not do: those depend on which other objects were put.
        """
        places = self._output.places
        held = {value for values in self._nodes.values() for value in values if type(value) is int}
        return {thing: n for n, thing in enumerate(sorted(held & places.keys(), key=places.__getitem__))}

    def _content(self, node: _Node, keys: dict[_Node, bytes]) -> bytes:
        def each(values: Iterable[_Value]) -> list[bytes]:
            return [keys[value] if type(value) is _Node else self._key(value) for value in values]

        pieces = each(node.parts)
        if node.items is not None and node.op == b"\x91":
            pieces += [b"(", *sorted(each(node.items))]
        pieces.append(node.op)
        pieces += each(node.fill)
        if node.items and node.op != b"\x91":
            pieces += [b"(", *sorted(each(node.items)), b"\x90"]
        return b"".join(pieces)

    @cached_property
    def _node_keys(self) -> dict[_Node, bytes]:
        keys: dict[_Node, bytes] = {}
        # From the leaves up: a node's key is known once those of all it holds are.
        missing: dict[_Node, int] = {}
        holders: dict[_Node, list[_Node]] = {}
        for node, values in self._nodes.items():
            held = [value for value in values if type(value) is _Node]
            missing[node] = len(held)
            for other in held:
                holders.setdefault(other, []).append(node)
        ready = [node for node, count in missing.items() if not count]
        while ready:
            node = ready.pop()
            content = self._content(node, keys)
            if len(content) > _LONGEST_KEY:
                content = b"\xff" + blake2b(content).digest()
            keys[node] = content
            for holder in holders.get(node, ()):
                missing[holder] -= 1
                if not missing[holder]:
                    ready.append(holder)
        # What is left is on cycles or leads to one: start alike, and let each round look one step further.
        cyclic = [node for node in missing if node not in keys]
        keys.update(dict.fromkeys(cyclic, b"\xfe"))
        classes = 1
        for _ in range(_MOST_ROUNDS if cyclic else 0):
            keys.update([(node, b"\xfe" + blake2b(self._content(node, keys)).digest()) for node in cyclic])
            if len(set(map(keys.__getitem__, cyclic))) == classes:
                break
            classes = len(set(map(keys.__getitem__, cyclic)))
        return keys
