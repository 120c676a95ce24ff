"""What another user put into a cache, or changed there, is not used."""

from __future__ import annotations

from pathlib import Path

from tests.support import run_python, write_case

YEW = """
import pathlib
def grow():
    return pathlib.Path(__file__).with_name("notes.txt").read_text()
"""
PICKLE = b"\x80\x04\x8c\x03yew\x8c\x04grow\x93."
SCRIPT = "import sys, wardian; print(wardian.load(sys.argv[1])())"


def _grown(folder: Path, cache: Path) -> str:
    case = folder / "yew.case"
    if not case.exists():
        write_case(case, {"yew/__init__.py": YEW, "yew/notes.txt": "good"}, pickle=PICKLE)
    return run_python(SCRIPT, str(case), folder=folder, WARDIAN_CACHE=str(cache)).strip()


def test_a_file_that_was_changed_in_the_cache_is_not_used(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert _grown(tmp_path, cache) == "good"
    found = list(cache.rglob("notes.txt"))
    assert found
    for path in found:
        path.chmod(0o600)
        path.write_text("evil")
    assert _grown(tmp_path, cache) == "good"


def test_a_cache_that_others_can_write_is_not_used(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    assert _grown(tmp_path, cache) == "good"
    assert not list(cache.rglob("notes.txt"))
