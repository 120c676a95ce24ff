"""A lock file is one by the rules of PEP 751, and has what the case needs."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import pytest
from packaging.pylock import Pylock

from wardian.reading.lock import lock


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "downloads \N{SNOWMAN}"
    folder.mkdir()
    for name in (
        "unobtainium-3.4-py3-none-any.whl",
        "unobtainium-3.4.tar.gz",
        "unobtainium-4.0-py3-none-any.whl",
        "Filelock_2-1.0+cpu-py3-none-any.whl",
        "notes.txt",
    ):
        (folder / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    return folder


def test_the_newest_release_that_fits_is_locked_with_its_hashes(downloads: Path) -> None:
    text, missing = lock(["unobtainium>=3.1,<4", "filelock-2==1.0"], downloads)
    assert missing == ()
    locked = Pylock.from_dict(tomllib.loads(text))
    packages = {str(package.name): package for package in locked.packages}
    assert list(packages) == ["filelock-2", "unobtainium"]
    package = packages["unobtainium"]
    assert str(package.version) == "3.4"
    assert package.sdist is not None
    assert package.wheels is not None
    (wheel,) = package.wheels
    assert wheel.path == "downloads \N{SNOWMAN}/unobtainium-3.4-py3-none-any.whl"
    content = (downloads / "unobtainium-3.4-py3-none-any.whl").read_bytes()
    assert wheel.hashes == {"sha256": hashlib.sha256(content).hexdigest()}


def test_what_the_folder_lacks_is_told(downloads: Path) -> None:
    assert lock(["unobtainium==3.1", "numpy"], downloads)[1] == ("unobtainium==3.1", "numpy")
