"""The items of sets in a pickle, in sorted order.

The stretch of an outermost set is a *region*. It is read into a graph of nodes by a small stack machine and
written from that graph as the pickler would write it if the sets were iterated in sorted order. Since the
definition of a shared object goes wherever its first use is, items can change places although one refers into
another.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from hashlib import blake2b
from typing import Final, TypeAlias, cast

from wardian.pickling.opcodes import (
    ADDITEMS,
    COUNTED,
    EMPTY_SET,
    FETCHES,
    FRAME,
    FROZENSET,
    GLOBAL,
    MARK,
    MEMOIZE,
    POP,
    POP_MARK,
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
    is_flat,
    run_without_marks,
    split_items,
    token_end,
)
from wardian.pickling.tape import LOST, Tape

__all__ = ["Region", "TensorInSetError", "Unsortable", "copy_flat", "find_regions"]


# A key longer than this is replaced by its digest, because keys hold the keys of what lies inside.
_LONGEST_KEY: Final = 1024
# Rounds of refinement for items in reference cycles; those that still look alike keep their order.
_MOST_ROUNDS: Final = 32


class TensorInSetError(Exception):
    """A tensor that is given as a number is in a set: give it to the pickler as it is."""


class Unsortable(Exception):  # noqa: N818  # not an error
    """The region has a shape that the graph cannot hold: copy it as it is.

    Attributes:
        start: Where the region starts.
    """

    def __init__(self, start: int) -> None:
        super().__init__(start)
        self.start = start


def find_regions(data: bytes) -> list[tuple[int, int]]:
    """Find the outermost stretches that hold items of sets, from MARK to the opcode that takes them.

    A set in batches is one region. A frozenset that holds itself through one of its items is written as
    MARK, items, POP_MARK, fetch; that is a region up to and with the fetch.
    """
    found: list[tuple[int, int]] = []
    batches: set[int] = set()  # starts of the regions that end in ADDITEMS
    marks: list[int] = []
    run = run_without_marks
    position = 2
    while True:
        position = run(data, position).end()  # type: ignore[union-attr]  # it can match nothing
        if position >= len(data):
            fail(position, "the pickle ends without STOP")
        op = data[position]
        if op == SHORT_BINUNICODE and position + 1 < len(data):
            position += 2 + data[position + 1]
        elif op == MARK:
            marks.append(position)
            position += 1
        elif op == FRAME:
            end = frame_end(data, position)
            if found and found[-1][1] == position:
                found[-1] = found[-1][0], end
            position = end
        elif op == STOP:
            return found
        elif op in b"teu" or op in (ADDITEMS, FROZENSET, POP_MARK):
            if not marks:
                fail(position, "no MARK for the opcode")
            start = marks.pop()
            position += 1
            if op == POP_MARK:
                if not found or found[-1][0] < start:
                    continue
                while data[position : position + 1] == b"\x95":
                    position = frame_end(data, position)
                if data[position : position + 1] not in (b"h", b"j"):
                    continue
                position = token_end(data, position)
            elif op not in (ADDITEMS, FROZENSET):
                continue
            while found and found[-1][0] >= start:
                found.pop()
            if op == ADDITEMS:
                if found and found[-1][1] == start and found[-1][0] in batches:
                    start = found.pop()[0]
                batches.add(start)
            found.append((start, position))
        else:
            position = token_end(data, position)


def copy_flat(data: bytes, start: int, end: int, output: Tape, memo: list[int]) -> bool:
    """Write a region to the tape that holds only short strings, numbers, booleans and None.

    Most sets are such, and some have a million items.

    Returns:
        Whether it is such a region. If not, nothing was written.
    """
    if is_flat(data, start, end) is None:
        return False
    found = split_items(data[start:end])
    if any(found[::4]):  # before Python 3.11.5: https://github.com/python/cpython/issues/106052
        return False
    known: list[int] = []
    for fetch in filter(None, found[2::4]):
        index = int.from_bytes(fetch[1:], "little")
        string = memo[index] if index < len(memo) else LOST
        if string < 0 or output.literals[string][:1] != b"\x8c":
            return False
        known.append(string)
    texts = list(filter(None, found[1::4]))
    strings = output.strings_of(texts)
    memo += strings
    output.again.update(known)
    texts += [output.literals[string] for string in known]
    # A literal is the key of a string, its opcode that of another item; no two strings are equal.
    items = sorted([*texts, *filter(None, found[3::4])])
    output.copy(b"(")
    if texts:
        things = [output.strings[item] if item[0] == SHORT_BINUNICODE else -1 for item in items]
        output.pieces += [b"" if thing >= 0 else item for item, thing in zip(items, things, strict=True)]
        output.things += things
    else:
        output.copy(b"".join(items))
    output.copy(b"\x91" if data[end - 1] == FROZENSET else b"\x90")
    return True


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


class Region:
    """The items of an outermost set: reads them into a graph and writes the graph with sorted sets."""

    def __init__(self, data: bytes, start: int, end: int, output: Tape, memo: list[int]) -> None:
        self._data = data
        self._start = start
        self._end = end
        self._output = output
        self._memo = memo

    def write(self) -> None:
        """Write the region to the tape, and the objects it has made to the memo.

        Raises:
            Unsortable: if it has a shape that the graph cannot hold. Nothing was written then.
        """
        known = len(self._memo)
        value, entries = self._read()
        self._emit(value, _Keys(self._output, value))
        assert known == len(self._memo)
        for entry in entries:
            if type(entry) is _Node:
                self._memo.append(entry.thing if entry.thing >= 0 else LOST)
            else:
                self._memo.append(cast("int", entry))

    def _fetch(self, index: int, position: int, entries: list[_Value]) -> _Value:
        memo = self._memo
        if index >= len(memo):
            if index - len(memo) >= len(entries):
                fail(position, f"memo entry {index} does not exist")
            return entries[index - len(memo)]
        thing = memo[index]
        if thing == LOST:
            raise Unsortable(self._start)
        if thing < 0:
            return self._output.share(memo, index)
        return thing

    # Above 60 lines: one loop over opcodes, in which a call for each would take longer than what it does.
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
            if op == SHORT_BINUNICODE and position + 1 < self._end:
                end = position + 2 + data[position + 1]
                literal = data[position:end]
                known = strings.get(literal)
                if known is None:
                    if end > self._end:
                        fail(position, "the argument of the opcode is cut off")
                    known = strings[literal] = output.new(literal)
                stack.append(known)
                if data[end : end + 1] == PUT:
                    entries.append(known)
                    end += 1
                continue
            if op == FRAME:
                end = frame_end(data, position)
                continue
            if op == STOP:
                fail(position, "STOP within a set")
            end = token_end(data, position)
            token = data[position:end]
            if op in STRINGS:
                stack.append(output.string(token[1 + COUNTED[op] :]))
            elif op in FETCHES:
                stack.append(self._fetch(fetch_index(data, position), position, entries))
            elif op == MEMOIZE or op in PUTS:
                if len(token) > 1 and int.from_bytes(token[1:], "little") != len(memo) + len(entries):
                    fail(position, "memo entries are not numbered in order")
                if len(stack) <= (marks[-1] if marks else 0):
                    fail(position, "nothing on the stack")
                entries.append(self._share(stack))
            elif op in _OPERANDS:
                parts = self._take(stack, marks, _OPERANDS[op], position)
                if op == ord("Q") and type(parts[0]) is bytes:
                    raise TensorInSetError
                named: _Value | None = self._named_global(parts)
                if named is None:
                    named = self._same_object(parts)
                stack.append(_Node(len(stack), parts, token) if named is None else named)
            elif op in _MUTATIONS:
                parts = self._take(stack, marks, _MUTATIONS[op], position)
                self._open_target(stack, marks, position).fill += [*parts, token]
            elif op == MARK:
                marks.append(len(stack))
            elif op in (FROZENSET, ADDITEMS, POP_MARK) or op in b"teu":
                if not marks:
                    fail(position, "no MARK for the opcode")
                parts = self._take(stack, marks, len(stack) - marks[-1], position)
                marks.pop()
                if op == ord("t"):
                    stack.append(_Node(len(stack), [b"(", *parts], token))
                elif op == FROZENSET:
                    stack.append(_Node(len(stack), [], token, parts))
                elif op == ADDITEMS:
                    target = self._open_target(stack, marks, position)
                    if target.items is None or target.op == b"\x91":
                        raise Unsortable(self._start)
                    target.items += parts
                elif op == POP_MARK:
                    fetched, end = self._fetched_next(end, entries)
                    count = len(fetched.items) if fetched.items is not None else len(fetched.parts) - 1
                    if fetched.op not in (b"t", b"\x91") or count != len(parts):
                        raise Unsortable(self._start)
                    stack.append(fetched)
                else:
                    self._open_target(stack, marks, position).fill += [b"(", *parts, token]
            elif op == EMPTY_SET:
                stack.append(_Node(len(stack), [], token, []))
            elif op in b"]}":
                stack.append(_Node(len(stack), [], token))
            elif op == STACK_GLOBAL:
                module, qualname = self._take(stack, marks, 2, position)
                for name in (module, qualname):
                    if type(name) is not int or not output.literals[name]:
                        fail(position, "STACK_GLOBAL without two strings")
                stack.append(output.global_(cast("int", module), cast("int", qualname)))
            elif op == GLOBAL:
                stack.append(output.global_(*map(output.string, global_names(data, position, end))))
            elif op == POP:
                end = self._pop(stack, marks, position, entries)
            else:
                stack.append(token)
        if marks or stack[0] is not whole or len(stack) > 2:
            fail(self._end, "the items of a set do not end where they should")
        if len(stack) == 1:
            return whole, entries
        value = stack[1]
        if type(value) is not _Node:
            raise Unsortable(self._start)
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

    def _same_object(self, parts: list[_Value]) -> _Value | None:
        """The object itself if *parts* are a call of `same_object`."""
        if len(parts) == 2 and type(parts[0]) is int and parts[0] == self._output.same:
            arguments = parts[1]
            if type(arguments) is _Node and arguments.op == b"\x85":
                return arguments.parts[0]
        return None

    def _take(self, stack: list[_Value], marks: list[int], count: int, position: int) -> list[_Value]:
        base = len(stack) - count
        if base < (marks[-1] if marks else 0):
            fail(position, "too few values on the stack")
        taken = stack[base:]
        del stack[base:]
        return taken

    def _open_target(self, stack: list[_Value], marks: list[int], position: int) -> _Node:
        if len(stack) <= (marks[-1] if marks else 0):
            fail(position, "nothing on the stack")
        target = stack[-1]
        # A change to a fetched object would have to stay here, while the object may move.
        if type(target) is not _Node or target.depth != len(stack) - 1:
            raise Unsortable(self._start)
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
            position = frame_end(data, position)
        if position >= self._end or data[position] not in FETCHES:
            raise Unsortable(self._start)
        value = self._fetch(fetch_index(data, position), position, entries)
        if type(value) is not _Node:
            raise Unsortable(self._start)
        return value, token_end(data, position)

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
            if data[position] == FRAME:
                position = frame_end(data, position)
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
            raise Unsortable(self._start)
        stack.append(fetched)
        return end

    def _emit(self, value: _Node, keys: _Keys) -> None:
        """Write *value* as the pickler would, without recursion."""
        output = self._output
        # A node stands for itself, a node in a list for what follows its parts.
        todo: list[_Value | list[_Node]] = [value]
        while todo:
            step = todo.pop()
            if type(step) is bytes:
                output.copy(step)
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
                    output.copy(_UNDO.get(node.op, node.op + b"0"))
                    output.occur(node.thing)
                    continue
                output.copy(node.op)
                if node.shared:
                    node.thing = output.define()
                todo += reversed(node.fill)
                if node.items and node.op != b"\x91":
                    todo.append(b"\x90")
                    todo += reversed(keys.sort(node.items))
                    todo.append(b"(")


class _Keys:
    """Sort keys of the items of sets: each item's encoding by itself, without memo.

    _Keys do not depend on the order of any set nor on what is in the memo. Items that differ only in which of
    several equal objects they refer to have equal keys.
    """

    def __init__(self, output: Tape, root: _Node) -> None:
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
