"""The shared libraries that are mapped into this process, and those that code compiles."""

from __future__ import annotations

import ctypes
import shutil
import sys
from pathlib import Path

import pytest

from wardian.environment.native import is_compiled_in_run, mapped_libraries

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


@on_linux
def test_a_library_is_there_as_soon_as_it_is_loaded(tmp_path: Path) -> None:
    first = next(path for path in sorted(mapped_libraries()) if "/libc" in path)
    place = tmp_path / "a name with spaces.so.1"
    shutil.copy(next(path for path in mapped_libraries() if "libm.so" in path or path == first), place)
    assert str(place) not in mapped_libraries()
    ctypes.CDLL(str(place))
    assert str(place) in mapped_libraries()


@on_linux
def test_only_libraries_are_listed() -> None:
    found = mapped_libraries()
    assert all(path.startswith("/") and ".so" in path for path in found)
    assert sys.executable not in found


@pytest.mark.parametrize(
    ("build", "told"),
    [
        ("cxx = c++\n\ncflags = -DTORCH_EXTENSION_NAME=saw -fPIC\n", True),
        ("rule cc\n  command = cc $in\n", False),
        (None, False),
    ],
)
def test_a_library_that_torch_compiles_lies_beside_what_ninja_reads(
    build: str | None, told: bool, tmp_path: Path
) -> None:
    if build is not None:
        (tmp_path / "build.ninja").write_text(build)
    assert is_compiled_in_run(str(tmp_path / "saw.so")) is told
