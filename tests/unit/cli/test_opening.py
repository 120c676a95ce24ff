"""Where a name that a user gives becomes an open file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers import serving
from tests.support import write_case
from wardian.cli.opening import name_of, opened


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("a b.case", "a b.case"),
        ("C:/models/oak.case", "C:/models/oak.case"),
        ("https://me:word@models.example/oak.case?X-Sig=abc", "https://models.example/oak.case"),
    ],
)
def test_what_is_shown_of_a_name_has_no_secret(source: str, name: str) -> None:
    assert name_of(source) == name


def test_a_file_is_open_as_long_as_it_is_used(tmp_path: Path) -> None:
    path = write_case(tmp_path / "oak.case", {"oak.py": ""})
    with opened(str(path)) as (archive, manifest):
        assert "oak.py" in archive
        assert manifest.roots == {"oak"}
    with pytest.raises(ValueError, match="closed"):
        archive.read(archive.names[0])


def test_anew_takes_no_copy_that_is_here(tmp_path: Path, cache: Path) -> None:
    content = write_case(tmp_path / "oak.case").read_bytes()
    with serving(files={"oak.case": content}) as server:
        url = server.url("oak.case")
        for anew, is_asked in ((False, True), (False, False), (True, True)):
            server.forget()
            with opened(url, anew=anew) as (archive, _):
                archive.fetch(archive.names)
            assert (server.sent > 0) is is_asked
