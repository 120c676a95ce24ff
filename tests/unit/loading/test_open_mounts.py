"""Whatever was looked at before, a file gives what it holds, in this process and in those below it."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import wardian
from tests.archives import Forged, forge
from tests.support import write_case
from wardian.archive import ArchiveReader

_BIRD = b"\x80\x04\x8c\x04gull\x8c\x04Bird\x93)R."


def _write(path: Path, note: str, nonce: bytes) -> Path:
    path.parent.mkdir(exist_ok=True)
    return write_case(
        path,
        f"--- gull.py\nclass Bird:\n    note = {note!r}",
        pickle=_BIRD,
        metadata={"nonce": nonce.decode()},
    )


def _digests(path: Path, note: str) -> Iterator[tuple[bytes, str]]:
    """Yield the digests that a case has with different nonces."""
    nothing = b"@" * 16
    with ArchiveReader.open(_write(path, note, nothing)) as archive:
        head, tail = archive.manifest.split(nothing)
    begun = hashlib.sha256(head)
    for number in range(1 << 24):
        digest = begun.copy()
        nonce = b"%016x" % number
        digest.update(nonce + tail)
        yield nonce, digest.hexdigest()


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return two cases of one file name whose digests begin with the same 32 bits."""
    folder = tmp_path_factory.mktemp("twins")
    first, second = (folder / place / "gull.case" for place in ("one", "two"))
    known = {
        digest[:8]: nonce for _, (nonce, digest) in zip(range(1 << 17), _digests(first, "a"), strict=False)
    }
    nonce, digest = next(found for found in _digests(second, "b") if found[1][:8] in known)
    _write(first, "a", known[digest[:8]])
    _write(second, "b", nonce)
    return first, second


def _in_a_child(data: bytes) -> str:
    script = "import pickle, sys\nprint(pickle.loads(sys.stdin.buffer.read()).note)"
    run = [sys.executable, "-c", script]
    done = subprocess.run(run, input=data, capture_output=True, check=False)
    return done.stdout.decode().strip() or done.stderr.decode()


@pytest.mark.parametrize("first_closes", [False, True])
def test_cases_whose_digests_begin_alike_are_two(twins: tuple[Path, Path], first_closes: bool) -> None:
    for one, other in (twins, twins[::-1]):
        with wardian.open(one) as looked_at:
            bird = looked_at.load()
            if first_closes:
                looked_at.close()
            with wardian.open(other) as case:
                loaded = case.load()
                assert {bird.note, loaded.note} == {"a", "b"}
                assert case.digest == hashlib.sha256(case.read(".wardian/manifest.json")).hexdigest()
                assert type(loaded).__module__ == f"wardian.live.gull_{case.digest[:16]}.gull"
                assert pickle.loads(pickle.dumps(loaded)).note == loaded.note
                assert _in_a_child(pickle.dumps(loaded)) == loaded.note
                with wardian.open(other) as again:
                    assert again.load().__class__ is loaded.__class__
                if not first_closes:
                    assert _in_a_child(pickle.dumps(bird)) == bird.note
        # The names are given out once in a process: the next round needs others.
        _forget()


def _forget() -> None:
    from wardian.loading import open_mounts

    open_mounts._used.clear()


def test_a_child_does_not_take_the_name_of_a_case_of_its_parent(twins: tuple[Path, Path]) -> None:
    script = """
import pickle, sys, wardian
own = wardian.load(sys.argv[1])
print(own.note, pickle.loads(sys.stdin.buffer.read()).note)
"""
    one, other = twins
    with wardian.open(one) as case:
        run = [sys.executable, "-c", script, str(other)]
        done = subprocess.run(run, input=pickle.dumps(case.load()), capture_output=True, check=True)
        assert done.stdout.decode().split() == ["b", "a"]
    _forget()


def _with_crc(build: Callable[[bytes], bytes], target: int) -> bytes:
    """Return build(4 bytes) whose CRC-32 is *target*: 32 linear equations over GF(2)."""
    zero = zlib.crc32(build(bytes(4)))
    basis: dict[int, tuple[int, int]] = {}
    for bit in range(32):
        value, mask = zlib.crc32(build((1 << bit).to_bytes(4, "little"))) ^ zero, 1 << bit
        while value and value.bit_length() in basis:
            known = basis[value.bit_length()]
            value, mask = value ^ known[0], mask ^ known[1]
        if value:
            basis[value.bit_length()] = value, mask
    want, pick = zero ^ target, 0
    while want:
        known = basis[want.bit_length()]
        want, pick = want ^ known[0], pick ^ known[1]
    return build(pick.to_bytes(4, "little"))


_SOURCE = b"""\
import pathlib
class Bird:
    note = pathlib.Path(__file__).with_name("note.txt").read_text("latin-1")[0]
"""


@pytest.fixture
def packages(tmp_path: Path) -> tuple[Path, Path]:
    """Return two archives of torch.package of which all sizes and all CRC-32 are the same."""
    ours = b"a123456789"
    theirs = _with_crc(lambda four: b"b" + four + b"56789", zlib.crc32(ours))
    paths = []
    for place, note in (("one", ours), ("two", theirs)):
        (tmp_path / place).mkdir()
        paths.append(tmp_path / place / "gull.pt")
        records: Any = {
            b".data/extern_modules": b"os\n",
            b"model/model.pkl": b"\x80\x04\x8c\x09gull.bird\x8c\x04Bird\x93)R.",
            b"gull/__init__.py": b"",
            b"gull/bird.py": _SOURCE,
            b"gull/note.txt": note,
        }
        content = forge([Forged(b"gull/" + name, data) for name, data in records.items()], sealed=False)
        paths[-1].write_bytes(content)
    return paths[0], paths[1]


@pytest.mark.parametrize("in_memory", [False, True])
def test_archives_of_torch_package_are_told_apart_by_their_content(
    packages: tuple[Path, Path], in_memory: bool
) -> None:
    files = [path.read_bytes() if in_memory else path for path in packages]
    with wardian.open(files[0]) as looked_at, wardian.open(files[1]) as case, wardian.open(files[1]) as again:
        assert looked_at.digest != case.digest == again.digest
        assert (looked_at.load().note, case.load().note) == ("a", "b")
        assert type(case.load()) is type(again.load())
        if not in_memory:
            assert [_in_a_child(pickle.dumps(c.load())) for c in (looked_at, case)] == ["a", "b"]


def test_a_child_is_not_given_another_archive_of_torch_package(packages: tuple[Path, Path]) -> None:
    with wardian.open(packages[0]) as case:
        data = pickle.dumps(case.load())
        packages[1].replace(packages[0])
        assert _in_a_child(data) != "b"
