"""How errors name the archive that they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from wardian.archive.refusals import Refusals

FILE = Path("/srv/oak.case").absolute()
URL = "https://trees.org/oak.case"


@pytest.mark.parametrize(
    ("refusals", "called", "path"),
    [
        (Refusals(None), "the case", None),
        (Refusals(FILE), f"'{FILE}'", str(FILE)),
        (Refusals(FILE, URL), URL, URL),
    ],
)
def test_errors_begin_with_the_archive_and_have_its_path(
    refusals: Refusals, called: str, path: str | None
) -> None:
    for error in (refusals.corrupt("it ends", "oak.py"), refusals.other_kind("empty"), refusals.closed()):
        assert str(error).startswith(f"{called} ")
        assert error.path == path


def test_damage_is_told_with_its_record() -> None:
    of_record, of_all = Refusals(None).corrupt("it ends", "oak.py"), Refusals(None).corrupt("it ends")
    assert str(of_record) == (
        "the case is damaged or was altered: record 'oak.py': it ends. Get or pack it again."
    )
    assert of_record.record == "oak.py"
    assert str(of_all) == "the case is damaged or was altered: it ends. Get or pack it again."
    assert of_all.record is None
