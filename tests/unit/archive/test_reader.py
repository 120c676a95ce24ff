from __future__ import annotations

import gzip
import io
import os
import pickle
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import archives
from tests.archives import name
from wardian.archive import ArchiveReader
from wardian.archive.writer import ArchiveWriter
from wardian.domain.digests import RecordDigest
from wardian.domain.names import RecordName
from wardian.errors import ClosedCaseError, CorruptCaseError, NotACaseError

STORAGE = name(".data/0.storage")
SOURCE = name("mylib/models/resnet.py")
VERSION = name(".data/version")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    archives.small(tmp_path / "resnet.case")
    return tmp_path / "resnet.case"


# Sources


def test_a_case_is_opened_from_a_path(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    for source in (path, str(path), "resnet.case"):
        with ArchiveReader.open(source) as reader:
            assert reader.path == path
            assert reader.kind == "case"


def test_a_case_is_opened_from_memory(path: Path) -> None:
    data = path.read_bytes()
    end = io.BytesIO(data)
    end.seek(0, io.SEEK_END)
    for source in (data, io.BytesIO(data), end):
        with ArchiveReader.open(source) as reader:
            assert reader.path is None
            assert reader.read(VERSION) == b"6\n"
            assert reader.location(STORAGE)[1] == len(reader.view(STORAGE))


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_a_case_is_opened_from_a_buffer_that_may_change_afterwards(path: Path, kind: Any) -> None:
    content = bytearray(path.read_bytes())
    with ArchiveReader.open(kind(content)) as reader:
        content[:] = bytes(len(content))
        for name in reader.names:
            reader.verify(name)


def test_a_file_with_a_path_is_mapped(path: Path) -> None:
    with path.open("rb") as buffered, path.open("rb", buffering=0) as raw:
        buffered.read(10)
        for file in (buffered, raw):
            with ArchiveReader.open(file) as reader:
                assert reader.path == path


def test_a_file_whose_path_is_another_file_is_read(path: Path) -> None:
    with path.open("rb") as file:
        path.unlink()
        path.write_bytes(b"something else")
        with ArchiveReader.open(file) as reader:
            assert reader.path is None


def test_a_file_with_a_path_but_other_content_is_read(path: Path) -> None:
    packed = path.with_suffix(".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with gzip.open(packed) as file, ArchiveReader.open(file) as reader:  # type: ignore[arg-type]
        assert reader.path is None


def test_what_is_written_to_a_file_is_read_from_it(path: Path) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(path.read_bytes())
        with ArchiveReader.open(file) as reader:
            assert reader.path is None
    with path.with_suffix(".copy").open("w+b") as file:
        file.write(path.read_bytes())
        with ArchiveReader.open(file) as reader:
            assert reader.path == path.with_suffix(".copy")


def test_a_pipe_is_read_to_its_end(path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, path.read_bytes())
    os.close(writing)
    with os.fdopen(reading, "rb") as file, ArchiveReader.open(file) as reader:
        assert reader.path is None


@pytest.mark.parametrize("source", [None, 7, torch.ones(3), torch.nn.Linear(1, 1), ["a.case"]])
def test_anything_else_is_a_type_error(source: object) -> None:
    with pytest.raises(TypeError, match=type(source).__name__):
        ArchiveReader.open(source)  # type: ignore[arg-type]


def test_a_text_file_is_a_type_error(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("case")
    with (tmp_path / "text").open() as file, pytest.raises(TypeError, match="binary"):
        ArchiveReader.open(file)  # type: ignore[arg-type]


def test_a_missing_file_and_a_folder_are_the_usual_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ArchiveReader.open(tmp_path / "missing.case")
    with pytest.raises(IsADirectoryError):
        ArchiveReader.open(tmp_path)


# Reading


def test_a_case_tells_what_is_in_it(path: Path) -> None:
    with ArchiveReader.open(path) as reader:
        assert reader.names == (STORAGE, VERSION, SOURCE, ".wardian/manifest.json", ".wardian/seal")
        assert reader.manifest == reader.read(name(".wardian/manifest.json"))
        assert reader.digest is not None
        assert reader.read(name(".wardian/seal")) == reader.digest.encode() + b"\n"
        assert SOURCE in reader
        assert "mylib" not in reader
        assert 7 not in reader
        assert reader.size(SOURCE) == len(reader.read(SOURCE)) == 92
        offset, size = reader.location(STORAGE)
        assert path.read_bytes()[offset : offset + size] == reader.view(STORAGE) == reader.read(STORAGE)
        assert memoryview(reader.view(STORAGE)).readonly


def test_a_record_that_is_not_there_is_a_key_error(path: Path) -> None:
    with ArchiveReader.open(path) as reader:
        for method in (reader.read, reader.size, reader.location, reader.view, reader.verify):
            with pytest.raises(KeyError, match="absent"):
                method(name("absent.py"))


def test_a_deflated_record_has_no_place_to_be_mapped_from(path: Path) -> None:
    with ArchiveReader.open(path) as reader:
        for method in (reader.location, reader.view):
            with pytest.raises(ValueError, match="deflated"):
                method(SOURCE)


def test_many_threads_read_at_once(path: Path) -> None:
    with ArchiveReader.open(path) as reader, ThreadPoolExecutor(8) as threads:
        reader.expect(archives.table(reader.manifest))
        wanted = {record: reader.read(record) for record in reader.names}
        barrier = threading.Barrier(8)

        def work(_: int) -> bool:
            barrier.wait()
            return all(reader.read(record) == wanted[record] for record in reader.names * 50)

        assert all(threads.map(work, range(8)))


# Expected digests


def test_expected_digests_are_checked(path: Path) -> None:
    with ArchiveReader.open(path) as reader:
        table = archives.table(reader.manifest)
        for record in (STORAGE, SOURCE):
            reader.expect({**table, record: replace(table[record], hex="0" * 64)})
            for method in (reader.read, reader.verify):
                with pytest.raises(CorruptCaseError, match=table[record].algorithm) as caught:
                    method(record)
                assert caught.value.record == record
                assert caught.value.path == str(path)
        reader.expect(table)
        for record in reader.names:
            reader.verify(record)
            reader.verify(record, crc=True)


def test_expected_digests_must_fit_the_records(path: Path) -> None:
    with ArchiveReader.open(path) as reader:
        table = archives.table(reader.manifest)
        digest = table[SOURCE]
        wrong: list[tuple[str, dict[RecordName, RecordDigest]]] = [
            (SOURCE, {record: digest for record, digest in table.items() if record != SOURCE}),
            ("mylib/more.py", {**table, name("mylib/more.py"): digest}),
            (".wardian/seal", {**table, name(".wardian/seal"): digest}),
            (SOURCE, {**table, SOURCE: replace(digest, size=91)}),
            (SOURCE, {**table, SOURCE: replace(digest, algorithm="blake3")}),
            (STORAGE, {**table, STORAGE: replace(table[STORAGE], algorithm="sha256")}),
        ]
        for record, digests in wrong:
            with pytest.raises(CorruptCaseError) as caught:
                reader.expect(digests)
            assert caught.value.record == record


def test_errors_survive_pickling(path: Path) -> None:
    data = path.read_bytes()
    with pytest.raises(CorruptCaseError) as caught:
        ArchiveReader.open(data[:-1])
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert (again.path, again.record) == (None, None)


# Closing


@pytest.mark.parametrize(
    "use",
    [
        lambda reader: reader.read(SOURCE),
        lambda reader: reader.size(SOURCE),
        lambda reader: reader.location(STORAGE),
        lambda reader: reader.view(STORAGE),
        lambda reader: reader.verify(STORAGE),
        lambda reader: SOURCE in reader,
        lambda reader: reader.expect({}),
        lambda reader: reader.__enter__(),
    ],
)
def test_a_closed_reader_says_so(path: Path, use: Callable[[ArchiveReader], object]) -> None:
    for source in (path, path.read_bytes()):
        reader = ArchiveReader.open(source)
        reader.close()
        reader.close()
        with pytest.raises(ClosedCaseError):
            use(reader)


def is_open(path: Path) -> bool:
    return any(
        os.path.realpath(f"/proc/self/fd/{number}") == str(path) for number in os.listdir("/proc/self/fd")
    )


def test_closing_lets_the_file_go(path: Path) -> None:
    with ArchiveReader.open(path):
        assert is_open(path)
    assert not is_open(path)


def test_a_file_that_is_refused_is_let_go(tmp_path: Path, path: Path) -> None:
    (tmp_path / "text").write_text("no case")
    (tmp_path / "cut.case").write_bytes(path.read_bytes()[:-1])
    for refused in ("text", "cut.case"):
        with pytest.raises((NotACaseError, CorruptCaseError)):
            ArchiveReader.open(tmp_path / refused)
        assert not is_open(tmp_path / refused)


def test_a_view_in_use_outlives_its_reader(path: Path) -> None:
    reader = ArchiveReader.open(path)
    view = reader.view(STORAGE)
    reader.close()
    assert bytes(view) == b"\x00\x01\x02\x03" * 3


def test_a_replaced_file_is_read_as_it_was_opened(path: Path) -> None:
    with ArchiveReader.open(path) as reader:
        archives.write(path, [], {})
        assert reader.read(SOURCE).startswith(b"class ResNet")


def test_a_case_of_gigabytes_is_written_with_zip64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The fields are tested with a low threshold; test_zip64_for_real does it with real sizes.
    monkeypatch.setattr("wardian.archive.layout.ZIP64_SIZE", 1000)
    data = archives.write(tmp_path / "a.case", [bytes(999), bytes(1000)], {"a.py": b"x", "b.py": b"y"})
    assert archives.contents(data)["b.py"] == b"y"
    monkeypatch.undo()
    with pytest.raises(CorruptCaseError):
        ArchiveReader.open(data)


@pytest.mark.slow
def test_zip64_for_real(tmp_path: Path) -> None:
    chunk = os.urandom(1 << 20) * 64
    size = 65 * len(chunk)
    with ArchiveWriter(tmp_path / "large.case") as archive:
        archive.add_storage((chunk for _ in range(65)), size)
        archive.add_storage(b"behind", 6)
        archive.add(name("mylib/models.py"), b"class ResNet: ...")
        archive.add(VERSION, b"6\n")
        archive.finish(archives.document)
        archive.publish()
    with ArchiveReader.open(tmp_path / "large.case") as reader:
        reader.expect(archives.table(reader.manifest))
        for record in reader.names:
            reader.verify(record)
        assert reader.location(name(".data/1.storage"))[0] > 1 << 32
    stock = torch._C.PyTorchFileReader(str(tmp_path / "large.case"))
    assert stock.get_record("mylib/models.py") == b"class ResNet: ..."
