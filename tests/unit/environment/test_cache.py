"""The cache folder: what lies there is checked, of one user, locked while it is used, and within bounds."""

from __future__ import annotations

import os
import platform
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

import wardian
from tests.support import start_python, write_case
from wardian.domain.manifest import Library
from wardian.environment.cache import (
    CACHE_VARIABLE,
    DAYS_VARIABLE,
    MAKING,
    SIZE_VARIABLE,
    Bounds,
    cache_folder,
    clear,
    find_cache_folder,
    keep_within_bounds,
    make_private,
)

PINE = """
--- pine/__init__.py
import os
HERE = os.path.dirname(__file__)
def labels():
    with open(os.path.join(HERE, "data", "labels.txt")) as file:
        return file.read()
--- pine/data/labels.txt
cone needle
"""


@pytest.fixture
def pine(tmp_path: Path) -> Path:
    return write_case(tmp_path / "pine.case", PINE)


def labels_of(case: Path) -> tuple[str, Path]:
    """Return what packed code reads, and where the files of the case are."""
    with wardian.open(case) as opened:
        module = opened.import_module("pine")
        return module.labels(), Path(module.HERE).parent


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)


def _link(path: Path) -> None:
    moved = path.parents[3] / "moved"
    os.rename(path, moved)
    path.symlink_to(moved)


def _become_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "x").touch()


def _become_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGE: list[tuple[str, Callable[[Path], object]]] = [
    ("pine/data/labels.txt", _flip),
    ("pine/data/labels.txt", Path.unlink),
    ("pine/data/labels.txt", lambda path: path.write_text("cone")),
    ("pine/data/labels.txt", _link),
    ("pine/data/labels.txt", _become_folder),
    ("pine/data/labels.txt", _become_pipe),
    ("pine/data", shutil.rmtree),
    ("pine/data", _link),
    ("pine", shutil.rmtree),
    ("pine", _link),
    ("pine/__init__.py", Path.unlink),
]


@pytest.mark.parametrize(("place", "damage"), DAMAGE)
def test_what_is_damaged_is_made_anew(
    place: str, damage: Callable[[Path], object], pine: Path, cache: Path
) -> None:
    sound, folder = labels_of(pine)
    assert sound == "cone needle\n"
    damage(folder / place)
    assert labels_of(pine) == (sound, folder)
    for path in (folder / "pine", folder / "pine" / "data", folder / "pine" / "data" / "labels.txt"):
        assert not path.is_symlink()
    assert "def labels" in (folder / "pine" / "__init__.py").read_text()


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o277])
def test_everything_is_the_users_alone(umask: int, pine: Path, cache: Path) -> None:
    before = os.umask(umask)
    try:
        labels_of(pine)
    finally:
        os.umask(before)
    for place, folders, files in os.walk(cache.parent / "cache"):
        for name in (".", *folders):
            assert os.stat(os.path.join(place, name)).st_mode & 0o777 == 0o700, (place, name)
        for name in files:
            assert not os.stat(os.path.join(place, name)).st_mode & 0o077, (place, name)


@pytest.mark.parametrize("level", [".", "cases", "libraries", "open", "verified"])
def test_a_folder_that_others_can_write_is_not_used(level: str, pine: Path, cache: Path) -> None:
    (cache / level).mkdir(parents=True, exist_ok=True)
    (cache / level).chmod(0o770)
    with pytest.warns(wardian.WardianWarning, match="other users can write to it"):
        assert cache_folder() is None
    labels, folder = labels_of(pine)  # told once
    assert (labels, folder.is_relative_to(cache)) == ("cone needle\n", False)


@pytest.mark.parametrize(
    ("place", "reason"),
    [("file", "file is no folder"), ("file/below", "Not a directory"), ("", "another user")],
)
def test_why_a_folder_cannot_be_used_is_told(
    place: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / place))
    if not place:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(OSError, match=reason):
        find_cache_folder()


def test_a_link_in_the_place_of_a_level_is_not_followed(pine: Path, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    cache.mkdir()
    (cache / "cases").symlink_to(tmp_path / "theirs")
    assert labels_of(pine)[0] == "cone needle\n"
    assert list((tmp_path / "theirs").iterdir()) == []


def test_without_a_home_a_case_can_be_opened(
    pine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    for name in (CACHE_VARIABLE, "HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.chdir(tmp_path)
    assert cache_folder() is None
    with pytest.raises(OSError, match="no home folder"):
        find_cache_folder()
    assert labels_of(pine)[0] == "cone needle\n"
    assert [path.name for path in tmp_path.iterdir()] == ["pine.case"]


def test_what_is_in_use_stays(pine: Path, cache: Path, tmp_path: Path) -> None:
    script = """
        import signal, sys, wardian
        case = wardian.open(sys.argv[1])
        case.import_module("pine")
        print("open", flush=True)
        signal.pause()
    """
    with start_python(script, pine, folder=tmp_path) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        labels, folder = labels_of(pine)
        (folder / f"{MAKING}half").mkdir()
        labels_of(pine)
        assert (folder / f"{MAKING}half").exists()  # the other may be making it
        assert wardian.clear_cache() == 0
        assert labels_of(pine) == (labels, folder)
        other.kill()
        other.communicate()
    labels_of(pine)
    assert not (folder / f"{MAKING}half").exists()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert wardian.clear_cache() == size
    assert not folder.exists()


def test_what_was_not_used_for_long_goes_first(tmp_path: Path, cache: Path) -> None:
    folders = []
    for number, days in enumerate((100, 50, 1)):
        case = write_case(tmp_path / "pine.case", PINE.replace("cone", f"cone{number}"))
        folders.append(labels_of(case)[1])
        used = time.time() - days * 86_400
        os.utime(folders[-1], (used, used))

    def left() -> list[bool]:
        return [folder.exists() for folder in folders]

    assert wardian.clear_cache(max_days=101) == 0
    keep_within_bounds(cache)
    assert left() == [True, True, True]  # it was looked through on this day already
    (cache / "cleared").unlink()
    keep_within_bounds(cache)
    assert left() == [False, True, True]
    one = sum(path.stat().st_size for path in folders[1].rglob("*") if path.is_file())
    assert wardian.clear_cache(max_bytes=one) == one
    assert left() == [False, False, True]
    (cache / "verified").mkdir(exist_ok=True, mode=0o700)
    (cache / "verified" / "0f").touch()
    assert wardian.clear_cache() == one
    assert sorted(path.name for path in (cache / "verified").iterdir()) == []


def _with_library(target: Path, record: str, build: bytes) -> Path:
    target.parent.mkdir(exist_ok=True)
    library = Library(
        record=record,
        operators=(),
        torch=version("torch"),
        system=platform.system(),
        machine=platform.machine(),
    )
    top = record.partition("/")[0]
    source = "import os\nPLACE = os.path.join(os.path.dirname(__file__), '_C.so')"
    return write_case(target, {f"{top}/__init__.py": source, record: build}, libraries=(library,))


def library_of(case: Path) -> Path:
    with wardian.open(case) as opened:
        (top,) = opened.mount.contents.top_levels
        return Path(opened.import_module(top).PLACE).resolve()


def test_a_library_is_checked_before_code_can_load_it(tmp_path: Path, cache: Path) -> None:
    first = _with_library(tmp_path / "fir.case", "fir/_C.so", b"sound")
    place = library_of(first)
    assert place.is_relative_to(cache / "libraries")
    for damage in (_flip, Path.unlink, _become_folder):
        damage(place)
        assert library_of(first) == place
        assert place.read_bytes() == b"sound"


def test_one_build_is_one_file_whatever_it_is_called(tmp_path: Path, cache: Path) -> None:
    places = [
        library_of(_with_library(tmp_path / f"{top}.case", f"{top}/_C.so", b"shared"))
        for top in ("larch", "yew")
    ]
    assert [place.parent.name for place in places] == ["larch", "yew"]
    assert places[0].samefile(places[1])


def test_a_case_that_was_looked_at_does_not_decide_about_the_library_of_another(
    tmp_path: Path, cache: Path
) -> None:
    looked_at = _with_library(tmp_path / "one" / "elm.case", "elm/_C.so", b"theirs")
    with wardian.open(looked_at) as opened:
        opened.mount.files.path_of("elm/_C.so")
        trusted = _with_library(tmp_path / "two" / "elm.case", "elm/_C.so", b"ours")
        assert library_of(trusted).read_bytes() == b"ours"


def test_settings_of_the_environment_count_at_once(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [
        labels_of(write_case(tmp_path / "pine.case", PINE.replace("cone", f"cone{number}")))[1]
        for number in range(3)
    ]
    for folder, days in zip(folders, (40, 20, 1), strict=True):
        used = time.time() - days * 86_400
        os.utime(folder, (used, used))
    keep_within_bounds(cache)
    assert all(folder.exists() for folder in folders)
    monkeypatch.setenv(DAYS_VARIABLE, "30")
    keep_within_bounds(cache)
    assert [folder.exists() for folder in folders] == [False, True, True]
    monkeypatch.setenv(
        SIZE_VARIABLE, str(sum(p.stat().st_size for p in folders[2].rglob("*") if p.is_file()))
    )
    keep_within_bounds(cache)
    assert [folder.exists() for folder in folders] == [False, False, True]


@pytest.mark.parametrize(
    ("days", "size", "bounds", "words"),
    [
        ("", "", Bounds(), "at most 16 GiB, nothing that was not used for 90 days"),
        ("0.5", "500 MB", Bounds(0.5, 5e8), "at most 476.8 MiB, nothing that was not used for 0.5 days"),
        ("7", "2GiB", Bounds(7, 1 << 31), "at most 2 GiB, nothing that was not used for 7 days"),
        ("inf", "1tb", Bounds(float("inf"), 1e12), "at most 931.3 GiB"),
        ("1", "inf", Bounds(1, float("inf")), "any size, nothing that was not used for 1 days"),
        ("1", "10", Bounds(1, 10), "at most 10 B, nothing that was not used for 1 days"),
    ],
)
def test_settings(days: str, size: str, bounds: Bounds, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DAYS_VARIABLE, days)
    monkeypatch.setenv(SIZE_VARIABLE, size)
    assert Bounds.current() == bounds
    assert str(bounds) == words


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        (DAYS_VARIABLE, "a week"),
        (DAYS_VARIABLE, "-1"),
        (DAYS_VARIABLE, "nan"),
        (SIZE_VARIABLE, "much"),
        (SIZE_VARIABLE, "2 gigs"),
        (SIZE_VARIABLE, "GB"),
    ],
)
def test_a_setting_that_is_none_is_told_once(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.warns(wardian.WardianWarning, match=f"{variable} is '{value}' and must be a"):
        assert Bounds.current() == Bounds()
    assert Bounds.current() == Bounds(), "a second warning would be an error"


@pytest.mark.skipif(sys.platform == "win32", reason="nobody asks there whether a process has ended")
def test_notes_about_open_cases_go_with_everything_once_their_process_has_ended(cache: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], stdout=subprocess.PIPE, check=True
    )
    make_private(cache / "open")
    for process in (int(ended.stdout), os.getpid()):
        (cache / "open" / f"{process}.oak_0123abcd.json").write_text("{}")
    clear(cache, max_days=30)
    assert len(list((cache / "open").iterdir())) == 2
    clear(cache)
    assert [path.name for path in (cache / "open").iterdir()] == [f"{os.getpid()}.oak_0123abcd.json"]
