"""Which kind of archive some bytes are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import archives
from wardian.archive.central_directory import DamageError
from wardian.archive.structure import OtherKindError, read_structure


def test_a_case_is_known_by_its_end(tmp_path: Path) -> None:
    kind, records = read_structure(archives.small(tmp_path / "oak.case"))
    assert kind == "case"
    assert list(records)[-2:] == [".wardian/manifest.json", ".wardian/seal"]


@pytest.mark.parametrize(
    ("names", "renamed"),
    [
        (
            ["oak/.data/0.storage", "oak/.data/extern_modules", "oak/oak.py"],
            [".data/0.storage", ".data/extern_modules", "oak.py"],
        ),
        (  # as torch 1.8 named them
            ["oak/data/0", "oak/extern_modules", "oak/version", "oak/data/x.py"],
            [".data/0.storage", ".data/extern_modules", ".data/version", "data/x.py"],
        ),
    ],
)
def test_an_archive_of_torch_package_is_known_by_its_externs(names: list[str], renamed: list[str]) -> None:
    data = archives.forge([archives.Forged(name.encode()) for name in names], sealed=False)
    kind, records = read_structure(data)
    assert kind == "torch.package"
    assert list(records) == renamed


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7", archives.forge([archives.Forged(b"a/b")], sealed=False)])
def test_anything_else_is_named(data: bytes) -> None:
    with pytest.raises(OtherKindError, match=r"[a-z]"):
        read_structure(data)


def test_damage_to_ours_is_no_other_kind(tmp_path: Path) -> None:
    data = archives.small(tmp_path / "oak.case")
    for damaged, reason in (
        (data[:-100], "its end is missing"),
        (data + archives.forge([archives.Forged(b"a/b")], sealed=False), "another archive was appended"),
        (b"PK\xff\xff" + data[4:], "local copy of which not all is here"),
    ):
        with pytest.raises(DamageError, match=reason):
            read_structure(damaged)
