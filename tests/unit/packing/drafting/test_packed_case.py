"""What of an open case is packed again: modules, files, metadata, licences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import wardian
from tests.support import MANIFEST, files_of, write_case
from wardian.domain.manifest import PackedDistribution
from wardian.domain.modules import ModuleKind
from wardian.domain.packed_origin import PackedOrigin
from wardian.packing.drafting.packed_case import packed_origin

SOURCES = """
--- elm/__init__.py
--- elm/deep/bark.py
--- elm/rings.json
{}
--- mill.py
--- data/labels.txt
oak
--- .wardian/metadata/elm/METADATA
Name: elm
--- .wardian/metadata/elm/left_out
elm.yew
--- .wardian/metadata/barklib/METADATA
Name: barklib
Version: 2.1
--- .wardian/imports
elm mill 1 unconditional
elm.deep.bark elm 0 observed
"""


def _packed(name: str, version: str | None, *roots: str) -> PackedDistribution:
    return PackedDistribution(name=name, version=version, roots=roots)


OWNERS = (_packed("first-party", None, "mill", "elm"), _packed("Elm", "1.5", "elm"))


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[PackedOrigin]:
    with _opened(tmp_path, distributions=OWNERS, materialised=("data",), absent=("jax",)) as case:
        yield packed_origin(case.mount)


def _opened(folder: Path, **facts: Any) -> wardian.Case:
    return wardian.open(write_case(folder / "elm.case", SOURCES, **facts))


def test_modules_have_files_on_disk_and_the_packages_above_them(origin: PackedOrigin) -> None:
    found = {
        name: (facts.kind, facts.is_package, facts.distribution) for name, facts in origin.modules.items()
    }
    source, namespace = ModuleKind.SOURCE, ModuleKind.NAMESPACE
    assert found == {
        "elm": (source, True, "elm"),
        "elm.deep": (namespace, True, "elm"),
        "elm.deep.bark": (source, False, "elm"),
        "mill": (source, False, None),
    }
    files = files_of(SOURCES)
    for name, facts in origin.modules.items():
        assert facts.file is not None
        if facts.kind is source:
            record = name.replace(".", "/") + ("/__init__.py" if facts.is_package else ".py")
            assert Path(facts.file).read_text() == files[record]
    assert origin.original(f"{origin.module_prefix}elm.deep") == "elm.deep"


def test_a_name_that_is_shared_counts_as_the_distribution_s(origin: PackedOrigin) -> None:
    assert origin.roots == {"elm", "mill"}
    assert origin.versions == {"elm": "1.5"}
    assert origin.sharing == (("elm", ("elm", None)),)
    assert [(record, size) for record, _, size in origin.files["elm"]] == [
        ("elm/__init__.py", 1),
        ("elm/deep/bark.py", 1),
        ("elm/rings.json", 3),
    ]


def test_metadata_and_what_was_only_asked_for_come_along(origin: PackedOrigin) -> None:
    assert origin.metadata == {"elm": {"METADATA": b"Name: elm\n", "left_out": b"elm.yew\n"}}
    assert origin.asked == ("barklib==2.1",)


def test_the_rest_is_as_the_manifest_has_it(origin: PackedOrigin) -> None:
    assert (origin.absent, origin.materialised) == (("jax",), ("data",))
    assert origin.imports == {
        "elm": "elm mill 1 unconditional",
        "elm.deep.bark": "elm.deep.bark elm 0 observed",
    }
    ((record, path),) = origin.beside
    assert record == "data/labels.txt"
    assert Path(path).read_text() == "oak\n"


def test_soft_externs_that_are_not_here_are_told(tmp_path: Path) -> None:
    gone = replace(MANIFEST.externs[0], distribution="nowhere", modules=("nowhere",), soft=True)
    with _opened(tmp_path, distributions=OWNERS, externs=(*MANIFEST.externs, gone)) as case:
        assert packed_origin(case.mount).lacking == (("nowhere", "1.0", ("nowhere",), ()),)
