"""A mount is found by its name: it is open, it is given, or it is said why not."""

from __future__ import annotations

from pathlib import Path

import pytest

import wardian
from tests.support import write_case
from wardian.loading.open_mounts import release
from wardian.loading.reopening import find_mount

LARCH = "--- larch/__init__.py\nNEEDLES = 3\n"


def name_of(path: Path) -> str:
    with wardian.open(path) as case:
        return case.mount.name.rpartition(".")[2]


def test_what_is_open_is_found_also_by_the_name_that_another_file_gave_it(tmp_path: Path) -> None:
    path = write_case(tmp_path / "larch.case", LARCH)
    copy = tmp_path / "copy.case"
    copy.write_bytes(path.read_bytes())
    other = name_of(copy)
    with wardian.open(path) as case:
        assert find_mount(case.mount.name.rpartition(".")[2]) is case.mount
        assert find_mount(other) is case.mount


def test_what_was_closed_is_told_with_the_line_that_opens_it(tmp_path: Path) -> None:
    name = name_of(write_case(tmp_path / "larch.case", LARCH))
    with pytest.raises(
        wardian.ModuleNotInCaseError, match=r"closed in this process; load it again: wardian\.load"
    ):
        find_mount(name)


def test_nothing_is_found_by_a_name_that_nobody_gave() -> None:
    assert find_mount("larch_01234567") is None


def test_a_case_that_is_given_is_opened_if_it_is_the_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = write_case(tmp_path / "given.case", LARCH + "# given\n")
    with wardian.open(given) as case:
        digest = case.digest[:8]
    monkeypatch.setenv("WARDIAN_CASES", str(given))
    with pytest.raises(wardian.ModuleNotInCaseError, match="not among those of"):
        find_mount("larch_01234567")
    found = find_mount(f"never_open_here_{digest}")
    assert found is not None
    try:
        assert found.import_module("larch").NEEDLES == 3
    finally:
        release(found)
