from __future__ import annotations

import contextlib
import io
import tempfile
import zipfile
import zlib
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests import archives
from tests.archives import Forged
from wardian.archive import ArchiveReader, layout
from wardian.archive import central_directory as directory
from wardian.domain.names import record_name
from wardian.domain.record_names import MANIFEST, SEAL, is_storage
from wardian.errors import CaseError


def is_record_name(text: str) -> bool:
    try:
        record_name(text)
    except ValueError:
        return False
    return True


ANY_NAME = st.text(st.one_of(st.sampled_from("a./:\\\n\x7f\0é "), st.characters()), max_size=12)
SEGMENT = st.text(
    st.characters(exclude_characters="/\\\x7f", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8
)
NAME = st.lists(SEGMENT, min_size=1, max_size=3).map("/".join).filter(is_record_name)
RECORDS = st.dictionaries(
    NAME, st.binary(max_size=300) | st.binary(max_size=4).map(lambda b: b * 200), max_size=6
)
STORAGES = st.lists(st.binary(max_size=200), max_size=4)


def ordinary(records: dict[str, bytes]) -> dict[str, bytes]:
    return {
        record: content
        for record, content in records.items()
        if record not in (MANIFEST, SEAL) and not is_storage(record)
    }


@given(STORAGES, RECORDS)
def test_what_is_written_is_read(storages: list[bytes], records: dict[str, bytes]) -> None:
    records = ordinary(records)
    with tempfile.TemporaryDirectory() as folder:
        data = archives.write(Path(folder, "resnet.case"), storages, records)
    wanted = {f".data/{number}.storage": storage for number, storage in enumerate(storages)} | records
    read = archives.contents(data)
    assert {record: content for record, content in read.items() if record in wanted} == wanted
    assert len(read) == len(wanted) + 2
    with zipfile.ZipFile(io.BytesIO(data)) as stock:
        assert {info.filename: stock.read(info) for info in stock.infolist()} == {
            f"case/{record}": content for record, content in read.items()
        }


@given(STORAGES, RECORDS, st.randoms())
def test_the_same_input_gives_the_same_bytes(
    storages: list[bytes], records: dict[str, bytes], random: Random
) -> None:
    records = ordinary(records)
    shuffled = list(records.items())
    random.shuffle(shuffled)
    with tempfile.TemporaryDirectory() as folder:
        one = archives.write(Path(folder, "one.case"), storages, records)
        two = archives.write(Path(folder, "two.case"), storages, dict(shuffled))
    assert one == two


@given(ANY_NAME)
@example("C:")
@example("C:/a")
@example("a:b")
@example(".")
@example("a/..")
@example("...")
@example("a\n")
@example("a" * 1024)
@example("a" * 1025)
@example("é" * 512)
@example("é" * 513)
@example("é:/a")
@example("ab:")
def test_the_fast_checks_of_names_agree_with_the_definition(text: str) -> None:
    entry_names = [b"case/a.py", b"case/" + text.encode("utf-8", "surrogatepass"), b"case/b.py"]
    if is_record_name(text):
        assert directory._checked_names(entry_names, "case/") == ["a.py", text, "b.py"]
    else:
        with pytest.raises(directory.DamageError) as caught:
            directory._checked_names(entry_names, "case/")
        assert caught.value.record not in ("a.py", "b.py")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return archives.small(tmp_path_factory.mktemp("small") / "resnet.case")


def test_every_flipped_bit_is_detected_or_changes_nothing(small: bytes) -> None:
    wanted = archives.contents(small)
    unnoticed = []
    for position in range(len(small)):
        for bit in range(8):
            changed = bytearray(small)
            changed[position] ^= 1 << bit
            try:
                assert archives.contents(bytes(changed)) == wanted, (position, bit)
            except CaseError:
                continue
            unnoticed.append((position, bit))
    # DEFLATE itself leaves a few bits free: those after the end of the stream, in its last byte.
    with ArchiveReader.open(small) as reader:
        deflated = [r for r in reader._records.values() if r.method == layout.DEFLATED]
    assert {position for position, _ in unnoticed} <= {r.offset + r.packed - 1 for r in deflated}


def test_a_flipped_bit_is_named(small: bytes) -> None:
    with ArchiveReader.open(small) as reader:
        places = {record: (r.offset, r.packed) for record, r in reader._records.items()}
    for record, (offset, packed) in places.items():
        if record == SEAL:
            continue
        changed = bytearray(small)
        changed[offset + packed // 2] ^= 0x10
        with pytest.raises(CaseError, match="damaged or was altered") as caught:
            archives.contents(bytes(changed))
        assert caught.value.record == record  # type: ignore[attr-defined]


def test_every_truncation_is_refused(small: bytes) -> None:
    for length in range(len(small)):
        with pytest.raises(CaseError) as caught:
            ArchiveReader.open(small[:length])
        # From here on it can be seen that it was to be a case.
        assert (type(caught.value).__name__ == "CorruptCaseError") is (length >= 35), length


@given(st.data())
def test_no_bytes_cause_another_error(data: st.DataObject) -> None:
    valid = archives.forge(
        [
            Forged(b"case/.data/0.storage", b"ab" * 9, local_extra=b"FB\1\0\0"),
            Forged(b"case/a.py", b"x" * 99, True),
        ]
    )
    if data.draw(st.booleans()):
        valid = archives.forge(
            [Forged(b"r/.data/extern_modules", b"torch\n"), Forged(b"r/.data/0.storage", b"abc")],
            sealed=False,
        )
    changed = bytearray(valid)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(valid) - 1))
        values = data.draw(
            st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\xff" * 2, b"\x01"]) | st.binary(max_size=9)
        )
        changed[start : start + len(values)] = values
    with contextlib.suppress(CaseError):
        archives.contents(bytes(changed))


@given(st.binary(max_size=200))
def test_no_file_at_all_causes_another_error(data: bytes) -> None:
    for prefix in (b"", b"PK\x03\x04", b"\x80\x04", b"\x08\x07"):
        for suffix in (b"", b"PK\x05\x06" + bytes(18)):
            with pytest.raises(CaseError):
                ArchiveReader.open(prefix + data + suffix)


def test_the_check_sum_of_deflated_bytes_is_of_the_content(small: bytes) -> None:
    with ArchiveReader.open(small) as reader:
        for record in reader.names:
            assert zlib.crc32(reader.read(record)) == reader._records[record].crc


def test_flipped_bits_of_a_large_case_are_named(tmp_path: Path) -> None:
    random = Random(6)
    storages = [random.randbytes(size) for size in (3 << 20, 100, 1 << 20, 70_000)]
    records = {f"mylib/m{number}.py": random.randbytes(500).hex().encode() for number in range(300)}
    path = tmp_path / "resnet.case"
    data = bytearray(archives.write(path, storages, records))
    with ArchiveReader.open(bytes(data)) as reader:
        places = [(r.offset, r.offset + r.packed, record) for record, r in reader._records.items()]
    for number in range(150):
        # Half of them anywhere, which is weights; half in the small records and their headers.
        position = random.randrange(len(data)) if number % 2 else random.randrange(places[4][0], len(data))
        data[position] ^= 1 << number % 8
        record = next((name for start, stop, name in places if start <= position < stop), None)
        with pytest.raises(CaseError) as caught:
            archives.contents(bytes(data))
        if record not in (None, SEAL):
            assert caught.value.record == record  # type: ignore[attr-defined]
        data[position] ^= 1 << number % 8
