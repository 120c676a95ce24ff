"""Which distributions are here, looked for once."""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import os
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.support import SOURCE, write_case, write_tree
from wardian.domain.manifest import Extern
from wardian.inspection.summary import Summary
from wardian.reading.installed import Installed
from wardian.reading.opening import open_archive

SITE = """
--- Alder_Tree-1.0.dist-info/METADATA
Metadata-Version: 2.1
Name: Alder.Tree
Version: 1.0
--- birch.egg-info/PKG-INFO
Metadata-Version: 2.1
Name: birch
--- cedar-2.0-py3.11.egg/EGG-INFO/PKG-INFO
Metadata-Version: 2.1
Name: cedar
Version: 2.0
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_tree(tmp_path / "site", SITE)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "none"), str(tmp_path / "site"), *sys.path])
    return tmp_path / "site"


def test_it_finds_what_importlib_finds(site: Path) -> None:
    here = Installed()
    assert here.version("alder-tree") == here.version("Alder.Tree") == "1.0"
    assert here.version("birch") is None
    assert here.version("torch") == importlib.metadata.version("torch")
    for _ in range(2):
        with pytest.raises(importlib.metadata.PackageNotFoundError):
            here.version("dogwood")
    sys.path.insert(0, str(site / "cedar-2.0-py3.11.egg"))
    assert Installed().version("cedar") == "2.0"


def test_a_finder_of_others_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_tree(tmp_path / "elsewhere", SITE)

    class Finder(importlib.metadata.DistributionFinder):
        def find_spec(self, *_: object) -> None:
            return None

        def find_distributions(
            self, context: importlib.metadata.DistributionFinder.Context | None = None
        ) -> Iterable[importlib.metadata.Distribution]:
            return importlib.metadata.MetadataPathFinder.find_distributions(
                importlib.metadata.DistributionFinder.Context(
                    name=getattr(context, "name", None), path=[str(tmp_path / "elsewhere")]
                )
            )

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert Installed().version("alder-tree") == "1.0"


def _calls(work: Callable[[], object]) -> tuple[int, int]:
    """Return how many functions are called, and how many folders are listed."""
    counts = {"call": 0, "listdir": 0}

    def count(frame: object, event: str, argument: object) -> None:
        counts["call"] += event in ("call", "c_call")
        counts["listdir"] += argument is os.listdir

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counts["call"], counts["listdir"]


_PLACES = ("stdlib", "platstdlib", "purelib", "platlib")


def test_a_look_takes_the_same_for_each_extern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, since time depends on the machine: calls grow with the externs, listed folders do not."""
    # Each folder that another test has left on the path is looked through for each extern.
    monkeypatch.setattr(sys, "path", [str(SOURCE), *dict.fromkeys(sysconfig.get_paths()[n] for n in _PLACES)])
    found = []
    for count in (10, 500, 1000, 2000):  # the first fills caches of Python
        externs = tuple(
            Extern(
                distribution=f"dist-{i:05}",
                version="1.0",
                modules=(f"mod{i:05}",),
                names=(f"mod{i:05}.a",),
                soft=False,
            )
            for i in range(count)
        )
        path = write_case(tmp_path / f"{count}.case", "--- elm.py\nx = 1\n", externs=externs)
        with open_archive(path) as archive:
            found.append(_calls(lambda: Summary.of(archive, "elm.case")))
    (calls, listed), (more, listed_more), (most, listed_most) = found[1:]
    assert listed == listed_more == listed_most
    assert most - more <= 2.1 * (more - calls)
    assert (most - more) / 1000 < 600
