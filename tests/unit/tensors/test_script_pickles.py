"""Pickles of TorchScript: equal objects have equal ones."""

from __future__ import annotations

import pickle
import pickletools
from typing import Any

import pytest
from torch.jit import _pickle

from wardian.domain.names import RecordName
from wardian.tensors.script_pickles import in_one_form

_FILE = "/home/user/net.py"


def _in_one_form(**records: bytes) -> list[bytes]:
    return list(
        in_one_form({RecordName(name.replace("__", ".")): data for name, data in records.items()}).values()
    )


class _Lines:
    """Pickled as PyTorch writes a list of numbers."""

    def __init__(self, *lines: int) -> None:
        self.lines = list(lines)

    def __reduce__(self) -> Any:
        return _pickle.build_intlist, (self.lines,)


def _notes(texts: tuple[str, ...], *parts: Any) -> bytes:
    return pickle.dumps(("FORMAT_WITH_STRING_TABLE", texts, parts), 2)


def test_memo_entries_that_nobody_fetches_are_left_out() -> None:
    shared = ["weight"]
    data = pickle.dumps({"a": shared, "b": shared}, 2)
    bare = pickletools.optimize(data)
    assert data != bare
    assert _in_one_form(data__pkl=data) == _in_one_form(data__pkl=bare) == [bare]


def test_notes_of_source_depend_on_what_they_say() -> None:
    nothing = (_Lines(), 0, 0)
    one = _notes(
        ("", "def f(x):\n", "    return x\n", _FILE),
        (0, (nothing, 0, 0), 0),
        (20, ((_Lines(1, 2), 3, 7), 4, 8), 2),
        (30, (nothing, 0, 0), 0),
    )
    other = _notes(
        (_FILE, "    return x\n", "def f(x):\n", ""),
        (0, ((_Lines(3), 3, 0), 0, 0), 5),
        (20, ((_Lines(2, 1), 0, 7), 4, 8), 4),
        (30, ((_Lines(), 3, 0), 0, 0), 9),
    )
    assert _in_one_form(code__py__debug_pkl=one) == _in_one_form(code__py__debug_pkl=other)
    form, texts, parts = pickle.loads(_in_one_form(code__py__debug_pkl=one)[0])
    assert form == "FORMAT_WITH_STRING_TABLE"
    offset, ((lines, file, line), begin, end), tag = parts[1]
    assert ["".join(texts[i] for i in lines), texts[file], line] == ["def f(x):\n    return x\n", _FILE, 7]
    assert (offset, begin, end, tag) == (20, 4, 8, 1)


def test_parts_of_source_are_numbered_throughout() -> None:
    source = ((_Lines(1), 0, 1), 0, 3)
    one, other = (
        _notes((_FILE, "x\n"), (0, source, 8)),
        _notes((_FILE, "x\n"), (5, source, 9), (7, source, -1)),
    )
    written = _in_one_form(a__debug_pkl=one, b__debug_pkl=other)
    assert [[part[2] for part in pickle.loads(data)[2]] for data in written] == [[0], [0, -1]]


@pytest.mark.parametrize("number", [0, 255, 256, 65_536, 1 << 31, 1 << 40])
def test_numbers_of_every_size_are_kept(number: int) -> None:
    data = _notes(("x\n", _FILE), (number, ((_Lines(0), 1, number), number, number), 0))
    assert pickle.loads(_in_one_form(a__debug_pkl=data)[0]) == pickle.loads(data)


def test_many_parts_are_written_and_read() -> None:
    texts = tuple(f"line {n}\n" for n in range(300))
    data = _notes(texts, *((n, ((_Lines(n), 0, n), 0, n), n) for n in range(300)))
    assert pickle.loads(_in_one_form(a__debug_pkl=data)[0])[2] == pickle.loads(data)[2]


@pytest.mark.parametrize(
    "value",
    [
        ("FORMAT_WITH_STRING_TABLE", ("",), ((0, "range", 0),)),
        ("FORMAT_WITH_STRING_TABLE", ("",), ((0, ((_Lines(9), 0, 0), 0, 0), 0),)),
        ("ANOTHER_FORMAT", (), ()),
        {"a": 1.5},
    ],
)
def test_what_another_release_writes_is_left_as_it_is(value: Any) -> None:
    data = pickle.dumps(value, 2)
    assert _in_one_form(a__debug_pkl=data) == [data]


def test_other_records_are_left_as_they_are() -> None:
    assert _in_one_form(code__py=b"def f(): ...") == [b"def f(): ..."]
