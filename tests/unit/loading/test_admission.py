"""What is asked before code of a case runs, and how often."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import wardian
from tests.support import MANIFEST, write_case
from wardian.domain.manifest import Extern
from wardian.errors import EnvironmentMismatchError, UntrustedCaseError
from wardian.loading import admission
from wardian.loading.admission import Admission


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_case(tmp_path / "oak.case", "--- oak.py\nrings = 7")


def test_the_environment_is_asked_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(admission, "check_environment", lambda *_, **__: asked.append(1))
    with wardian.open(path) as case:
        guard = Admission(case.mount.archive, case.manifest, None, path, None)
        guard.require(case.mount)
        guard.require(case.mount)
    assert asked == [1]


def test_what_the_environment_lacks_is_asked_again(path: Path) -> None:
    lacking = Extern(distribution="oakum", version="1.0", modules=("oakum",), names=(), soft=False)
    with wardian.open(path) as case:
        guard = Admission(case.mount.archive, replace(MANIFEST, externs=(lacking,)), None, path, None)
        for _ in range(2):
            with pytest.raises(EnvironmentMismatchError, match="oakum"):
                guard.require(case.mount)


def test_a_policy_is_asked_first(path: Path) -> None:
    lacking = Extern(distribution="oakum", version="1.0", modules=("oakum",), names=(), soft=False)
    path.with_name("trust.toml").write_text("[trust]\nmax_size = 1\n")
    trust = wardian.Trust.from_file(path.with_name("trust.toml"))
    with wardian.open(path) as case:
        guard = Admission(case.mount.archive, replace(MANIFEST, externs=(lacking,)), trust, path, None)
        with pytest.raises(UntrustedCaseError):
            guard.require(case.mount)
