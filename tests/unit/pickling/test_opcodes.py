"""Where opcodes end, and what the runs of them match: `pickletools` is the judge."""

from __future__ import annotations

import pickle
import pickletools
from collections import OrderedDict
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.pickling.opcodes import (
    FRAME,
    MARK,
    PUT,
    fail,
    fetch_index,
    frame_end,
    global_names,
    is_flat,
    literal_of,
    run_of_plain,
    run_of_tokens,
    run_without_marks,
    split_tokens,
    token_end,
)

_LOOKS_LIKE_OPCODES = int.from_bytes(b"\x94\x93\x90\x28\x2e\x95", "little")
ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0x94, 0x2828, 0x51515151, _LOOKS_LIKE_OPCODES, 7**800]),
    st.floats(),
    st.text(max_size=66),
    st.binary(max_size=66),
    st.sampled_from(["x" * 300, b"y" * 300, len, Fraction(1, 3), OrderedDict(a=1), "once", b"more"]),
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.tuples(inner, inner),
        st.dictionaries(st.integers(), inner, max_size=3),
        st.sets(st.integers() | st.text(max_size=3), max_size=4),
        st.frozensets(st.text(max_size=3), max_size=4),
    ),
    max_leaves=8,
)
PICKLES = st.builds(pickle.dumps, VALUES, st.sampled_from([2, 4]))


def positions(data: bytes) -> list[int]:
    """Where each opcode after the header starts."""
    return [position for _, _, position in pickletools.genops(data) if position is not None][1:]


def opcode_end(data: bytes, position: int) -> int:
    return frame_end(data, position) if data[position] == FRAME else token_end(data, position)


@given(PICKLES)
def test_each_opcode_ends_where_the_next_one_starts(data: bytes) -> None:
    for position, following in pairwise(positions(data)):
        assert opcode_end(data, position) == following


@given(PICKLES)
def test_an_opcode_that_lacks_its_last_byte_is_refused_and_nothing_more_is_read(data: bytes) -> None:
    for position, following in pairwise(positions(data)):
        if data[position] != FRAME:
            assert token_end(data[:following], position) == following
            with pytest.raises(ValueError, match=r"malformed pickle at byte \d+: the (argument|pickle)"):
                token_end(data[: following - 1], position)


@given(PICKLES)
def test_runs_end_between_opcodes(data: bytes) -> None:
    starts = positions(data)
    for start in starts:
        for run in (run_of_plain, run_of_tokens, run_without_marks):
            match = run(data, start)
            assert match is not None
            assert match.end() in starts
            if run is run_without_marks:
                assert all(data[inner] != MARK for inner in starts if start <= inner < match.end())


@given(PICKLES)
def test_a_row_of_tokens_is_split_into_all_that_it_is(data: bytes) -> None:
    for start in positions(data):
        match = run_of_tokens(data, start)
        assert match is not None
        found = split_tokens(match[0])
        assert set(found[::5]) <= {b""}
        rebuilt = b""
        for piece, literal, fetch, tensor in zip(
            found[1::5], found[2::5], found[3::5], found[4::5], strict=True
        ):
            rebuilt += piece + (literal + PUT if literal else fetch or tensor or PUT)
        assert rebuilt == match[0]


@pytest.mark.parametrize("number", [b"K\x07", b"M\x07\x07", b"J\x07\x07\x07\x07"])
def test_a_number_is_plain_unless_it_is_a_persistent_id(number: bytes) -> None:
    def end(data: bytes) -> int:
        match = run_of_plain(data)
        assert match is not None
        return match.end()

    assert end(b"N" + number + b"N") == len(number) + 2
    assert end(b"N" + number + b"Q") == 1
    assert split_tokens(number + b"Q") == [b"", b"", None, None, number + b"Q", b""]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 65_536])
def test_a_string_has_the_literal_that_python_writes(size: int) -> None:
    text = "é" * (size // 2) + "e" * (size % 2)
    data = pickle.dumps(text, 4)
    start, end = next(pair for pair in pairwise(positions(data)) if data[pair[0]] != FRAME)
    assert literal_of(text.encode()) == data[start:end]


@pytest.mark.parametrize(
    ("stretch", "flat"),
    [
        (b"(\x91", True),
        (b"(NK\x01\x88\x89\x91", True),
        (b"(G\x40\x09\x21\xfb\x54\x44\x2d\x18\x8a\x01\x05J\0\0\0\0\x90", True),
        (b"(\x8c\x01a\x94h\x00j\x00\x01\x00\x00\x90", True),
        (b"(K\x01\x90(K\x02\x90", True),  # two batches of one set
        (b"(K\x01\x90\x95\x03\0\0\0\0\0\0\0(K\x02\x90", True),
        (b"(\x8c\x3f" + b"a" * 63 + b"\x94\x90", True),
        (b"(\x8c\x40" + b"a" * 64 + b"\x94\x90", False),  # too long for the pattern
        (b"(K\x01\x91(K\x02\x91", False),  # two frozensets
        (b"(K\x01K\x02\x86\x90", False),  # a tuple
        (b"((K\x01\x91\x90", False),  # a frozenset
        (b"(\x8c\x01a\x90", False),  # a string that was not put
        (b"(C\x01a\x90", False),
        (b"(K\x00Q\x90", False),
        (b"(K\x01", False),
    ],
)
def test_a_flat_set_holds_only_short_strings_and_numbers(stretch: bytes, flat: bool) -> None:
    assert (is_flat(b".." + stretch + b"..", 2, 2 + len(stretch)) is not None) is flat


def test_a_fetch_names_its_entry_in_one_byte_or_in_four() -> None:
    assert fetch_index(b"h\xff", 0) == 255
    assert fetch_index(b"Nj\x01\x02\x00\x00", 1) == 0x201
    with pytest.raises(ValueError, match="byte 0: the argument of the opcode is cut off"):
        fetch_index(b"j\x01\x00\x00", 0)


def test_the_names_of_a_global_are_its_two_lines() -> None:
    data = b"Ncos.path\njoin\n."
    assert token_end(data, 1) == len(data) - 1
    assert global_names(data, 1, len(data) - 1) == (b"os.path", b"join")


@pytest.mark.parametrize("more", [0, 1])
def test_a_frame_is_no_longer_than_the_pickle(more: int) -> None:
    data = b"\x95" + (1 + more).to_bytes(8, "little") + b"N"
    if more:
        with pytest.raises(ValueError, match="byte 0: the frame is longer"):
            frame_end(data, 0)
    else:
        assert frame_end(data, 0) == 9


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "ends without STOP"),
        (b"\x82\x01", "EXT1"),
        (b"\x96", "BYTEARRAY8"),
        (b"I1\n", "unexpected opcode 0x49"),
        (b".", "unexpected opcode 0x2e"),
        (b"cos\n", "cut off"),
        (b"cos", "cut off"),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff", "cut off"),
    ],
)
def test_what_no_case_holds_is_refused(data: bytes, what: str) -> None:
    with pytest.raises(ValueError, match=rf"malformed pickle at byte 0: .*{what}"):
        token_end(data, 0)


@pytest.mark.parametrize("cut", ["cos", "cos\n"])
def test_a_global_does_not_end_at_a_line_that_lies_before_it(cut: str) -> None:
    with pytest.raises(ValueError, match="byte 3: the argument of the opcode is cut off"):
        token_end(b"\nx\n" + cut.encode(), 3)


def test_a_refusal_says_where() -> None:
    with pytest.raises(ValueError, match=r"^malformed pickle at byte 12: no MARK$"):
        fail(12, "no MARK")
