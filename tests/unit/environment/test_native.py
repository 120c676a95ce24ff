"""The shared libraries that are mapped into this process."""

from __future__ import annotations

import ctypes
import shutil
import sys
from pathlib import Path

import pytest

from wardian.environment.native import mapped_libraries

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


def test_a_library_is_there_as_soon_as_it_is_loaded(tmp_path: Path) -> None:
    first = next(path for path in sorted(mapped_libraries()) if "/libc" in path)
    place = tmp_path / "a name with spaces.so.1"
    shutil.copy(next(path for path in mapped_libraries() if "libm.so" in path or path == first), place)
    assert str(place) not in mapped_libraries()
    ctypes.CDLL(str(place))
    assert str(place) in mapped_libraries()


def test_only_libraries_are_listed() -> None:
    found = mapped_libraries()
    assert all(path.startswith("/") and ".so" in path for path in found)
    assert sys.executable not in found
