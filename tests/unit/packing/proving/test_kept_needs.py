"""Needs of proven cases, kept for the next process."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.packing.proving.test_again import PROVEN
from wardian.domain.manifest import Extern
from wardian.environment.cache import CACHE_VARIABLE
from wardian.packing.proving import kept_needs
from wardian.packing.proving.kept_needs import find_needs, keep_needs


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def extern(distribution: str | None, *, soft: bool = False) -> Extern:
    return Extern(distribution=distribution, version="1", modules=("till",), names=(), soft=soft)


SHOP = replace(PROVEN, externs=(extern("till"), extern("scales", soft=True), extern(None), extern("bell")))


def test_hard_needs_are_found_again_for_the_same_modules(cache: Path) -> None:
    assert find_needs({"shop.counter"}) is None
    keep_needs({"shop.counter", "shop"}, SHOP)
    assert find_needs(["shop", "shop.counter"]) == ["bell", "till"]
    assert find_needs({"shop.counter"}) is None
    keep_needs({"shop.counter", "shop"}, replace(SHOP, externs=()))
    assert find_needs(["shop", "shop.counter"]) == []
    assert [path.stat().st_mode & 0o777 for path in (cache / "facts").iterdir()] == [0o600]


def test_what_is_known_is_not_written_again(cache: Path) -> None:
    keep_needs({"shop"}, SHOP)
    (file,) = (cache / "facts").iterdir()
    before = file.stat().st_ino
    keep_needs({"shop"}, SHOP)
    assert file.stat().st_ino == before


def test_the_last_ones_are_remembered(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_needs, "_MANY", 2)
    for name in ("oak", "ash", "elm"):
        keep_needs({name}, SHOP)
    assert [find_needs({name}) is None for name in ("oak", "ash", "elm")] == [True, False, False]


def test_what_would_be_too_large_to_be_read_is_not_written(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_needs, "_MOST", 300)
    for number in range(20):
        keep_needs({str(number)}, SHOP)
        assert find_needs({str(number)}) == ["bell", "till"]
    monkeypatch.setattr(kept_needs, "_MOST", 30)
    keep_needs({"shop"}, SHOP)
    assert find_needs({"shop"}) is None
    assert (cache / "facts" / "needs-1.json").read_text() == "{}"


def test_what_nobody_here_wrote_is_nothing(cache: Path) -> None:
    keep_needs({"shop"}, SHOP)
    (file,) = (cache / "facts").iterdir()
    (key,) = json.loads(file.read_bytes())
    for nonsense in (b"[1,2", b"[]", b"[" * 100_000, json.dumps({key: "till"}).encode()):
        file.write_bytes(nonsense)
        assert find_needs({"shop"}) is None
    file.write_bytes(json.dumps({key: [1, None]}).encode())
    assert find_needs({"shop"}) == ["1", "None"]
    keep_needs({"shop"}, SHOP)
    assert find_needs({"shop"}) == ["bell", "till"]


def test_a_folder_that_cannot_be_used_is_none(cache: Path) -> None:
    cache.mkdir()
    cache.chmod(0o777)
    keep_needs({"shop"}, SHOP)
    assert find_needs({"shop"}) is None
    assert list(cache.iterdir()) == []
