"""A process that has given up all but some paths, in each version of Landlock that will do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import run_python
from wardian.sandbox import landlock

SCRIPT = """
    import json, os, sys
    from pathlib import Path
    from wardian.sandbox import landlock

    folder, version = Path(sys.argv[1]), int(sys.argv[2])
    landlock.version = lambda: version
    landlock.restrict(
        [str(folder / "read"), str(folder / "note.txt"), str(folder / "missing")], [str(folder / "write")]
    )
    tries = {
        "read below a folder": lambda: (folder / "read/a.txt").read_text(),
        "list it": lambda: os.listdir(folder / "read"),
        "read a file": lambda: (folder / "note.txt").read_text(),
        "write and remove": lambda: [(folder / "write/new").write_text("x"), (folder / "write/new").unlink()],
        "read another": lambda: (folder / "secret.txt").read_text(),
        "list another": lambda: os.listdir(folder),
        "write what may be read": lambda: (folder / "read/a.txt").write_text("x"),
        "cut what may be read": lambda: os.truncate(folder / "read/a.txt", 0),
        "make a file": lambda: (folder / "read/b.txt").touch(),
    }
    found = {}
    for name, work in tries.items():
        try:
            work()
            found[name] = "done"
        except PermissionError:
            found[name] = "refused"
    print(json.dumps(found))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "files/write").mkdir(parents=True)
    for name in ("read/a.txt", "note.txt", "secret.txt"):
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text\n")
    return tmp_path / "files"


@pytest.mark.parametrize("version", range(landlock.NEEDED, landlock.version() + 1))
def test_some_paths_are_left_for_reading_and_some_for_writing(
    version: int, folder: Path, tmp_path: Path
) -> None:
    found = json.loads(run_python(SCRIPT, folder, version, folder=tmp_path))
    done = [name for name, outcome in found.items() if outcome == "done"]
    assert done == ["read below a folder", "list it", "read a file", "write and remove"]
    assert (folder / "read/a.txt").read_text() == "text\n"


def test_nothing_may_be_run_though_all_may_be_written(tmp_path: Path) -> None:
    script = """
        import os
        from wardian.sandbox import landlock

        landlock.restrict([], ["/"])
        try:
            os.execv("/bin/true", ["true"])
        except PermissionError:
            print("refused")
    """
    if not landlock.version():
        pytest.skip("this kernel has no Landlock")
    assert run_python(script, folder=tmp_path) == "refused\n"
