"""The canonical form of pickles, by family of opcodes."""

from __future__ import annotations

import io
import pickle
import pickletools
import textwrap
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.pickling.specimens import (
    Colour,
    Device,
    Keyword,
    Layer,
    Settled,
    canonical,
    in_order,
    opcodes,
)
from wardian.pickling.canonical import CanonicalPickle, canonicalise

# What stays as it is.


@pytest.mark.parametrize(
    "value",
    [
        None, True, False, 0, 255, 65535, 65536, -1, 2**31 - 1, -(2**31), 2**40, -(2**2000), 2**3000,
        0.0, -2.5, float("inf"), 1j, b"", b"weights", b"w" * 300, bytearray(b"abc"), Ellipsis, NotImplemented,
        (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], [1], [1, 2], {}, {1: 2}, {1: 2, 3: 4}, [[[[]]]],
        set(), {1}, frozenset(), frozenset([1]), range(3), OrderedDict([(1, 2)]), Colour.RED,
        list(range(2500)), dict.fromkeys(range(2500)),
    ],
    ids=lambda value: repr(value)[:20],
)  # fmt: skip
def test_every_builtin_value_survives(value: Any) -> None:
    loaded = pickle.loads(canonical(value))
    assert loaded == value
    assert type(loaded) is type(value)


def test_integers_whose_bytes_look_like_opcodes_are_arguments() -> None:
    value = [
        0x94,
        0x93,
        0x90,
        0x91,
        0x8C,
        0x2E,
        0x9494,
        0x94949494,
        0x949494949494,
        float.fromhex("0x1.4949494949494p+1"),
    ]
    assert canonical(value) == b"\x80\x04" + pickle.dumps(value, 4)[11:].replace(b"]\x94", b"]", 1)


def test_frames_are_left_out() -> None:
    value = [bytes([i]) * 1000 for i in range(200)] + ["y" * 70_000, "y" * 70_000]
    data = pickle.dumps(value, 4)
    assert opcodes(data).count("FRAME") > 3
    assert "FRAME" not in opcodes(canonical(value))
    assert pickle.loads(canonical(value)) == value


def test_protocol_5_becomes_protocol_4() -> None:
    assert canonicalise(pickle.dumps([1, "a"], 5)).data == b"\x80\x04](K\x01\x8c\x01ae."


def test_the_order_of_dictionaries_is_kept() -> None:
    assert canonical({"b": 1, "a": 2}) == b"\x80\x04}(\x8c\x01bK\x01\x8c\x01aK\x02u."


# The memo.


def test_only_what_is_fetched_is_memoised() -> None:
    shared: list[Any] = []
    assert canonical([[], (1,), shared, b"ab", shared]) == b"\x80\x04](]K\x01\x85]\x94C\x02abh\x00e."


def test_memo_entries_count_from_0_in_the_order_of_the_stream() -> None:
    one, two = [1], [2]
    assert canonical([one, "unshared", two, two, one]) == (
        b"\x80\x04](]\x94K\x01a\x8c\x08unshared]\x94K\x02ah\x01h\x00e."
    )


def test_the_257th_memo_entry_is_fetched_with_long_binget() -> None:
    shared = [[i] for i in range(300)]
    data = canonical([*shared, *shared])
    assert data.endswith(
        b"h\xfeh\xffj\x00\x01\x00\x00" + b"".join(b"j%c\x01\0\0" % i for i in range(1, 44)) + b"e."
    )
    loaded = pickle.loads(data)
    assert all(loaded[i] is loaded[i + 300] for i in range(300))


def test_numbered_puts_are_read_like_memoize() -> None:
    assert (
        canonicalise(b"\x80\x04(]q\0\x8c\x01aq\x01h\0h\x01t.").data
        == b"\x80\x04(]\x94\x8c\x01a\x94h\0h\x01t."
    )
    assert canonicalise(b"\x80\x04(]r\0\0\0\0\x8c\x01ar\x01\0\0\0j\0\0\0\0h\x01t.") == canonicalise(
        b"\x80\x04(]q\0\x8c\x01aq\x01h\0h\x01t."
    )


def test_an_object_that_was_put_twice_is_one_object() -> None:
    assert canonicalise(b"\x80\x04(]\x94h\0\x94h\x01t.").data == b"\x80\x04(]\x94h\0h\0t."


def test_equal_bytes_integers_and_tuples_are_not_unified() -> None:
    one, two = bytes([1, 2]), bytes([1, 2])
    loaded = pickle.loads(canonical([one, two, one, (one,), (one,)]))
    assert loaded[0] is loaded[2]
    assert loaded[0] is not loaded[1]
    assert loaded[3] is not loaded[4]


# Strings.


def test_equal_strings_are_one_string() -> None:
    apart = "weight"
    together = "weight"
    assert (
        canonical([apart, together])
        == canonical([together, together])
        == b"\x80\x04](\x8c\x06weight\x94h\x00e."
    )


@pytest.mark.parametrize("size", [0, 1, 255, 256, 70_000])
def test_strings_of_every_length(size: int) -> None:
    value = ["é" * size, "".join(["é"] * size), "z" * size]
    assert pickle.loads(canonical(value)) == value


def test_a_string_is_written_with_the_shortest_opcode() -> None:
    expected = b"\x80\x04(\x8c\x01a\x94h\0h\0t."
    assert canonicalise(b"\x80\x04(\x8c\x01aX\x01\0\0\0a\x8d\x01\0\0\0\0\0\0\0at.").data == expected


def test_lone_surrogates_survive() -> None:
    assert pickle.loads(canonical(["\ud800", "\ud800"])) == ["\ud800", "\ud800"]


# Globals.


def test_a_global_is_written_once_and_listed_once() -> None:
    made = canonicalise(pickle.dumps([textwrap.dedent, len, textwrap.dedent, int], 4))
    assert made.globals == (("textwrap", "dedent"), ("builtins", "len"), ("builtins", "int"))
    assert made.data == (
        b"\x80\x04](\x8c\x08textwrap\x8c\x06dedent\x93\x94\x8c\x08builtins\x94\x8c\x03len\x93h\x00h\x01\x8c\x03int\x93e."
    )


def test_a_text_global_becomes_a_stack_global() -> None:
    assert canonicalise(b"\x80\x04cbuiltins\nlen\n.") == canonicalise(pickle.dumps(len, 4))
    assert canonicalise(in_order(b"cbuiltins\nlen\n", b"cbuiltins\nint\n")) == canonicalise(
        in_order(b"\x8c\x08builtins\x94\x8c\x03int\x93", b"h\x01\x8c\x03len\x93")
    )


def original(module: str) -> str:
    return module.removeprefix("wardian.live.resnet18_3f9a2c1b.")


def test_modules_are_renamed_and_data_is_not() -> None:
    live = b"\x8c\x2fwardian.live.resnet18_3f9a2c1b.mylib.models.net"
    # [live as data, the class by a fetch of the same memo entry, live as data again, the class again]
    data = b"\x80\x04](" + live + b"\x94h\0\x8c\x03Net\x94\x93\x94h\0h\x02e."
    made = canonicalise(data, original)
    assert made.globals == (("mylib.models.net", "Net"),)
    assert made.data == b"\x80\x04](" + live + b"\x94\x8c\x10mylib.models.net\x8c\x03Net\x93\x94h\0h\x01e."
    # The same with the class first, so that its module is where the pickler put the string.
    data = b"\x80\x04](" + live + b"\x94\x8c\x03Net\x94\x93\x94h\0h\x02e."
    assert canonicalise(data, original).data == (
        b"\x80\x04](\x8c\x10mylib.models.net\x8c\x03Net\x93\x94" + live + b"h\0e."
    )


def test_two_modules_with_one_original_name_are_one_global() -> None:
    copies = [b"\x8c\x01x\x8c\x03Net\x93", b"\x8c\x20wardian.live.resnet18_3f9a2c1b.x\x8c\x03Net\x93"]
    made = canonicalise(b"\x80\x04" + b"".join(copies) + b"\x86.", original)
    assert made == CanonicalPickle(b"\x80\x04\x8c\x01x\x8c\x03Net\x93\x94h\0\x86.", (("x", "Net"),))


def test_modules_are_renamed_within_sets() -> None:
    live = b"\x8c\x20wardian.live.resnet18_3f9a2c1b.x"
    made = canonicalise(in_order(live + b"\x94", b"h\x01\x8c\x03Net\x93"), original)
    assert made.data == in_order(b"\x8c\x01x\x8c\x03Net\x93", live).replace(b"\x94", b"")


def test_a_class_in_a_set_and_then_an_object_of_it() -> None:
    value = [{Layer, Device, int}, Layer(width=3)]
    assert type(pickle.loads(canonical(value))[1]) is Layer


# Calls.


@pytest.mark.parametrize(
    "wrap", [lambda x: x, lambda x: [x, {x, 1}], lambda x: {x, "a"}, lambda x: frozenset([x, 2])]
)
def test_objects_by_newobj_reduce_and_setter(wrap: Callable[[Any], Any]) -> None:
    settled = Settled()
    settled.state = {"me": settled, "names": {"b", "a"}}
    for value in (Layer(a=1, b=[2]), Device("cuda", 3), Keyword(name="n"), Colour.BLUE, settled):
        data = pickle.dumps(wrap(value), 4)
        made = canonicalise(data)
        assert canonicalise(made.data) == made
        assert sorted(set(opcodes(made.data)) - {"MEMOIZE", "BINGET"}) == sorted(
            set(opcodes(data)) - {"MEMOIZE", "BINGET", "FRAME"}
        )
        (loaded,) = [x for x in find(pickle.loads(made.data)) if type(x) is type(value)]
        assert not isinstance(loaded, Settled) or loaded.state == {"me": loaded, "names": {"a", "b"}}


def find(value: Any) -> list[Any]:
    found = [value]
    if isinstance(value, list | set | frozenset):
        for item in value:
            found += [x for x in find(item) if all(x is not y for y in found)]
    return found


class StoragePickler(pickle.Pickler):
    def persistent_id(self, thing: Any) -> Any:
        return ("storage", Device, str(thing.index), thing.kind, 4) if isinstance(thing, Device) else None


class StorageUnpickler(pickle.Unpickler):
    def persistent_load(self, pid: Any) -> Any:
        return pid


def test_persistent_ids_are_ordinary_tuples() -> None:
    file = io.BytesIO()
    StoragePickler(file, 4).dump([Device("cpu", 0), {Device("cpu", 1), Device("cpu", 0)}])
    made = canonicalise(file.getvalue())
    assert canonicalise(made.data) == made
    pid = ("storage", Device, "0", "cpu", 4)
    assert StorageUnpickler(io.BytesIO(made.data)).load() == [pid, {pid, ("storage", Device, "1", "cpu", 4)}]
    assert made.data.count(b"storage") == made.data.count(b"cpu") == 1
    assert made.globals == ((Device.__module__, "Device"),)


# Refusals.


@pytest.mark.parametrize(
    ("data", "position", "what"),
    [
        (b"", 0, "no protocol header"),
        (b"N.", 0, "no protocol header"),
        (b"\x80\x02N.", 1, "protocol 2"),
        (b"\x80\x04N", 3, "ends without STOP"),
        (b"\x80\x04N.N", 4, "bytes after STOP"),
        (b"\x80\x04\x80\x04N.", 2, "unexpected opcode 0x80"),
        (b"\x80\x04K", 2, "cut off"),
        (b"\x80\x04J\0\0.", 2, "cut off"),
        (b"\x80\x04\x8c", 2, "cut off"),
        (b"\x80\x04\x8c\x05ab.", 2, "cut off"),
        (b"\x80\x04X\x05\0\0\0ab.", 2, "cut off"),
        (b"\x80\x04C\x05ab.", 2, "cut off"),
        (b"\x80\x04h", 2, "cut off"),
        (b"\x80\x04j\0\0.", 2, "cut off"),
        (b"\x80\x04cbuiltins\nlen", 2, "cut off"),
        (b"\x80\x04cbuiltins", 2, "cut off"),
        (b"\x80\x04h\0.", 2, "memo entry 0 does not exist"),
        (b"\x80\x04]q\x01.", 3, "not numbered in order"),
        (b"\x80\x04\x95\xff\0\0\0\0\0\0\0N.", 2, "frame is longer"),
        (b"\x80\x04\x8c\x01a\x93.", 5, "STACK_GLOBAL without two strings"),
        (b"\x80\x04\x8c\x01aN\x93.", 6, "STACK_GLOBAL without two strings"),
        (b"\x80\x04]\x94\x8c\x01a\x93.", 7, "STACK_GLOBAL without two strings"),
        (b"\x80\x04\x8f(K\x01\x8c\x01a\x93\x90.", 9, "STACK_GLOBAL without two strings"),
        (b"\x80\x04\x8fK\x01\x90.", 5, "no MARK"),
        (b"\x80\x04\x8f(K\x01\x85\x85\x86\x90.", 8, "too few values"),
        (b"\x80\x04\x8f(a\x90.", 4, "too few values"),
        (b"\x80\x04\x8f(\x94\x90.", 4, "nothing on the stack"),
        (b"\x80\x04\x8f(h\0\x90.", 4, "memo entry 0 does not exist"),
        (b"\x80\x05\x96\x01\0\0\0\0\0\0\0a.", 2, "BYTEARRAY8"),
        (b"\x80\x05\x97.", 2, "NEXT_BUFFER"),
        (b"\x80\x05\x98.", 2, "READONLY_BUFFER"),
        (b"\x80\x04\x82\x01.", 2, "EXT1"),
        (b"\x80\x04\x83\x01\0.", 2, "EXT2"),
        (b"\x80\x04\x84\x01\0\0\0.", 2, "EXT4"),
        (b"\x80\x04I1\n.", 2, "unexpected opcode 0x49"),
        (b"\x80\x04\xff.", 2, "unexpected opcode 0xff"),
    ],
)
def test_a_malformed_pickle_is_refused_with_its_position(data: bytes, position: int, what: str) -> None:
    with pytest.raises(ValueError, match=rf"malformed pickle at byte {position}: .*{what}"):
        canonicalise(data)


def test_every_truncation_is_refused() -> None:
    shared = Layer(name="shared")
    value = [
        shared,
        {"b", "a", (shared, 1), frozenset({2, 3})},
        len,
        b"x" * 300,
        "y" * 300,
        2**70,
        1.5,
        Settled(),
    ]
    data = pickle.dumps(value, 4)
    whole = data[:2] + data[11:]
    canonicalise(whole)
    for size in range(len(whole)):
        with pytest.raises(ValueError, match="malformed pickle at byte"):
            canonicalise(whole[:size])


# Real objects.


@pytest.mark.parametrize("loads", ["c", "python"])
def test_both_unpicklers_read_the_result(loads: str) -> None:
    layer = Layer(names={"b", "a"}, kinds=frozenset({int, str}), table={"x": (1, 2.5, None)})
    layer.me = [layer]
    data = canonical(layer)
    loaded = pickle.loads(data) if loads == "c" else pickle._Unpickler(io.BytesIO(data)).load()
    assert (loaded.names, loaded.kinds, loaded.table, loaded.me) == (
        layer.names,
        layer.kinds,
        layer.table,
        [loaded],
    )


def test_the_disassembler_finds_nothing_wrong() -> None:
    layer = Layer(names={"b", "a"}, near={Layer(a=1), Layer(a=2)})
    pickletools.dis(canonical([layer, layer]), out=io.StringIO())
