"""What a fork reads and writes, its parent has neither read nor written."""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from wardian.processes import apart
from wardian.processes.apart import be_apart
from wardian.processes.rehearsal import rehearsing

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is shared")


def in_fork(work: Callable[[], object], keep: Collection[int] = ()) -> int:
    """Do the work in a fork that is apart; return its status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            be_apart(keep)
            status = 0 if work() in (None, True) else 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_memory_that_is_shared_becomes_its_own_with_all_that_is_in_it(tmp_path: Path) -> None:
    file = tmp_path / "field"
    file.write_bytes(b"barley" * 10_000)
    with (
        mmap.mmap(-1, 3 * mmap.PAGESIZE, mmap.MAP_SHARED) as nameless,
        file.open("r+b") as stream,
        mmap.mmap(stream.fileno(), 0) as mapped,
    ):
        nameless[:4] = b"oats"
        place = ctypes.addressof(ctypes.c_char.from_buffer(nameless))

        def work() -> bool:
            same = nameless[:4] == b"oats" and mapped[:12] == b"barleybarley"
            nameless[:4] = mapped[:4] = b"weed"
            return same and ctypes.string_at(place, 4) == b"weed"

        assert in_fork(work) == 0
        assert (nameless[:4], mapped[:6]) == (b"oats", b"barley")
        nameless[:4] = b"rye!"  # it is still shared by others
        assert in_fork(lambda: nameless[:4] == b"rye!") == 0
    assert file.read_bytes()[:6] == b"barley"


def test_too_much_shared_memory_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_MOST_SHARED", mmap.PAGESIZE)
    with mmap.mmap(-1, 2 * mmap.PAGESIZE, mmap.MAP_SHARED):
        assert in_fork(lambda: True) == 1
        with rehearsing(lambda: "done") as copy:
            assert copy.answer(30) is None
        assert copy.obstacle == "it shares more than 1 GiB of memory with other processes"


def test_a_file_that_is_read_there_stands_here_where_it_stood(tmp_path: Path) -> None:
    (tmp_path / "field").write_text("barley")
    with (tmp_path / "field").open("rb", buffering=0) as stream, (tmp_path / "field").open("r+b", 0) as other:
        (tmp_path / "field").unlink()
        assert (stream.read(1), other.read(2)) == (b"b", b"ba")

        def work() -> bool:
            with pytest.raises(OSError, match="Bad file descriptor"):
                other.write(b"x")
            return (stream.read(), other.read()) == (b"arley", b"rley")

        assert in_fork(work) == 0
        assert (stream.read(), other.read()) == (b"arley", b"rley")


def test_what_waits_in_a_pipe_stays_there() -> None:
    reading, writing = os.pipe()
    told, telling = os.pipe()
    os.write(writing, b"barley")

    def work() -> bool:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.read(reading, 1)
        os.write(writing, b"weed")  # nobody gets it
        return os.write(telling, b"told") == 4

    assert in_fork(work, {telling}) == 0
    assert os.read(told, 9) == b"told"
    os.close(writing)
    assert os.read(reading, 99) == b"barley"
    for descriptor in (reading, told, telling):
        os.close(descriptor)
