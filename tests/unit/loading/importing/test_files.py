"""Files of a case on disk: made when code looks, whole or not at all, never outside of their folder."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import pytest

import wardian
from tests.support import finish, start_python, write_case
from wardian.domain.manifest import PackedDistribution
from wardian.environment.cache import CACHE_VARIABLE, cache_folder
from wardian.loading.importing.files import CaseFiles

IVY = """
--- ivy/__init__.py
import os
def here():
    return sorted(os.listdir(os.path.dirname(__file__)))
--- ivy/leaf/shape.txt
lobed
--- holly/__init__.py
RED = 1
--- holly/berry.txt
red
--- alone.py
PLACE = __file__
"""


@pytest.fixture
def ivy(tmp_path: Path) -> Path:
    return write_case(tmp_path / "ivy.case", IVY)


def test_only_what_looks_at_files_has_files(ivy: Path, cache: Path) -> None:
    with wardian.open(ivy) as case:
        case.import_module("holly")
        folder = cache / "cases" / case.digest
        assert not folder.exists()
        assert case.import_module("ivy").here() == ["__init__.py", "leaf"]
        assert (folder / "ivy" / "leaf" / "shape.txt").read_text() == "lobed\n"
        assert not (folder / "holly").exists()
        assert Path(case.import_module("alone").PLACE).read_text() == "PLACE = __file__\n"
        assert sorted(path.name for path in folder.iterdir()) == ["alone.py", "ivy"]


def test_data_beside_a_package_is_made_with_it(tmp_path: Path, cache: Path) -> None:
    tree = f"{IVY}--- climate/rain.txt\nmuch\n--- notes.md\nshade\n--- more/unread.txt\n"
    own = PackedDistribution(name="first-party", version=None, roots=("alone", "holly", "ivy"))
    target = write_case(
        tmp_path / "ivy.case", tree, distributions=(own,), materialised=("climate", "ivy", "notes.md")
    )
    with wardian.open(target) as case:
        case.import_module("ivy")
        folder = cache / "cases" / case.digest
        assert sorted(path.name for path in folder.iterdir()) == ["climate", "ivy", "notes.md"]
        assert (folder / "climate" / "rain.txt").read_text() == "much\n"


def test_the_files_are_made_once_and_found_again(ivy: Path, cache: Path) -> None:
    with wardian.open(ivy) as case:
        case.import_module("ivy").here()
        shape = cache / "cases" / case.digest / "ivy" / "leaf" / "shape.txt"
        made = shape.stat()
    with wardian.open(ivy) as case:
        case.import_module("ivy").here()
    assert (shape.stat().st_ino, shape.stat().st_mtime_ns) == (made.st_ino, made.st_mtime_ns)


def test_a_case_takes_over_the_files_of_another_one_but_for_what_is_no_record_of_its_own(
    ivy: Path, cache: Path, tmp_path: Path
) -> None:
    with wardian.open(ivy) as case:
        case.import_module("ivy").here()
        _ = case.import_module("alone").PLACE
        digest = case.digest
    old = cache / "cases" / digest
    before = {path.relative_to(old): path.stat().st_ino for path in old.rglob("*") if path.is_file()}
    (old / "ivy" / "state.bin").write_text("made by its code")
    (old / "ivy" / "__pycache__").mkdir()
    (old / "ivy" / "__pycache__" / "x.pyc").write_text("")
    (old / "made" / "deep").mkdir(parents=True)
    (old / "ivy" / "link").symlink_to(tmp_path)
    (old / "alone.py").write_text("PLACE = 2")
    later = write_case(tmp_path / "later.case", IVY, pickle=b"\x80\x04K\x01.")
    with wardian.open(later) as case:
        assert isinstance(case.mount.files, CaseFiles)
        case.mount.files.adopt(digest)
        assert not old.exists()
        new = cache / "cases" / case.digest
        kept = {path.relative_to(new): path.stat().st_ino for path in new.rglob("*") if not path.is_dir()}
        assert kept == {path: inode for path, inode in before.items() if path.name != "alone.py"}
        assert sorted(path.name for path in new.iterdir()) == ["ivy"]
        assert case.import_module("ivy").here() == ["__init__.py", "leaf"]
        assert Path(case.import_module("alone").PLACE).read_text() == "PLACE = __file__\n"


def test_there_may_be_nothing_to_take_over(ivy: Path, cache: Path) -> None:
    with wardian.open(ivy) as case:
        assert isinstance(case.mount.files, CaseFiles)
        case.mount.files.adopt("0" * 64)
        assert not (cache / "cases").exists()
        assert case.import_module("ivy").here() == ["__init__.py", "leaf"]


def test_a_file_on_disk_does_not_change_what_runs(ivy: Path, cache: Path) -> None:
    with wardian.open(ivy) as case:
        assert Path(case.import_module("alone").PLACE).exists()
        path = cache / "cases" / case.digest / "alone.py"
    path.write_text("PLACE = 'somebody changed it'")
    with wardian.open(ivy) as case:
        assert str(path) == case.import_module("alone").PLACE


def test_without_a_cache_folder_the_files_live_as_long_as_the_case(
    ivy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").write_text("no folder can be made below a file")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "a file" / "cache"))
    assert cache_folder() is None
    with wardian.open(ivy) as case:
        place = Path(case.import_module("alone").PLACE)
        assert place.exists()
    assert not place.exists()


def test_where_nothing_can_be_written_only_code_that_looks_at_files_fails(
    ivy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").write_text("no folder can be made below a file")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "a file" / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "a file"))
    with wardian.open(ivy) as case:
        assert case.import_module("holly").RED == 1
        with pytest.raises(OSError, match=f"alone.py among them, .* let {CACHE_VARIABLE} name one"):
            case.import_module("alone")


@pytest.mark.parametrize("name", ["../x.py", "/x.py", "ivy/../../x.py", "ivy//x.py", "C:/x.py", "ivy\\x.py"])
def test_no_record_leaves_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="record name"):
        write_case(tmp_path / "evil.case", {name: "x = 1"})


def test_a_link_in_the_way_is_not_followed(ivy: Path, cache: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    with wardian.open(ivy) as case:
        folder = cache / "cases" / case.digest
        folder.mkdir(parents=True)
        (folder / "ivy").symlink_to(outside)
        case.import_module("ivy")
    assert list(outside.iterdir()) == []


def test_threads_that_look_at_once_see_all_of_it(ivy: Path, cache: Path) -> None:
    start = threading.Barrier(8)
    seen: list[str] = []

    with wardian.open(ivy) as case:

        def look() -> None:
            start.wait()
            case.mount.files.materialise("ivy")
            seen.append((Path(case.mount.files.path_of("ivy")) / "leaf" / "shape.txt").read_text())

        threads = [threading.Thread(target=look) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seen == ["lobed\n"] * 8


def test_eight_processes_at_once(ivy: Path, tmp_path: Path) -> None:
    script = """
        import sys, wardian
        sys.stdin.close()
        with wardian.open(sys.argv[1]) as case:
            print(case.import_module("ivy").here())
    """
    running = [start_python(script, ivy, folder=tmp_path) for _ in range(8)]
    assert {finish(process) for process in running} == {"['__init__.py', 'leaf']\n"}
    assert not [name for _, names, _ in os.walk(tmp_path / "cache") for name in names if "making" in name]
