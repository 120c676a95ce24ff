"""Operator libraries: which build is loaded, the packed one, another one, or none."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.support import importable
from wardian.domain.digests import RecordDigest
from wardian.domain.manifest import Library
from wardian.loading.importing.libraries import fits, is_missing, link_for

TORCH = importlib.metadata.version("torch")
HERE = Library(
    record="orchardops/_C.so",
    operators=(),
    torch=TORCH,
    system=platform.system(),
    machine=platform.machine(),
)
CONTENT = b"a build"
PACKED = RecordDigest(len(CONTENT), "sha256", hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Path]:
    """Where an installed build would be."""
    package = tmp_path / "orchardops"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('looked at, not imported')")
    with importable(tmp_path):
        yield package / "_C.so"


@pytest.mark.parametrize(
    ("library", "fitting"),
    [
        (HERE, True),
        (replace(HERE, torch=".".join(TORCH.split(".")[:2]) + ".99"), True),
        (replace(HERE, torch="1.4.0"), False),
        (replace(HERE, torch=TORCH.split(".")[0] + ".999"), False),
        (replace(HERE, torch="no version"), False),
        (replace(HERE, system="Plan9"), False),
        (replace(HERE, machine="pdp11"), False),
    ],
)
def test_a_build_is_for_one_platform_and_one_minor_release_of_torch(library: Library, fitting: bool) -> None:
    assert fits(library) is fitting
    assert is_missing(library) is not fitting
    assert link_for(library, PACKED) == (None if fitting else "")


def test_an_installed_build_takes_the_place_of_one_that_does_not_fit(installed: Path) -> None:
    other = replace(HERE, torch="1.4.0")
    assert is_missing(other)
    installed.write_bytes(b"another build")
    assert not is_missing(other)
    assert link_for(other, PACKED) == str(installed)
    assert link_for(HERE, PACKED) is None  # that which is packed


def test_of_two_equal_builds_that_which_others_would_load_is_loaded(installed: Path) -> None:
    installed.write_bytes(CONTENT)
    assert link_for(HERE, PACKED) == str(installed)
    installed.write_bytes(CONTENT[::-1])  # as long, and another
    assert link_for(HERE, PACKED) is None


def test_a_build_that_is_loaded_already_is_not_loaded_again(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = tmp_path / "elsewhere" / "orchardops" / "_C.so"
    loaded.parent.mkdir(parents=True)
    monkeypatch.setattr(torch.ops, "loaded_libraries", {str(loaded), str(tmp_path / "other" / "_C.so")})
    assert link_for(HERE, PACKED) is None  # its file is gone
    loaded.write_bytes(b"")
    installed.write_bytes(CONTENT)
    for library in (HERE, replace(HERE, torch="1.4.0")):
        assert link_for(library, PACKED) == str(loaded)
        assert not is_missing(library)
