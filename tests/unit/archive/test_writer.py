from __future__ import annotations

import hashlib
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from blake3 import blake3

from tests import archives
from tests.archives import name
from wardian.archive import ArchiveReader, limits, streaming
from wardian.archive.writer import ArchiveWriter
from wardian.domain.digests import RecordDigest
from wardian.domain.names import RecordName
from wardian.domain.record_names import storage_record

MIB = 1 << 20


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


# Storages


def test_storages_are_aligned_and_where_they_are_said_to_be(tmp_path: Path) -> None:
    storages = [b"a", b"", b"b" * 65, os.urandom(MIB - 1), os.urandom(MIB), os.urandom(MIB + 1), b"c"]
    with ArchiveWriter(tmp_path / "resnet.case") as archive:
        offsets = [archive.add_storage(storage, len(storage)) for storage in storages]
        archive.flush()
        data = archive.path.read_bytes()
        assert [data[o : o + len(s)] for o, s in zip(offsets, storages, strict=True)] == storages
        assert [offset % 64 for offset in offsets] == [0] * 7
        assert [offset % 4096 for offset in offsets[4:6]] == [0, 0]
        archive.finish(archives.document)
        archive.publish()
    with ArchiveReader.open(tmp_path / "resnet.case") as reader:
        places = [reader.location(storage_record(number)) for number in range(7)]
    assert places == [(o, len(s)) for o, s in zip(offsets, storages, strict=True)]


def digest_of_storage(tmp_path: Path, data: object, size: int) -> tuple[RecordDigest, bytes]:
    found: dict[RecordName, RecordDigest] = {}

    def manifest(digests: Mapping[RecordName, RecordDigest]) -> bytes:
        found.update(digests)
        return b"{}"

    with ArchiveWriter(tmp_path / "resnet.case") as archive:
        archive.add_storage(data, size)  # type: ignore[arg-type]
        archive.finish(manifest)
        archive.publish()
    with ArchiveReader.open(tmp_path / "resnet.case") as reader:
        reader.verify(name(".data/0.storage"), crc=True)
        return found[name(".data/0.storage")], reader.read(name(".data/0.storage"))


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1, 3 * streaming._CHUNK, 3 * streaming._CHUNK + 5])
def test_a_storage_is_digested_whatever_its_size(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    digest, read = digest_of_storage(tmp_path, content, size)
    assert digest == RecordDigest(size, "blake3", blake3(content).hexdigest())
    assert read == content


def test_the_buffer_of_an_iterable_may_be_used_again(tmp_path: Path) -> None:
    staging = bytearray(3 * MIB)

    def chunks() -> Iterator[memoryview]:
        for number in range(5):
            staging[:] = bytes([number]) * len(staging)
            yield memoryview(staging)

    wanted = b"".join(bytes([number]) * len(staging) for number in range(5))
    digest, read = digest_of_storage(tmp_path, chunks(), len(wanted))
    assert digest.hex == blake3(wanted).hexdigest()
    assert read == wanted


def test_a_buffer_may_have_any_shape_and_type(tmp_path: Path) -> None:
    content = os.urandom(24 * 8)
    shaped = memoryview(content).cast("d").cast("B").cast("d", [2, 3, 4])
    assert digest_of_storage(tmp_path, shaped, len(content))[1] == content


def test_a_buffer_with_gaps_is_refused(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path / "resnet.case") as archive, pytest.raises(TypeError, match="contiguous"):
        archive.add_storage(memoryview(b"abcdef")[::2], 3)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("size", [9, 11, 2 * MIB])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_wrong_size_is_refused(tmp_path: Path, size: int, chunked: bool) -> None:
    data = iter([b"01234", b"56789"]) if chunked else b"0123456789"
    with ArchiveWriter(tmp_path / "resnet.case") as archive, pytest.raises(ValueError, match="10 bytes"):
        archive.add_storage(data, size)
    assert leftovers(tmp_path) == []


def test_an_endless_iterable_is_stopped_at_its_size(tmp_path: Path) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(100)

    with ArchiveWriter(tmp_path / "resnet.case") as archive, pytest.raises(ValueError, match="or more"):
        archive.add_storage(endless(), 1000)


# Ordinary records


def test_the_order_of_adding_changes_nothing(tmp_path: Path) -> None:
    records = {"b/x.py": b"x = 1\n" * 20, "a.py": b"", "é.txt": b"e", "Z.py": b"z", ".data/version": b"6\n"}
    one = archives.write(tmp_path / "one.case", [b"s"], records)
    two = archives.write(tmp_path / "two.case", [b"s"], dict(reversed(records.items())))
    assert one == two


def test_records_are_sorted_by_the_bytes_of_their_names(tmp_path: Path) -> None:
    records = dict.fromkeys(["é", "z", "a/b", "a.py", "\U0001f331", "\uffff", "A"], b"")
    archives.write(tmp_path / "resnet.case", [], records)
    with ArchiveReader.open(tmp_path / "resnet.case") as reader:
        assert list(reader.names[:-2]) == sorted(records, key=str.encode)


def test_records_are_deflated_only_if_that_makes_them_smaller(tmp_path: Path) -> None:
    noise = os.urandom(1000)
    archives.write(tmp_path / "resnet.case", [], {"text.py": b"x" * 1000, "noise": noise, "empty": b""})
    with ArchiveReader.open(tmp_path / "resnet.case") as reader:
        assert bytes(reader.view(name("noise"))) == noise
        assert bytes(reader.view(name("empty"))) == b""
        with pytest.raises(ValueError, match="deflated"):
            reader.view(name("text.py"))


def test_the_manifest_is_made_from_all_digests_sorted(tmp_path: Path) -> None:
    seen: list[tuple[str, RecordDigest]] = []

    def manifest(digests: Mapping[RecordName, RecordDigest]) -> bytes:
        seen.extend(digests.items())
        return b"{}"

    with ArchiveWriter(tmp_path / "resnet.case") as archive:
        archive.add_storage(b"w", 1)
        archive.add(name("b.py"), b"bb")
        archive.add(name("a.py"), b"a")
        digest = archive.finish(manifest)
        assert digest == hashlib.sha256(b"{}").hexdigest()
    assert seen == [
        (".data/0.storage", RecordDigest(1, "blake3", blake3(b"w").hexdigest())),
        ("a.py", RecordDigest(1, "sha256", hashlib.sha256(b"a").hexdigest())),
        ("b.py", RecordDigest(2, "sha256", hashlib.sha256(b"bb").hexdigest())),
    ]


@pytest.mark.parametrize(
    "text", ["a.py", ".wardian/manifest.json", ".wardian/seal", ".data/7.storage", "../a", "", "a//b"]
)
def test_names_that_cannot_be_are_refused(tmp_path: Path, text: str) -> None:
    with ArchiveWriter(tmp_path / "resnet.case") as archive:
        archive.add(name("a.py"), b"")
        with pytest.raises(ValueError):
            archive.add(name(text), b"")


def test_more_than_a_reader_accepts_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_RECORD_BYTES", 10)
    monkeypatch.setattr(limits, "MAX_MANIFEST_BYTES", 20)
    monkeypatch.setattr(limits, "MAX_ENTRIES", 3)
    with ArchiveWriter(tmp_path / "resnet.case") as archive:
        with pytest.raises(ValueError, match="only storages"):
            archive.add(name("a.py"), bytes(11))
        archive.add(name("a.py"), bytes(10))
        with pytest.raises(ValueError, match="the manifest has 21 bytes"):
            archive.finish(lambda digests: bytes(21))
    with ArchiveWriter(tmp_path / "resnet.case") as archive:
        archive.add(name("a.py"), b"")
        archive.add(name("b.py"), b"")
        with pytest.raises(ValueError, match="more than 3 records"):
            archive.finish(archives.document)
    assert leftovers(tmp_path) == []


def test_a_hundred_thousand_records_need_zip64(tmp_path: Path) -> None:
    records = {f"mylib/data/{number}.txt": b"" for number in range(100_000)}
    archives.write(tmp_path / "resnet.case", [], records)
    with ArchiveReader.open(tmp_path / "resnet.case") as reader:
        assert len(reader.names) == 100_002


# Publishing


def test_nothing_is_at_the_target_before_publish(tmp_path: Path) -> None:
    target = tmp_path / "resnet.case"
    target.write_bytes(b"yesterday's")
    with ArchiveWriter(target) as archive:
        archive.finish(archives.document)
        assert target.read_bytes() == b"yesterday's"
        archive.publish()
    assert ArchiveReader.open(target).names == (".wardian/manifest.json", ".wardian/seal")
    assert leftovers(tmp_path) == ["resnet.case"]


def test_leaving_without_publish_discards(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path / "resnet.case") as archive:
        archive.add_storage(bytes(5 * MIB), 5 * MIB)
        archive.finish(archives.document)
    assert leftovers(tmp_path) == []


def test_discard_may_come_at_any_time(tmp_path: Path) -> None:
    archive = ArchiveWriter(tmp_path / "resnet.case")
    archive.path.unlink()
    archive.discard()
    archive.discard()
    with ArchiveWriter(tmp_path / "resnet.case") as archive:
        archive.finish(archives.document)
        archive.publish()
        archive.discard()
    assert leftovers(tmp_path) == ["resnet.case"]


def test_a_writer_is_used_once(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path / "resnet.case") as archive:
        with pytest.raises(RuntimeError):
            archive.publish()
        archive.finish(archives.document)
        for use in (
            lambda: archive.add(name("a.py"), b""),
            lambda: archive.add_storage(b"", 0),
            lambda: archive.finish(archives.document),
            archive.flush,
        ):
            with pytest.raises(RuntimeError):
                use()
        archive.publish()
        with pytest.raises(RuntimeError):
            archive.publish()


def test_no_thread_is_left(tmp_path: Path) -> None:
    before = threading.active_count()
    with ArchiveWriter(tmp_path / "resnet.case") as archive:
        archive.add_storage(bytes(5 * MIB), 5 * MIB)
        archive.finish(archives.document)
        assert threading.active_count() == before
    with ArchiveWriter(tmp_path / "resnet.case") as archive:
        archive.add_storage(bytes(5 * MIB), 5 * MIB)
    assert threading.active_count() == before


def test_an_error_in_the_manifest_discards(tmp_path: Path) -> None:
    def manifest(digests: object) -> bytes:
        raise KeyError("resnet")

    with ArchiveWriter(tmp_path / "resnet.case") as archive:
        with pytest.raises(KeyError):
            archive.finish(manifest)
        assert leftovers(tmp_path) == []


# Disasters


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # CPython ignores SIGXFSZ, so that writing fails as on a full disk.
    assert signal.getsignal(signal.SIGXFSZ) is signal.SIG_IGN
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_while_a_storage_is_written(tmp_path: Path) -> None:
    target = tmp_path / "resnet.case"
    target.write_bytes(b"yesterday's")
    with ArchiveWriter(target) as archive:
        with files_limited_to(3 * MIB), pytest.raises(OSError, match="cannot write") as caught:
            archive.add_storage(bytes(20 * MIB), 20 * MIB)
        assert caught.value.filename == str(target)
        assert leftovers(tmp_path) == ["resnet.case"]
    assert target.read_bytes() == b"yesterday's"


def test_a_full_disk_while_the_rest_is_written(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path / "resnet.case") as archive:
        archive.add(name("noise"), os.urandom(MIB))
        with files_limited_to(MIB), pytest.raises(OSError, match="cannot write"):
            archive.finish(archives.document)
        assert leftovers(tmp_path) == []


CHILD = """
import sys
from wardian.archive.writer import ArchiveWriter
from wardian.domain.names import RecordName

def reached(point):
    if point == sys.argv[2]:
        print(point, flush=True)
        sys.stdin.read()  # killed here

def chunks():
    yield bytes(9 << 20)
    reached("storage")
    yield bytes(9 << 20)

def manifest(digests):
    reached("manifest")
    return b"{}"

archive = ArchiveWriter(sys.argv[1])
reached("start")
archive.add_storage(chunks(), 18 << 20)
archive.add(RecordName("mylib/models.py"), b"x = 1")
reached("records")
archive.finish(manifest)
reached("finish")
archive.publish()
reached("publish")
"""


@pytest.mark.parametrize("point", ["start", "storage", "records", "manifest", "finish", "publish"])
def test_a_killed_writer_leaves_the_target_whole(tmp_path: Path, point: str) -> None:
    target = tmp_path / "resnet.case"
    old = archives.small(target)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(target), point],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline().decode().strip() == point
        child.kill()
    if point == "publish":
        assert archives.contents(target)["mylib/models.py"] == b"x = 1"
    else:
        assert target.read_bytes() == old
    archives.small(target)  # what is left over does not hinder the next one


def test_a_finished_archive_can_be_given_other_records(tmp_path: Path) -> None:
    with ArchiveWriter(tmp_path / "one.case") as archive:
        archive.add_storage(b"weights", 7)
        archive.add(RecordName("oak.py"), b"wrong")
        archive.finish(archives.document)
        archive.reopen()
        archive.add(RecordName("elm.py"), b"right")
        archive.finish(archives.document)
        archive.publish()
    with ArchiveWriter(tmp_path / "other.case") as archive:
        archive.add_storage(b"weights", 7)
        archive.add(RecordName("elm.py"), b"right")
        archive.finish(archives.document)
        archive.publish()
        with pytest.raises(RuntimeError, match="only a finished archive"):
            archive.reopen()
    assert (tmp_path / "one.case").read_bytes() == (tmp_path / "other.case").read_bytes()
