"""The table of slow tests."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_each_row_names_a_file_that_is_there() -> None:
    rows = (ROOT / "tests" / "slow.txt").read_text().splitlines()
    assert rows == sorted(set(rows))
    assert [row for row in rows if not (ROOT / row.partition("::")[0]).is_file()] == []
