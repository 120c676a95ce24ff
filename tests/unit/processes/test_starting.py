"""How clean processes are started: as this interpreter was, with the same modules in its reach."""

from __future__ import annotations

import resource
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from wardian.processes import starting
from wardian.processes.starting import (
    BOOT,
    MARKER_VARIABLE,
    OPEN_CASES_VARIABLE,
    command,
    environment,
    inherited,
    interpreter_arguments,
    read_at_use,
    search_path,
)

PLAIN = dict.fromkeys((*starting._SWITCHES, *starting._ENVIRONMENT_SWITCHES, "isolated"), 0)
OWN = str(Path(starting.__file__).parents[2])


def started_with(
    monkeypatch: pytest.MonkeyPatch, *, warnings: list[str], options: dict[str, object], **flags: int
) -> None:
    monkeypatch.setattr(sys, "flags", SimpleNamespace(**{**PLAIN, **flags}))
    monkeypatch.setattr(sys, "warnoptions", warnings)
    monkeypatch.setattr(sys, "_xoptions", options)


def test_a_command_says_the_role_and_where_to_import_from(monkeypatch: pytest.MonkeyPatch) -> None:
    started_with(monkeypatch, warnings=[], options={})
    assert command("work", "1:/q", ["/a", "/b"]) == [
        *(sys.executable, "-c", BOOT, "work", "1:/q", "/a", "/b")
    ]
    apart = command("serve", "1:5", [], apart=True)
    assert apart[2].endswith(BOOT)
    assert apart[2] != BOOT


@pytest.mark.parametrize(
    ("flags", "switches"),
    [
        ({}, []),
        ({"optimize": 2, "bytes_warning": 1}, ["-b", "-OO"]),
        ({"ignore_environment": 1, "no_user_site": 1, "safe_path": 1}, ["-E", "-s", "-P"]),
        ({"isolated": 1, "ignore_environment": 1, "no_user_site": 1, "safe_path": 1}, ["-I"]),
        ({"verbose": 2, "dont_write_bytecode": 1}, ["-B", "-vv"]),
    ],
)
def test_flags_are_given_on_as_often_as_they_were_given(
    flags: dict[str, int], switches: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started_with(
        monkeypatch, warnings=["error", "ignore::x"], options={"utf8": True, "importtime": "2"}, **flags
    )
    assert interpreter_arguments() == [*switches, "-Werror", "-Wignore::x", "-Xutf8", "-Ximporttime=2"]


# What it imports from


def test_no_entry_depends_on_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib").mkdir()
    monkeypatch.chdir(tmp_path)
    hook = "__editable__.mylib-1.0.finder.__path_hook__"
    monkeypatch.setattr(sys, "path", ["", "lib", "gone", hook, "nul\0", OWN])
    assert search_path() == [str(tmp_path), str(tmp_path / "lib"), "gone", hook, OWN]


def test_this_library_can_be_imported_wherever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/usr"])
    assert search_path() == ["/usr", OWN]


def test_an_archive_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "grove.zip", "w") as archive:
        archive.writestr("oak.py", "AGE = 1\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "grove.zip")])
    assert (Path(search_path()[0]) / "oak.py").read_text() == "AGE = 1\n"


# What it has from this process


def test_variables_are_those_of_this_process_but_for_its_open_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv(OPEN_CASES_VARIABLE, "oak=/oak.case")
    found = environment()
    assert (found["OMP_NUM_THREADS"], found[MARKER_VARIABLE]) == ("3", "1")
    assert OPEN_CASES_VARIABLE not in found


def test_a_variable_is_either_read_at_use_or_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    before = inherited()
    assert inherited() == before
    monkeypatch.setenv("WARDIAN_CACHE", "/elsewhere")
    monkeypatch.delenv("COLUMNS", raising=False)
    assert inherited() == before
    assert (read_at_use()["WARDIAN_CACHE"], read_at_use()["COLUMNS"]) == ("/elsewhere", None)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert inherited() != before
    assert "OMP_NUM_THREADS" not in read_at_use()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has templates")
def test_limits_are_inherited() -> None:
    before = inherited()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
    try:
        assert inherited() != before
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert inherited() == before
