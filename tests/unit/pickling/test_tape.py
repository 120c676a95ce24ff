"""The tape: what occurs more than once is defined where it occurs first, and fetched from there on."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._utils import _rebuild_tensor_v2

from wardian.domain.names import PlainTensor
from wardian.pickling.canonical import canonicalise
from wardian.pickling.opcodes import HEADER
from wardian.pickling.tape import LOST, Tape, named_global, same_object

SIZES = st.integers(0, 2**40) | st.sampled_from([255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**63])
SHAPES = st.lists(SIZES, max_size=5).map(tuple)
TENSORS = st.builds(
    PlainTensor,
    storage=st.sampled_from(["0", "1", "12"]),
    kind=st.sampled_from(["FloatStorage", "HalfStorage"]),
    elements=SIZES,
    offset=SIZES,
    shape=SHAPES,
    stride=SHAPES,
    requires_grad=st.booleans(),
)


class Standing:
    """Stands for a tensor, or for its storage."""

    def __init__(self, tensor: PlainTensor) -> None:
        self.tensor = tensor


class Storage(Standing):
    pass


class AsTorchWrites(pickle.Pickler):
    """Writes what stands for tensors as the pickles of PyTorch call `_rebuild_tensor_v2`."""

    def persistent_id(self, obj: Any) -> Any:
        if type(obj) is not Storage:
            return None
        tensor = obj.tensor
        return "storage", getattr(torch, tensor.kind), tensor.storage, "cpu", tensor.elements

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is not Standing:
            return NotImplemented
        t = obj.tensor
        return _rebuild_tensor_v2, (
            Storage(t),
            t.offset,
            (*t.shape,),
            (*t.stride,),
            t.requires_grad,
            OrderedDict(),
        )


@given(st.lists(TENSORS, min_size=4, max_size=6))
def test_tensors_are_written_as_the_pickler_would(tensors: list[PlainTensor]) -> None:
    buffer = io.BytesIO()
    AsTorchWrites(buffer, 4).dump(tuple(map(Standing, tensors)))
    tape = Tape(None)
    tape.copy(b"(")
    for tensor in tensors:
        tape.tensor(tensor)
    tape.copy(b"t.")
    canonical = canonicalise(buffer.getvalue())
    assert tape.join() == canonical.data
    assert tuple(tape.names) == canonical.globals


def test_a_tensor_that_occurs_again_is_fetched() -> None:
    tape = Tape(None)
    made = tape.tensor(PlainTensor("0", "FloatStorage", 1, 0, (1,), (1,), requires_grad=False))
    once = tape.join()
    tape.occur(made)
    assert tape.join() == once + b"\x94h\x00"


def test_a_string_is_one_object_however_it_came() -> None:
    tape = Tape(None)
    first = tape.string(b"weight")
    assert tape.strings_of([b"\x8c\x04bias", b"\x8c\x06weight", b"\x8c\x01w"]) == [
        tape.string(b"bias"),
        first,
        tape.string(b"w"),
    ]
    assert tape.new(b"\x8c\x01x") not in (first, tape.string(b"bias"), tape.string(b"w"))


def test_strings_that_come_at_once_are_fetched_where_they_were_before() -> None:
    tape = Tape(None)
    for literals in ([b"\x8c\x01a", b"\x8c\x01b"], [b"\x8c\x01b", b"\x8c\x01c"]):
        for string in tape.strings_of(literals):
            tape.pieces.append(b"")
            tape.things.append(string)
    assert tape.join() == HEADER + b"\x8c\x01a\x8c\x01b\x94h\x00\x8c\x01c"


@pytest.mark.parametrize("text", ["", "weight", "é" * 200, "lone \ud800", "x" * 70_000])
def test_a_string_has_its_text(text: str) -> None:
    tape = Tape(None)
    assert tape.text(tape.string(text.encode("utf-8", "surrogatepass"))) == text


def test_what_occurs_twice_gets_a_memo_entry_in_the_order_of_first_occurrence() -> None:
    tape = Tape(None)
    once, second, first = map(tape.string, (b"once", b"second", b"first"))
    for thing in (first, once, second, second, first):
        tape.occur(thing)
    assert tape.join() == HEADER + b"\x8c\x05first\x94\x8c\x04once\x8c\x06second\x94h\x01h\x00"


def test_the_257th_entry_is_fetched_with_four_bytes() -> None:
    tape = Tape(None)
    things = [tape.string(b"%d" % number) for number in range(257)]
    for thing in things * 2:
        tape.occur(thing)
    joined = tape.join()
    assert joined.endswith(b"h\xfeh\xffj\x00\x01\x00\x00")


def test_an_object_is_defined_by_what_was_built_last_or_where_it_was_put() -> None:
    tape = Tape(None)
    tape.copy(b"]")
    memo = [~(len(tape.things) - 1)]  # put behind the list, and fetched for the first time later
    tape.copy(b"}")
    dictionary = tape.define()
    made = tape.share(memo, 0)
    assert memo == [made]
    tape.occur(made)
    tape.occur(dictionary)
    assert tape.join() == HEADER + b"]\x94}\x94h\x00h\x01"
    assert tape.places[made] < tape.places[dictionary]


# Globals.


def test_a_global_names_itself_the_first_time() -> None:
    tape = Tape(None)
    path = tape.global_(tape.string(b"os.path"), tape.string(b"join"))
    assert tape.global_(tape.string(b"os.path"), tape.string(b"join")) == path
    tape.occur(path)
    tape.occur(path)
    assert tape.join() == HEADER + b"\x8c\x07os.path\x8c\x04join\x93\x94h\x00"
    assert tape.names == [("os.path", "join")]


def test_a_module_is_renamed_once_and_a_final_one_never() -> None:
    asked = []

    def rename(module: str) -> str:
        asked.append(module)
        return module.removeprefix("live.")

    tape = Tape(rename)
    live, net, block = map(tape.string, (b"live.net", b"Net", b"Block"))
    renamed = tape.global_(live, net)
    final = tape.global_(live, net, final=True)
    tape.global_(live, block)
    assert asked == ["live.net"]
    assert final != renamed
    assert tape.global_(tape.string(b"net"), net) == renamed
    tape.occur(renamed)
    tape.occur(final)
    assert tape.names == [("net", "Net"), ("live.net", "Net")]


@pytest.mark.parametrize("marker", [named_global, same_object])
def test_the_markers_are_known_once_they_are_named(marker: Any) -> None:
    tape = Tape(None)
    assert (tape.marker, tape.same) == (-1, -1)
    tape.global_(tape.string(b"os.path"), tape.string(b"join"))
    assert (tape.marker, tape.same) == (-1, -1)
    found = tape.global_(tape.string(marker.__module__.encode()), tape.string(marker.__name__.encode()))
    assert (tape.marker, tape.same) == ((found, -1) if marker is named_global else (-1, found))


def test_a_pickle_that_was_not_made_canonical_cannot_be_loaded() -> None:
    with pytest.raises(TypeError, match=r"not a pickle in canonical form: .*named_global\('os', 'join'\)"):
        named_global("os", "join")
    with pytest.raises(TypeError, match=r"not a pickle in canonical form: .*same_object\(1\)"):
        same_object(1)


def test_what_is_lost_is_no_place_on_any_tape() -> None:
    assert ~LOST > 1 << 61
