"""Regions of sets: where they are, which of them are flat, and how their items are sorted."""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.pickling.specimens import Device, Layer, canonical, in_order, opcodes
from wardian.pickling.canonical import canonicalise
from wardian.pickling.opcodes import HEADER
from wardian.pickling.sets import Region, TensorInSetError, Unsortable, copy_flat, find_regions
from wardian.pickling.tape import Tape

SHORT = st.one_of(st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(), st.text(max_size=15))
ITEMS = st.recursive(
    SHORT | st.binary(max_size=3) | st.text(min_size=60, max_size=70),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, min_size=1, max_size=3),
    max_leaves=6,
)
VALUES = st.recursive(
    ITEMS | st.sets(ITEMS, max_size=4), lambda inner: st.lists(inner, max_size=4), max_leaves=5
)


# Regions.


def outermost(value: Any) -> int:
    """How many sets lie in no other set; of empty ones only frozensets have items, which are none."""
    if isinstance(value, set | frozenset):
        return int(bool(value))
    return sum(map(outermost, value)) if isinstance(value, list | tuple) else 0


@given(VALUES)
def test_there_is_a_region_for_each_set_that_lies_in_no_other(value: Any) -> None:
    data = pickle.dumps(value, 4)
    regions = find_regions(data)
    assert len(regions) == outermost(value)
    assert [(data[start], data[end - 1]) for start, end in regions if data[end - 1] not in b"\x90\x91"] == []
    assert {data[start] for start, _ in regions} <= {ord("(")}
    assert regions == sorted(regions)
    assert all(end <= start for (_, end), (start, _) in pairwise(regions))


def test_batches_and_frames_between_them_are_one_region() -> None:
    frame = b"\x95\x01\0\0\0\0\0\0\0"
    batches = b"(K\x01\x90" + frame + b"(K\x02\x90"
    assert find_regions(HEADER + b"\x8f" + batches + b".") == [(3, 3 + len(batches))]
    # Another set is no batch of the one before.
    assert find_regions(HEADER + b"(\x8f(K\x01\x90\x8f(K\x02\x90t.") == [(4, 8), (9, 13)]


def test_a_frozenset_that_holds_itself_is_a_region_up_to_the_fetch() -> None:
    # frozenset([list(that frozenset)]): the list has made it, so what was begun is thrown away.
    data = HEADER + b"(]\x94(h\x00\x91\x94a1h\x01."
    assert find_regions(data) == [(2, len(data) - 1)]
    assert find_regions(data.replace(b"1h", b"1\x95\x02\0\0\0\0\0\0\0h")) == [(2, len(data) + 8)]
    # Without a set within it, POP_MARK takes no items of sets.
    assert find_regions(HEADER + b"(]\x94a1h\x00.") == []


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"K\x01\x91.", "byte 4: no MARK"),
        (b"1.", "byte 2: no MARK"),
        (b"(K\x01\x91", "byte 6: .*without STOP"),
    ],
)
def test_regions_of_a_malformed_pickle_are_refused(data: bytes, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        find_regions(HEADER + data)


# One region at a time.


def written(data: bytes, write: Callable[[bytes, int, int, Tape, list[int]], Any]) -> bytes:
    """What one way of writing makes of the only region of a pickle, behind what comes before it."""
    ((start, end),) = find_regions(data)
    tape = Tape(None)
    known = [tape.define()] if data[start - 1 : start] == b"\x94" else []
    write(data, start, end, tape, known)
    return tape.join()


def by_graph(data: bytes, start: int, end: int, tape: Tape, memo: list[int]) -> None:
    Region(data, start, end, tape, memo).write()


@given(st.sets(SHORT, min_size=1, max_size=6), st.booleans())
def test_a_flat_region_is_written_as_the_graph_of_it_is(value: set[Any], frozen: bool) -> None:
    data = pickle.dumps(frozenset(value) if frozen else value, 4)
    assert written(data, copy_flat) == written(data, by_graph)


@pytest.mark.parametrize(
    "item", [b"C\x01a", b"K\x01K\x02\x86", b"(K\x01\x91", b"]", b"K\x00Q", b"cbuiltins\nlen\n"]
)
def test_of_a_region_that_is_not_flat_nothing_is_copied(item: bytes) -> None:
    tape = Tape(None)
    memo: list[int] = []
    region = b"(K\x02" + item + b"\x91"
    assert not copy_flat(region, 0, len(region), tape, memo)
    assert (tape.join(), memo) == (HEADER, [])


def test_a_flat_region_may_fetch_strings_and_nothing_else() -> None:
    region = b"(\x8c\x01b\x94h\x00\x91"
    tape = Tape(None)
    memo = [tape.string(b"a")]
    tape.occur(memo[0])
    assert copy_flat(region, 0, len(region), tape, memo)
    assert tape.join() == HEADER + b"\x8c\x01a\x94(h\x00\x8c\x01b\x91"
    assert [tape.text(thing) for thing in memo] == ["a", "b"]
    for other in ([], [Tape(None).new()], [~0]):
        tape = Tape(None)
        tape.new()
        assert not copy_flat(region, 0, len(region), tape, other)


def test_what_a_region_made_is_in_the_memo_behind_it() -> None:
    region = b"(K\x02\x85\x94K\x01\x85\x94\x91"
    tape = Tape(None)
    memo: list[int] = []
    Region(region, 0, len(region), tape, memo).write()
    for thing in memo:  # (2,) and (1,)
        tape.occur(thing)
    assert tape.join() == HEADER + b"(K\x01\x85\x94K\x02\x85\x94\x91h\x01h\x00"


def test_what_the_graph_cannot_hold_writes_nothing_and_says_which_region() -> None:
    tape = Tape(None)
    tape.occur(tape.string(b"list"))
    changed = b"((h\x00K\x07b\x90"  # a change to what is fetched
    with pytest.raises(Unsortable) as caught:
        Region(b".." + changed, 2, 2 + len(changed), tape, [0]).write()
    assert caught.value.start == 2
    assert tape.join() == HEADER + b"\x8c\x04list"


def test_a_tensor_by_number_in_a_set_is_told_to_the_pickler() -> None:
    region = b"(K\x00Q\x90"
    with pytest.raises(TensorInSetError):
        Region(region, 0, len(region), Tape(None), []).write()


# Sets.


def test_items_of_a_set_are_sorted_by_their_bytes() -> None:
    items = [b"\x8c\x01b\x94", b"K\x07", b"\x8c\x01a\x94", b"N", b"C\x01x\x94"]
    expected = b"\x80\x04\x8f(C\x01xK\x07N\x8c\x01a\x8c\x01b\x90."
    assert canonicalise(in_order(*items)).data == canonicalise(in_order(*items[::-1])).data == expected
    frozen = b"\x80\x04(C\x01xK\x07N\x8c\x01a\x8c\x01b\x91."
    assert canonicalise(in_order(*items, close=b"\x91")).data == frozen


def test_a_set_in_batches_is_sorted_as_one() -> None:
    for count in (999, 1000, 1001, 2500):
        data = canonical(set(map(str, range(count))))
        assert opcodes(data).count("ADDITEMS") == 1
        strings = [
            argument for opcode, argument, _ in pickletools.genops(data) if opcode.name == "SHORT_BINUNICODE"
        ]
        assert strings == sorted(map(str, range(count)), key=lambda s: (len(s), s))


def test_a_set_in_batches_may_hold_sets() -> None:
    value = [{i if i % 3 else frozenset({i, (i, frozenset({str(i), None}))}) for i in range(4500)}, {1, 2}]
    data = canonical(value)
    assert opcodes(data).count("ADDITEMS") == 2
    assert pickle.loads(data) == value


def test_a_frame_may_start_between_batches() -> None:
    frame = b"\x95\x01\0\0\0\0\0\0\0"
    data = b"\x80\x04\x8f(K\x03K\x02\x90" + frame + b"(K\x01(K\x02K\x01\x91\x90" + frame + b"."
    assert canonicalise(data).data == b"\x80\x04\x8f((K\x01K\x02\x91K\x01K\x02K\x03\x90."


def test_two_sets_one_after_the_other_are_not_mixed() -> None:
    assert canonical([{2, 1}, {4, 3}]) == b"\x80\x04](\x8f(K\x01K\x02\x90\x8f(K\x03K\x04\x90e."


def test_a_tuple_after_an_empty_set_is_not_sorted() -> None:
    assert canonical([set(), (4, 3, 2, 1)]) == b"\x80\x04](\x8f(K\x04K\x03K\x02K\x01te."


def test_sets_in_sets_are_sorted_from_the_inside() -> None:
    value = {frozenset({3, 1}), frozenset({2, frozenset({5, 4})}), 9}
    expected = b"\x80\x04\x8f(((K\x04K\x05\x91K\x02\x91(K\x01K\x03\x91K\x09\x90."
    assert canonical(value) == expected


def test_a_string_is_defined_where_the_sorted_set_has_it_first() -> None:
    tuples = [b"\x8c\x01z\x94\x8c\x01s\x94\x86\x94", b"\x8c\x01a\x94h\x02\x86\x94"]
    made = canonicalise(in_order(*tuples))
    assert made.data == b"\x80\x04\x8f(\x8c\x01a\x8c\x01s\x94\x86\x8c\x01zh\0\x86\x90."


def test_an_object_shared_by_items_is_defined_in_the_first() -> None:
    # {(2, RED), (1, RED)}: whichever comes first in the input defines RED.
    red = b"\x8c\x01m\x94\x8c\x06Colour\x94\x93\x94K\x01\x85\x94R\x94"
    first = in_order(b"K\x02" + red + b"\x86\x94", b"K\x01h\x05\x86\x94")
    second = in_order(b"K\x01" + red + b"\x86\x94", b"K\x02h\x05\x86\x94")
    expected = b"\x80\x04\x8f(K\x01\x8c\x01m\x8c\x06Colour\x93K\x01\x85R\x94\x86K\x02h\0\x86\x90."
    assert canonicalise(first).data == canonicalise(second).data == expected


def test_an_object_from_a_set_can_be_fetched_later() -> None:
    a, b, c = Layer(name="a"), Layer(name="b"), Layer(name="c")
    for _ in range(10):
        loaded = pickle.loads(canonical([{a, b, c}, c, b, a]))
        assert [layer.name for layer in loaded[1:]] == ["c", "b", "a"]
        assert loaded[0] == set(loaded[1:])
        a, b, c = Layer(name="a"), Layer(name="b"), Layer(name="c")


def test_items_are_sorted_by_the_earlier_objects_they_refer_to() -> None:
    held, results = [], set()
    for _ in range(10):
        a, b = Layer(width=1), Layer(width=1)
        held += [a, b]
        results.add(canonical([a, b, {(a, 0), (b, 0), (a, b)}]))
    assert len(results) == 1


def test_items_that_look_alike_keep_their_order_and_their_identity() -> None:
    a, b = Layer(width=1), Layer(width=1)
    loaded = pickle.loads(canonical([{a, b}, a, b]))
    assert loaded[1] is not loaded[2]
    assert loaded[0] == {loaded[1], loaded[2]}


def test_neighbours_that_refer_to_each_other_in_sets() -> None:
    held, results = [], set()
    for _ in range(10):
        layers = [Layer(name=str(i)) for i in range(6)]
        for i, layer in enumerate(layers):
            layer.near = {layers[i - 1], layers[(i * i) % 6], layer}
        held.append(layers)
        results.add(canonical(set(layers)))
    assert len(results) == 1
    loaded = {layer.name: layer for layer in pickle.loads(results.pop())}
    assert {layer.name for layer in loaded["3"].near} == {"2", "3"}
    assert all(near is loaded[near.name] for layer in loaded.values() for near in layer.near)


def test_a_long_chain_in_a_set_takes_no_recursion() -> None:
    # n0 -> n1 -> …, written from the end of the chain: sorted, the first item holds all others.
    layer = b"\x8c\x01m\x94\x8c\x05Layer\x94\x93\x94"
    count = 3000
    items = [layer + b"J" + count.to_bytes(4, "little") + b"\x85\x94R\x94"]
    entry = 5
    for i in range(count - 1, -1, -1):
        items.append(
            b"h\x03J" + i.to_bytes(4, "little") + b"j" + entry.to_bytes(4, "little") + b"\x86\x94R\x94"
        )
        entry += 2
    made = canonicalise(in_order(*items))
    assert canonicalise(made.data) == made
    assert canonicalise(in_order(*items)).data == made.data


# Cycles.


def test_an_object_in_its_own_set() -> None:
    layer = Layer(near=None)
    layer.near = {layer, "b", "a"}
    loaded = pickle.loads(canonical(layer))
    assert loaded in loaded.near
    loaded = pickle.loads(canonical({layer, 1}))
    assert any(item in item.near for item in loaded if isinstance(item, Layer))


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_a_tuple_that_holds_itself(length: int) -> None:
    inner: list[Any] = []
    value = (inner, *range(length - 1))
    inner.append(value)
    loaded = pickle.loads(canonical(value))
    assert loaded[0][0] is loaded
    assert opcodes(canonical(value)).count("POP" if length < 4 else "POP_MARK") == min(
        length, 3 if length < 4 else 1
    )
    layer = Layer(held=value)
    inner.append(layer)
    (loaded_layer,) = pickle.loads(canonical({layer}))
    assert loaded_layer.held[0][0] is loaded_layer.held
    assert loaded_layer.held[0][1] is loaded_layer


def test_a_frozenset_that_holds_itself() -> None:
    held, results = [], set()
    for _ in range(10):
        layers = [Layer(name=str(i)) for i in range(4)]
        value = frozenset(layers)
        for layer in layers:
            layer.all = value
        held.append(value)
        results.add(canonical([value, layers]))
    assert len(results) == 1
    whole, layers = pickle.loads(results.pop())
    assert whole == frozenset(layers)
    assert all(layer.all is whole for layer in layers)


def test_a_call_whose_argument_holds_its_result() -> None:
    inner: list[Any] = []
    device = Device(inner)
    inner.append(device)
    (loaded,) = pickle.loads(canonical({device, 1})) - {1}
    assert loaded.kind[0] is loaded


def test_what_the_graph_cannot_hold_is_copied_as_it_is() -> None:
    # The second item changes the first, by a fetch: it must stay behind it.
    items = (b"\x8c\x08builtins\x94\x8c\x04list\x94\x93\x94)R\x94", b"h\x04K\x07b")
    assert canonicalise(in_order(*items)).data == (
        b"\x80\x04\x8f(\x8c\x08builtins\x8c\x04list\x93)R\x94h\x00K\x07b\x90."
    )


def test_what_was_only_thrown_away_can_still_be_fetched() -> None:
    # ({list(), a tuple with a list thrown away, list() again}, that list): the graph has no place for it.
    data = b"\x80\x04(\x8f(cbuiltins\nlist\n)R\x94]\x94\x850h\0\x90h\x01t."
    assert canonicalise(data).data == (
        b"\x80\x04(\x8f(\x8c\x08builtins\x8c\x04list\x93)R\x94]\x94\x850h\0\x90h\x01t."
    )


@pytest.mark.parametrize("thrown", [b"K\x05K\x060", b"(K\x05K\x061"])
@pytest.mark.parametrize("pair", [b"K\x02K\x01\x86\x94", b"(K\x02K\x01K\x03K\x04t\x94"])
def test_values_thrown_away_before_another_shape_stay(pair: bytes, thrown: bytes) -> None:
    assert canonicalise(in_order(pair, thrown, b"h\x01")).data == in_order(pair, thrown, b"h\0").replace(
        b"\x8f\x94", b"\x8f"
    )


@pytest.mark.parametrize(
    ("value", "undo"),
    [
        ((1,), b"\x85"),
        ((1, 2), b"\x86"),
        ((1, 2, 3), b"\x87"),
        ((1, 2, 3, 4), b"t"),
        (frozenset([1]), b"\x91"),
    ],
)
def test_a_part_that_made_the_whole_is_undone_as_the_pickler_does(value: Any, undo: bytes) -> None:
    layer = Layer()
    whole = (layer, *value[1:]) if isinstance(value, tuple) else frozenset([layer])
    layer.whole = whole
    count = len(whole) if len(whole) < 4 and isinstance(whole, tuple) else 1
    expected = b"0" * count if undo in (b"\x85", b"\x86", b"\x87") else b"1"
    assert expected + b"h" in canonical([whole])
    assert expected + b"h" in canonical({whole})
    assert undo + expected not in canonical({whole})


def test_a_set_in_an_item_does_not_decide_by_its_order() -> None:
    # 0 and 8 share a slot of a small set: the one that was there first is iterated first.
    results = set()
    for names in ([0, 8], [8, 0]):
        one, other = Layer(names=set(names)), Layer(names={4})
        results.add(canonical({one, other}))
    assert len(results) == 1
    assert [layer.names for layer in sorted(pickle.loads(results.pop()), key=lambda x: min(x.names))] == [
        {0, 8},
        {4},
    ]
