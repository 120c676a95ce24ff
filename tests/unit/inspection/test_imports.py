"""Where a module is, and which imports lead to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import write_case
from wardian.archive import ArchiveReader
from wardian.domain.manifest import Extern, PackedDistribution
from wardian.inspection.imports import Reason, explain, packed_modules
from wardian.reading.foreign import read_manifest

SOURCES = """
--- elm/__init__.py
--- elm/leaf.py
from elm.twig import bark
--- elm/twig.py
import numpy.linalg
bark = 1
--- elm/broken.py
def (
"""
PICKLE = b"\x80\x04\x8c\x08elm.leaf\x8c\x04bark\x93."


@pytest.fixture
def archive(tmp_path: Path) -> ArchiveReader:
    numpy = Extern(distribution="numpy", version="2.4", modules=("numpy",), names=(), soft=True)
    elm = PackedDistribution(name="elm", version="1.2", roots=("elm",))
    return ArchiveReader.open(
        write_case(
            tmp_path / "elm.case",
            SOURCES,
            pickle=PICKLE,
            distributions=(elm,),
            externs=(numpy,),
            mocks=("wandb",),
            absent=("apex",),
        )
    )


def _explain(archive: ArchiveReader, module: str) -> Reason:
    return explain(archive, read_manifest(archive), module)


def test_modules_are_named_as_they_were(archive: ArchiveReader) -> None:
    assert sorted(packed_modules(archive)) == ["elm", "elm.broken", "elm.leaf", "elm.twig"]


def test_the_chain_goes_through_packed_sources_to_what_is_outside(archive: ArchiveReader) -> None:
    reason = _explain(archive, "numpy.linalg")
    assert reason.where == "outside"
    assert reason.words == (
        "outside, provided by numpy 2.4; the case loads and passes its self-test without it"
    )
    assert reason.chain == (
        "the pickle of model names elm.leaf.bark",
        "elm/leaf.py:1: elm.leaf imports elm.twig (unconditional)",
        "elm/twig.py:1: elm.twig imports numpy.linalg (unconditional)",
    )


@pytest.mark.parametrize(
    ("module", "where"),
    [
        ("elm.twig", "inside"),
        ("wandb", "mocked"),
        ("apex", "hidden"),
        ("json", "built in"),
        ("pandas", "nowhere"),
    ],
)
def test_every_module_is_somewhere(module: str, where: str, archive: ArchiveReader) -> None:
    assert _explain(archive, module).where == where


def test_what_packing_saw_goes_first_and_sources_fill_the_rest(tmp_path: Path) -> None:
    """No source shows that the leaf leads to the broken one; the twig is not in the list."""
    listing = (
        "elm.broken elm.leaf 7 observed\nelm.leaf model 0 pickled bark\n"
        "not/a/name elm.leaf 7 observed\nelm.twig elm.leaf x observed\nelm.twig elm.leaf 1 never\nelm.twig\n"
    )
    path = write_case(tmp_path / "elm.case", f"{SOURCES}--- .wardian/imports\n{listing}", pickle=PICKLE)
    with ArchiveReader.open(path) as archive:
        assert _explain(archive, "elm.broken").chain == (
            "the pickle of model names elm.leaf.bark",
            "elm/leaf.py:7: elm.leaf imports elm.broken (observed)",
        )
        assert _explain(archive, "elm.twig").chain == (
            "the pickle of model names elm.leaf.bark",
            "elm/leaf.py:1: elm.leaf imports elm.twig (unconditional)",
        )
