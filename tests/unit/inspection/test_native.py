"""Compiled libraries in a file, by their names and by how they begin."""

from __future__ import annotations

from pathlib import Path

from tests.support import write_case
from wardian.inspection.native import find_libraries
from wardian.reading.foreign import read_manifest
from wardian.reading.opening import open_archive


def test_libraries_are_found_by_name_and_by_content(tmp_path: Path) -> None:
    files = {
        "grove/fast.pyd": b"MZ",
        "grove/slow.bin": b"\x7fELF",
        "grove/sound.mp3": b"\x7fEL",
        "grove/notes.txt": b"grove/fast.pyd",
    }
    path = write_case(tmp_path / "grove.case", files, storages=(b"\x7fELF are numbers",))
    with open_archive(path) as archive:
        found = find_libraries(archive, read_manifest(archive), archive.names)
        assert sorted(found) == ["grove/fast.pyd", "grove/slow.bin"]
