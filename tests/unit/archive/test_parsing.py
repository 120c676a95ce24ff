"""How much of an archive is read to be parsed: no more than its size warrants."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import archives
from tests.archives import name
from wardian.archive import ArchiveReader, FolderReader, ParsingBudget, limits

RECORDS = {"a.py": b"a" * 60, "b.py": b"b" * 40, "c.py": b"c", "empty.py": b""}


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ArchiveReader:
    """A file whose budget is 100 bytes."""
    data = archives.write(tmp_path / "oak.case", [], RECORDS)
    monkeypatch.setattr(limits, "MAX_PARSED_RATIO", 0)
    monkeypatch.setattr(limits, "FREE_PARSED_BYTES", 100)
    return ArchiveReader.open(data)


def test_what_is_over_the_budget_is_not_read(archive: ArchiveReader) -> None:
    budget = ParsingBudget(archive)
    assert [budget.read(name(record)) for record in RECORDS] == [b"a" * 60, b"b" * 40, None, b""]


def test_what_does_not_fit_takes_nothing_from_the_budget(archive: ArchiveReader) -> None:
    budget = ParsingBudget(archive)
    order = ["b.py", "c.py", "a.py", "b.py"]
    assert [budget.read(name(record)) for record in order] == [b"b" * 40, b"c", None, b"b" * 40]


def test_a_record_counts_once(archive: ArchiveReader) -> None:
    budget = ParsingBudget(archive)
    for _ in range(3):
        assert budget.read(name("a.py")) == b"a" * 60
    assert budget.read(name("b.py")) == b"b" * 40


def test_the_budget_grows_with_the_file(archive: ArchiveReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_PARSED_RATIO", 1)
    budget = ParsingBudget(archive)
    assert all(budget.read(name(record)) == content for record, content in RECORDS.items())


def test_a_folder_has_no_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FREE_PARSED_BYTES", 0)
    (tmp_path / ".data").mkdir()
    (tmp_path / ".data/extern_modules").write_bytes(b"torch\n")
    budget = ParsingBudget(FolderReader(tmp_path))
    assert budget.read(name(".data/extern_modules")) == b"torch\n"
    with pytest.raises(KeyError):
        budget.read(name("oak.py"))
