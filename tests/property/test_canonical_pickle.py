"""Laws of `wardian.pickling.canonical.canonicalise` on random graphs of objects."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardian.pickling import canonical
from wardian.pickling.canonical import canonicalise
from wardian.pickling.plain import pickle_plain

# A graph is described by a recipe, so that it can be built again with other identities, hence other hashes
# and another order of its sets: a list of (kind, indices of earlier nodes, a small number), and a list
# of late edges (container, target), which make cycles.
Recipe = tuple[list[tuple[str, list[int], int]], list[tuple[int, int]]]

ATOMS = ["atom", "text", "bytes", "class"]
HASHED = [*ATOMS, "tuple", "frozenset", "box", "made"]
KINDS = [*HASHED, "list", "dict", "set"]


class Box:
    """Hashed by identity, so the order of a set of these is never the same twice."""

    def __init__(self, label: int) -> None:
        self.label = label
        self.held: list[Any] = []


class Made:
    """Made by a call; its arguments may hold it again through a list."""

    def __init__(self, label: int, *arguments: Any) -> None:
        self.label = label
        self.arguments = arguments
        self.extra: Any = None

    def __reduce__(self) -> Any:
        made = Made, (self.label, *self.arguments)
        if self.extra is None:
            return made
        if self.label % 2:
            return *made, {"extra": self.extra}
        return *made, {"extra": self.extra}, None, None, set_extra


def set_extra(made: Made, state: dict[str, Any]) -> None:
    made.extra = state["extra"]


def build(recipe: Recipe) -> list[Any]:
    nodes: list[Any] = []
    hashed: list[bool] = []
    for label, (kind, references, number) in enumerate(recipe[0]):
        held = [nodes[i % len(nodes)] for i in references] if nodes else []
        held_hashed = [nodes[i % len(nodes)] for i in references if hashed[i % len(nodes)]] if nodes else []
        node: Any
        match kind:
            case "atom":
                node = [None, True, number, -number, 2**40 + number, 10**30, number / 7][number % 7]
            case "text":
                node = "".join(["layer", str(number % 5)])
            case "bytes":
                node = b"data%d" % number
            case "class":
                node = [Box, Made, len, int, os.path.join][number % 5]
            case "tuple":
                node = tuple(held)
            case "frozenset":
                node = frozenset(held_hashed)
            case "box":
                node = Box(label)
                node.held += held
            case "made":
                node = Made(label, *held)
                if number % 2:
                    node.extra = held[:1]
            case "list":
                node = held
            case "dict":
                node = dict(zip(held_hashed, held, strict=False))
            case "set":
                node = set(held_hashed)
        nodes.append(node)
        hashed.append(is_hashable(node))
    for source, target in recipe[1]:
        container, value = nodes[source % len(nodes)], nodes[target % len(nodes)]
        if isinstance(container, Box):
            container.held.append(value)
        elif isinstance(container, list):
            container.append(value)
        elif isinstance(container, set) and hashed[target % len(nodes)]:
            container.add(value)
        elif isinstance(container, Made) and isinstance(container.extra, list):
            container.extra.append(value)
        elif isinstance(container, dict):
            container[source] = value
    return nodes


def is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def label_of(item: Any) -> Any:
    """What tells an item of a set from the others, in another copy of the graph."""
    if isinstance(item, Box | Made):
        return type(item), item.label
    if isinstance(item, tuple):
        return tuple, tuple(map(label_of, item))
    if isinstance(item, frozenset):
        return frozenset, frozenset(map(label_of, item))
    return item


def assert_same_graph(one: Any, two: Any) -> None:
    """Assert that both have equal values and the same sharing, cycles included."""
    there: dict[int, Any] = {}
    back: dict[int, Any] = {}
    todo = [(one, two)]
    while todo:
        x, y = todo.pop()
        assert type(x) is type(y)
        if id(x) in there or id(y) in back:
            if not isinstance(x, str | bytes | int | float | None) and x not in ((), frozenset()):
                assert there.get(id(x)) is y
                assert back.get(id(y)) is x
            continue
        if not isinstance(x, str | int | float | None) and x not in ((), frozenset()):
            there[id(x)], back[id(y)] = y, x
        match x:
            case Box():
                todo += [(x.label, y.label), (x.held, y.held)]
            case Made():
                assert len(x.arguments) == len(y.arguments)
                todo += [(x.label, y.label), *zip(x.arguments, y.arguments, strict=True), (x.extra, y.extra)]
            case list() | tuple():
                assert len(x) == len(y)
                todo += zip(x, y, strict=True)
            case dict():
                assert len(x) == len(y)
                todo += zip(x.keys(), y.keys(), strict=True)
                todo += zip(x.values(), y.values(), strict=True)
            case set() | frozenset():
                found = {label_of(item): item for item in y}
                assert len(x) == len(y) == len(found)
                todo += [(item, found[label_of(item)]) for item in x]
            case _:
                assert x == y


recipes = st.tuples(
    st.lists(
        st.tuples(st.sampled_from(KINDS), st.lists(st.integers(0, 30), max_size=5), st.integers(0, 40)),
        min_size=1,
        max_size=25,
    ),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=12),
)


def dumped(recipe: Recipe) -> tuple[Any, bytes]:
    nodes = build(recipe)
    # The last node first, so that objects are defined in the depth and fetched at the top too.
    root = [nodes[-1], nodes]
    return root, pickle.dumps(root, 4)


def python_loads(data: bytes) -> Any:
    return pickle._Unpickler(io.BytesIO(data)).load()  # the one written in Python


@settings(max_examples=300, deadline=None)
@given(recipes)
def test_the_graph_and_its_sharing_survive(recipe: Recipe) -> None:
    root, data = dumped(recipe)
    canonical = canonicalise(data).data
    assert_same_graph(root, pickle.loads(canonical))
    assert_same_graph(root, python_loads(canonical))


@settings(max_examples=300, deadline=None)
@given(recipes)
def test_a_canonical_pickle_is_its_own_canonical_form(recipe: Recipe) -> None:
    once = canonicalise(dumped(recipe)[1])
    assert canonicalise(once.data) == once


@settings(max_examples=300, deadline=None)
@given(recipes)
def test_other_identities_give_the_same_bytes(recipe: Recipe) -> None:
    held, data = dumped(recipe)
    other, other_data = dumped(recipe)
    assert canonicalise(data).data == canonicalise(other_data).data
    del held, other


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.text(max_size=3), lambda x: st.lists(x, max_size=5) | st.dictionaries(st.text(max_size=3), x)
    )
)
def test_it_does_not_matter_which_equal_strings_are_one_object(value: Any) -> None:
    assert canonicalise(pickle.dumps(value, 4)).data == canonicalise(pickle.dumps(apart(value), 4)).data


def apart(value: Any) -> Any:
    """A copy in which no two strings are the same object."""
    if isinstance(value, str):
        return value.encode().decode()
    if isinstance(value, list):
        return list(map(apart, value))
    return {apart(key): apart(held) for key, held in value.items()}


def plainly(data: bytes) -> bytes:
    """Return the canonical form of a pickle without sets and globals, opcode by opcode."""
    tokens: list[Any] = []  # bytes, and objects where they occur: texts, and tuples for others
    memo: list[Any] = []
    marked = [*pickletools.genops(data)]
    ends = [position for _, _, position in marked[1:]] + [len(data)]
    for (opcode, argument, position), end in zip(marked, ends, strict=True):
        assert position is not None
        assert end is not None
        match opcode.name:
            case "PROTO" | "FRAME":
                pass
            case "SHORT_BINUNICODE" | "BINUNICODE" | "BINUNICODE8":
                tokens.append(argument)
            case "MEMOIZE":
                if isinstance(tokens[-1], bytes):
                    tokens.append((len(memo),))
                memo.append(tokens[-1])
            case "BINGET" | "LONG_BINGET":
                tokens.append(memo[cast("int", argument)])
            case _:
                tokens.append(data[position:end])
    counts = Counter(token for token in tokens if not isinstance(token, bytes))
    entries: dict[Any, int] = {}
    written = [b"\x80\x04"]
    for token in tokens:
        if isinstance(token, bytes):
            written.append(token)
        elif token in entries:
            entry = entries[token]
            written.append(b"h%c" % entry if entry < 256 else b"j" + entry.to_bytes(4, "little"))
        else:
            if isinstance(token, str):
                text = token.encode("utf-8", "surrogatepass")
                size = len(text)
                written.append(b"\x8c%c" % size if size < 256 else b"X" + size.to_bytes(4, "little"))
                written.append(text)
            if counts[token] > 1:
                entries[token] = len(entries)
                written.append(b"\x94")
    return b"".join(written)


_plain_values: st.SearchStrategy[Any] = st.one_of(
    *(st.none(), st.booleans(), st.floats(allow_nan=False), st.integers(-(2**80), 2**80)),
    *(st.text(max_size=90), st.text("ab", max_size=2), st.binary(max_size=90)),
    st.sampled_from(
        [0x94, 0x51, 0x9494, 0x5151, b"\x94", b"\x8c\x01a\x94", "\x94\u0551", "x" * 63, "x" * 64]
    ),
)
# Rows of one kind are written all at once, if they are long.
_rows: st.SearchStrategy[Any] = st.one_of(
    st.builds(lambda n: [f"word{i}" for i in range(n)], st.integers(0, 9000)),
    st.builds(lambda n, m: [f"word{i % m}" for i in range(n)], st.integers(0, 9000), st.integers(1, 99)),
    st.builds(lambda n: [(i, -i) for i in range(n)], st.integers(0, 9000)),
    st.builds(lambda n: {f"key{i}": (f"value{i}", i, {"n": [i]}) for i in range(n)}, st.integers(0, 3000)),
    st.builds(lambda n: [[]] * n, st.integers(0, 3000)),
)
_plain_graphs = st.recursive(
    _plain_values,
    lambda held: (
        st.lists(held, max_size=6)
        | st.lists(held, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=3), held, max_size=4)
        | st.builds(lambda value: [value, (value, [value])], held)
    ),
    max_leaves=25,
)


@settings(max_examples=200, deadline=None)
@given(_plain_graphs)
def test_every_opcode_is_written_as_the_format_says(value: Any) -> None:
    expected = plainly(pickle.dumps(value, 4))
    assert canonicalise(pickle.dumps(value, 4)).data == expected
    assert pickle_plain(value) in (expected, None)


@settings(max_examples=25, deadline=None)
@given(st.lists(_rows, min_size=1, max_size=4), _plain_graphs)
def test_long_rows_are_written_as_short_ones(rows: list[Any], value: Any) -> None:
    data = pickle.dumps([*rows, value, *(row[:3] for row in rows if isinstance(row, list)), rows[0]], 4)
    assert canonicalise(data).data == plainly(data)
    assert pickle_plain([*rows, value]) in (plainly(pickle.dumps([*rows, value], 4)), None)


_words = [*(f"word{i}" for i in range(5)), "", "x" * 63, "x" * 64, "x" * 300, "\x94\u0551"]
_items = st.one_of(
    st.sampled_from(_words),
    st.sampled_from([None, True, 0, 0x94, 0x9190, -1, 2**31, 2**40, 2**90, 0.5, float("inf"), b"", b"bytes"]),
    st.integers(),
    st.floats(allow_nan=False),
)
_flat_sets = st.one_of(
    st.frozensets(_items, max_size=12),
    st.sets(_items, max_size=12),
    st.builds(lambda n: {f"name{i}" for i in range(n)}, st.integers(0, 9000)),
    st.builds(lambda n: frozenset({*range(-n, n), *map(str, range(n))}), st.integers(0, 3000)),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(_flat_sets, min_size=1, max_size=4), st.lists(st.sampled_from(_words)))
def test_sets_of_atoms_are_written_as_any_other(sets: list[Any], known: list[str]) -> None:
    data = pickle.dumps([known, sets, known, sets[0]], 4)
    made = canonicalise(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canonical, "copy_flat", lambda *region: False)
        assert canonicalise(data) == made
    assert pickle.loads(made.data) == [known, sets, known, sets[0]]


PRINT_CANONICAL = """
import pickle, sys
from fractions import Fraction
from wardian.pickling.canonical import canonicalise

words = {f"layer{i}.weight" for i in range(1500)}
value = {
    "words": words,
    "pairs": {(word, Fraction(len(word), 7), frozenset({word, word[:-1], None})) for word in words},
    "classes": frozenset({int, str, Fraction, len}),
    "nested": {frozenset({frozenset({"a", "b", str(i)}), i}) for i in range(50)},
}
sys.stdout.buffer.write(canonicalise(pickle.dumps(value, 4)).data)
"""


def test_the_hash_seed_does_not_matter() -> None:
    source = Path(__file__).parents[2] / "src"
    results = {
        subprocess.run(
            [sys.executable, "-c", PRINT_CANONICAL],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(source)},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(results) == 1
    assert results.pop().endswith(b".")
