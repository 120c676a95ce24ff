"""The canonical form of a pickle: equal objects give equal bytes (docs/reference/format.md, section 4.4).

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

Whatever is not in a set keeps its place. `wardian.pickling.sets` sorts the items of sets.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import or_

from wardian.domain.names import PlainTensor
from wardian.pickling.opcodes import (
    ADDITEMS,
    BINGET,
    COUNTED,
    FETCHES,
    FRAME,
    FROZENSET,
    GLOBAL,
    MEMOIZE,
    NUMBERS,
    PUT,
    PUTS,
    SHORT_BINUNICODE,
    STACK_GLOBAL,
    STOP,
    STRINGS,
    fail,
    fetch_index,
    frame_end,
    global_names,
    literal_of,
    run_of_plain,
    run_of_tokens,
    split_tokens,
    token_end,
)
from wardian.pickling.sets import Region, Unsortable, copy_flat, find_regions
from wardian.pickling.tape import LOST, Tape

__all__ = ["CanonicalPickle", "canonicalise"]


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


def canonicalise(
    data: bytes, rename: Callable[[str], str] | None = None, tensors: Sequence[PlainTensor] = ()
) -> CanonicalPickle:
    r"""Rewrite a pickle so that equal objects give equal bytes.

    The result loads to the same graph of objects, with the same identities, except that equal strings
    are one string. Applying the function to its own result changes nothing.

    Args:
        data: A pickle of protocol 4 or 5, as CPython's pickler writes it, without out-of-band buffers. It is
            read, never loaded.
        rename: Maps the module of every global to the one to write. Strings that merely look like a
            module name are left alone, also where the pickler shared one memo entry between both.
        tensors: What a persistent id that is a number stands for. A model may have a hundred thousand, and
            the pickler would take longer for them than everything else together.

    Returns:
        The canonical pickle and the globals it names.

    Raises:
        ValueError: if *data* is malformed or uses what a case cannot hold (extension codes, out-of-band
            buffers); the message has the byte position.
        TensorInSetError: if one of *tensors* is in a set.

    >>> import pickle
    >>> canonicalise(pickle.dumps({"b", "a"}, 4)).data
    b'\\x80\\x04\\x8f(\\x8c\\x01a\\x8c\\x01b\\x90.'
    >>> canonicalise(pickle.dumps(len, 4), rename=lambda module: module.upper()).globals
    (('BUILTINS', 'len'),)

    .. versionadded:: 0.1
    """
    if data[:1] != b"\x80" or len(data) < 2:
        fail(0, "no protocol header")
    if data[1] not in (4, 5):
        fail(1, f"protocol {data[1]}, expected 4 or 5")
    # Regions are looked for only if there is a set that is not empty, because it takes a pass of its own.
    regions: list[tuple[int, int]] | None = None
    while True:
        output = Tape(rename)
        try:
            _copy(data, output, regions, tensors)
        except _RegionsNeeded:
            regions = find_regions(data)
        except Unsortable as unsortable:
            assert regions is not None
            regions.remove(next(region for region in regions if region[0] == unsortable.start))
        else:
            return CanonicalPickle(output.join(), tuple(output.names))


class _RegionsNeeded(Exception):  # noqa: N818  # not an error
    """There is a set that is not empty; find the regions first."""


# Above 60 lines: all of a pickle goes through this loop, and a call for each opcode would cost more than it.
def _copy(
    data: bytes, output: Tape, regions: list[tuple[int, int]] | None, tensors: Sequence[PlainTensor]
) -> None:
    """Write the whole pickle to the tape.

    Raises:
        TensorInSetError: if one of *tensors* is in a region.
        _RegionsNeeded: if *regions* is None and there is a set that is not empty.
        Unsortable: if one of the regions must be copied as it is.
    """
    literals, strings = output.literals, output.strings
    pieces, things = output.pieces, output.things
    append, occurs = pieces.append, things.append
    # An object, or, of what was put but not fetched so far, ~place on the tape.
    memo: list[int] = []
    memo_append = memo.append
    run, tokens, find_string = run_of_plain, run_of_tokens, strings.get
    size = len(data)
    pending = list(reversed(regions or ()))
    limit = pending[-1][0] if pending else size
    # Memo entries made within regions: for each, the first index and the start of the region.
    first_entries: list[int] = []
    starts: list[int] = []
    met = _Tensors(tensors, output)

    position = 2  # of the next opcode
    copied = 2  # everything before is on the tape
    top = -1  # the object that the last opcode pushed, if it is one already
    while True:
        end = tokens(data, position, limit).end()  # type: ignore[union-attr]  # it can match nothing
        if end != position:
            if position > copied:
                output.copy(data[copied:position])
            position, top = _copy_tokens(data, position, end, top, output, memo, met)
            copied = position
        end = run(data, position, limit).end()  # type: ignore[union-attr]  # it can match nothing
        if end != position:
            top = -1
        if end == limit:
            if not pending:
                fail(size, "the pickle ends without STOP")
            if end > copied:
                output.copy(data[copied:end])
            start, position = pending.pop()
            first_entries.append(len(memo))
            starts.append(start)
            if not copy_flat(data, start, position, output, memo):
                Region(data, start, position, output, memo).write()
            copied = position
            limit = pending[-1][0] if pending else size
            top = -1
            continue
        op = data[end]
        if op == MEMOIZE:
            if top < 0:
                memo_append(~len(things))
                append(data[copied:end])
                occurs(-1)
            else:
                memo_append(top)
            position = copied = end + 1
        elif op in FETCHES:
            position = end + 2 if op == BINGET else end + 5
            if position > size:
                fail(end, "the argument of the opcode is cut off")
            index = data[end + 1] if op == BINGET else int.from_bytes(data[end + 1 : position], "little")
            if index >= len(memo):
                fail(end, f"memo entry {index} does not exist")
            top = memo[index]
            if top == output.marker and top >= 0:
                output.copy(data[copied:end])
                top, position = _read_named_global(data, position, output, memo)
                copied = position
                output.occur(top)
                continue
            append(data[copied:end])
            copied = position
            if top == output.same and top >= 0:
                index, position = _read_same_object(data, position, output, memo)
                copied, top = position, memo[index]
            if top < 0:
                if top == LOST:
                    raise Unsortable(starts[bisect_right(first_entries, index) - 1])
                top = output.share(memo, index)
            output.again.add(top)
            occurs(top)
        elif op in STRINGS:
            append(data[copied:end])
            if op == SHORT_BINUNICODE and end + 1 < size:
                position = end + 2 + data[end + 1]
                literal = data[end:position]
            else:
                position = token_end(data, end)
                literal = literal_of(data[end + 1 + COUNTED[op] : position])
            known = find_string(literal)
            if known is None:
                if position >= size:
                    fail(end, "the argument of the opcode is cut off")
                known = strings[literal] = len(literals)
                literals.append(literal)
            else:
                output.again.add(known)
            top = known
            if data[position : position + 1] == PUT:
                memo_append(top)
                position += 1
            copied = position
            occurs(top)
        elif op in NUMBERS and end + NUMBERS[op] <= size:
            output.copy(data[copied:end])
            position = copied = end + NUMBERS[op]
            number = int.from_bytes(data[end + 1 : position - 1], "little")
            if number >= met.count:
                fail(end, f"persistent id {number}, but there are {met.count} tensors")
            top = met.write(number)
        elif op == STACK_GLOBAL:
            if end > copied:
                fail(end, "STACK_GLOBAL without two strings")
            names = []
            before = b""
            for _ in range(2):
                name = things.pop()
                if before or name < 0 or not literals[name]:
                    fail(end, "STACK_GLOBAL without two strings")
                before = pieces.pop()
                names.append(name)
            output.copy(before)
            top = output.global_(names[1], names[0])
            position = end + 1
            if top == output.marker:
                top, position = _read_named_global(data, position, output, memo)
            elif top == output.same:
                index, position = _read_same_object(data, position, output, memo)
                top = memo[index]
                if top == LOST:
                    raise Unsortable(starts[bisect_right(first_entries, index) - 1])
                top = top if top >= 0 else output.share(memo, index)
            copied = position
            output.occur(top)
        elif op == GLOBAL:
            output.copy(data[copied:end])
            position = copied = token_end(data, end)
            top = output.global_(*map(output.string, global_names(data, end, position)))
            output.occur(top)
        elif op in PUTS:
            position = token_end(data, end)
            if int.from_bytes(data[end + 1 : position], "little") != len(memo):
                fail(end, "memo entries are not numbered in order")
            if top < 0:
                memo_append(~len(things))
                append(data[copied:end])
                occurs(-1)
            else:
                memo_append(top)
            copied = position
        elif op == FRAME:
            if end > copied:
                output.copy(data[copied:end])
            position = copied = frame_end(data, end)
        elif op == STOP:
            if end + 1 != size:
                fail(end + 1, "bytes after STOP")
            output.copy(data[copied:])
            return
        else:
            if op in (ADDITEMS, FROZENSET) and regions is None:
                raise _RegionsNeeded
            position = token_end(data, end)
            top = -1


class _Tensors:
    """The tensors that a pickle names by number; each is written where it is named first."""

    def __init__(self, tensors: Sequence[PlainTensor], output: Tape) -> None:
        self._tensors = tensors
        self._output = output
        self._met = [-1] * len(tensors)
        self.count = len(tensors)

    def write(self, number: int) -> int:
        """Put a tensor at the end of the tape, and return its object."""
        known = self._met[number]
        if known < 0:
            known = self._met[number] = self._output.tensor(self._tensors[number])
        else:
            self._output.occur(known)
        return known


def _copy_tokens(
    data: bytes, start: int, end: int, top: int, output: Tape, memo: list[int], met: _Tensors
) -> tuple[int, int]:
    """Write a row of tokens to the tape, as far as none needs more than its own bytes.

    Returns:
        Where to go on: at the end, or before a token that the caller has to look at. And the object that the
        last opcode pushed, -1 if it is none.
    """
    # Flat: what is between matches, which is nothing, and the four parts of each.
    found = split_tokens(data[start:end])
    # Before Python 3.11.5 a row may end within a token: https://github.com/python/cpython/issues/106052
    end -= len(found[-1])
    if len(found) == 1:
        return start, top
    parts = found[1::5], found[2::5], found[3::5], found[4::5]
    if _copy_new(*parts, output, memo):
        return end, output.things[-1]
    things, strings, literals = output.things, output.strings, output.literals
    append, occurs, memo_append = output.pieces.append, things.append, memo.append
    find_string, again = strings.get, output.again.add
    special = {output.marker, output.same, LOST} - {-1}
    for number, (piece, literal, fetch, tensor) in enumerate(zip(*parts, strict=True)):
        if fetch:
            index = fetch[1] if len(fetch) == 2 else int.from_bytes(fetch[1:], "little")
            known = memo[index] if index < len(memo) else LOST
            if known in special:
                return start + _size_of(parts, number), -1
            top = known if known >= 0 else output.share(memo, index)
            again(top)
            append(piece)
            occurs(top)
        elif literal:
            known_string = find_string(literal)
            if known_string is None:
                top = strings[literal] = len(literals)
                literals.append(literal)
            else:
                top = known_string
                again(top)
            memo_append(top)
            append(piece)
            occurs(top)
        elif tensor:
            index = int.from_bytes(tensor[1:-1], "little")
            if index >= met.count:
                return start + _size_of(parts, number), -1
            output.copy(piece)
            top = met.write(index)
        elif top >= 0 and not piece:
            memo_append(top)
        else:
            memo_append(~len(things))
            append(piece)
            occurs(-1)
            top = -1
    return end, top


def _copy_new(
    pieces: list[bytes],
    texts: list[bytes | None],
    fetches: list[bytes | None],
    tensors: list[bytes | None],
    output: Tape,
    memo: list[int],
) -> bool:
    """Write tokens to the tape if none is a fetch or a tensor: all at once, without a step for each.

    So are those of a dictionary of a million texts, or of a list of a million pairs.
    """
    if any(fetches) or any(tensors):
        return False
    written = list(filter(None, texts))
    # A MEMOIZE with nothing in front of it is of what came before the row.
    if len(written) < len(texts) and not all(map(or_, map(len, pieces), map(bool, texts))):
        return False
    place = len(output.things)
    strings = output.strings_of(written)
    output.pieces += pieces
    if len(written) == len(texts):
        output.things += strings
        memo += strings
    else:
        next_string = iter(strings).__next__
        things = [next_string() if text else -1 for text in texts]
        output.things += things
        memo += [thing if thing >= 0 else ~at for at, thing in enumerate(things, place)]
    return True


def _size_of(parts: Sequence[Sequence[bytes | None]], count: int) -> int:
    """Return how many bytes the first tokens of a row have; the MEMOIZE of a token is in no part."""
    size = 0
    for piece, literal, fetch, tensor in islice(zip(*parts, strict=True), count):
        size += len(piece or b"") + len(fetch or tensor or b"%b\x94" % (literal or b""))
    return size


def _next_token(data: bytes, position: int) -> tuple[int, int, int]:
    """Return the opcode that is next, its position and where it ends. Frames are left out."""
    while position < len(data) and data[position] == FRAME:
        position = frame_end(data, position)
    end = token_end(data, position)
    return data[position], position, end


def _read_same_object(data: bytes, position: int, output: Tape, memo: list[int]) -> tuple[int, int]:
    """Read the call of `same_object` after its name: the fetch of an object, TUPLE1, REDUCE.

    Returns:
        The memo entry of the object, and where to go on.
    """
    index, last = -1, output.same
    end = position
    while True:
        op, place, end = _next_token(data, end)
        if op == MEMOIZE or op in PUTS:
            memo.append(last)  # of the name; that of the arguments is never fetched
        elif op in FETCHES and index < 0:
            index = fetch_index(data, place)
            if index >= len(memo):
                fail(place, f"memo entry {index} does not exist")
        elif op == 0x85 and index >= 0:
            last = LOST
        elif op == ord("R") and last == LOST:
            return index, end
        else:
            fail(place, "same_object without an object that is known")


def _read_named_global(data: bytes, position: int, output: Tape, memo: list[int]) -> tuple[int, int]:
    """Read the call of `named_global` after its name: two strings, TUPLE2, REDUCE.

    Returns:
        The object of the global, and where to go on.
    """
    names: list[int] = []
    last = output.marker
    end = position
    while True:
        op, place, end = _next_token(data, end)
        if op == MEMOIZE or op in PUTS:
            # What is put after TUPLE2 is the tuple of the arguments, which nothing else refers to.
            memo.append(last)
        elif op in STRINGS:
            last = output.string(data[place + 1 + COUNTED[op] : end])
            names.append(last)
        elif op in FETCHES:
            index = fetch_index(data, place)
            last = memo[index] if index < len(memo) else -1
            if last < 0 or not output.literals[last]:
                fail(place, "named_global without two strings")
            names.append(last)
        elif op == 0x86 and len(names) == 2:
            last = LOST
        elif op == ord("R") and last == LOST:
            return output.global_(names[0], names[1], final=True), end
        else:
            fail(place, "named_global without two strings")
