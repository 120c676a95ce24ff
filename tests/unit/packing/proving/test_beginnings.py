"""What a proof begins with is guessed from what the object names, and then from what its run has shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support import MANIFEST, importable, write_tree
from wardian.domain.manifest import Extern, Manifest
from wardian.domain.trace import Evidence, ObservedImport
from wardian.environment.cache import CACHE_VARIABLE
from wardian.packing.proving.beginnings import (
    EarlyProof,
    _serves,
    beginning,
    guess_after_run,
    guess_before_run,
)
from wardian.processes.clean import CleanProcesses, Start

SITE = """
--- bakery-1.0.dist-info/METADATA
Metadata-Version: 2.1
Name: bakery
Version: 1.0
Requires-Dist: torch
Requires-Dist: mill
Requires-Dist: oven
--- bakery-1.0.dist-info/RECORD
bakery/__init__.py,,
bakery/_operators.so,,
bakery.libs/libyeast.so,,
--- bakery/__init__.py
--- mill-1.0.dist-info/METADATA
Metadata-Version: 2.1
Name: mill
Version: 1.0
--- mill-1.0.dist-info/RECORD
mill/__init__.py,,
mill/_stones.so,,
--- oven-1.0.dist-info/METADATA
Metadata-Version: 2.1
Name: oven
Version: 1.0
Requires-Dist: tray
--- oven-1.0.dist-info/RECORD
oven/__init__.py,,
oven/_heat.so,,
--- tray-1.0.dist-info/METADATA
Metadata-Version: 2.1
Name: tray
Version: 1.0
--- tray-1.0.dist-info/RECORD
tray.py,,
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    with importable(write_tree(tmp_path, SITE)):
        yield tmp_path


@pytest.fixture
def evidence(site: Path) -> Evidence:
    """Of a run in which all compiled libraries were loaded, and none was used."""
    files = "mill/_stones.so", "oven/_heat.so", "bakery/_operators.so", "bakery.libs/libyeast.so"
    libraries = tuple(str(site / file) for file in files)
    return Evidence(
        modules=(),
        imports=(),
        absent=(),
        files=(),
        libraries=libraries,
        operators=(str(site / "bakery/_operators.so"),),
        schemas=(),
        ran=True,
        used=(),
    )


SHOP = {"bakery", "mill", "oven", "tray"}


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(
    ("named", "found"),
    [
        (set(), set()),
        ({"torch", "__main__", "unknown"}, set()),
        ({"torch", "mill"}, {"mill"}),
        ({"oven"}, {"oven", "tray"}),
        ({"tray"}, None),
        ({"mill", "bakery"}, None),
    ],
)
def test_before_the_run_needs_are_those_of_compiled_libraries(
    named: set[str], found: set[str] | None
) -> None:
    start = guess_before_run(named)
    assert (None if start is None else SHOP.intersection(start.arguments["distributions"])) == found


@pytest.mark.parametrize(
    ("shown", "named", "found"),
    [
        ({}, set(), set()),
        ({"used": None}, set(), set()),
        ({"used": ("mill",)}, set(), {"mill"}),
        ({"used": ("bakery", "torch", "json")}, set(), set()),
        ({"demands": (ObservedImport("torch.hub", "oven.heat", 1),)}, set(), {"oven", "tray"}),
        ({"checked": ("mill",)}, set(), {"mill"}),
        ({}, {"oven"}, {"oven", "tray"}),
        ({}, {"tray"}, set()),
    ],
)
def test_after_the_run_needs_are_what_is_compiled_and_was_used(
    shown: dict[str, Any], named: set[str], found: set[str], evidence: Evidence
) -> None:
    start = guess_after_run(replace(evidence, **shown), named)
    assert SHOP.intersection(start.arguments["distributions"]) == found


@pytest.mark.parametrize(
    ("met", "serves"),
    [
        ({}, True),
        ({"found": ["torch", "numpy"]}, True),
        ({"found": ["torch", "triton"]}, False),
        ({"hidden": ["tqdm"]}, True),
        ({"hidden": ["numpy"]}, False),
        ({"plugins": ["torch-xpu"]}, False),
        ({"hidden_plugins": ["torch-xpu"]}, True),
        ({"hidden_plugins": ["numpy"]}, False),
    ],
)
def test_a_template_serves_that_met_what_this_proof_would_meet(met: dict[str, Any], serves: bool) -> None:
    allowed = {"roots": ["numpy", "torch"], "distributions": ["numpy", "torch"]}
    facts = {"found": ["torch"], "hidden": [], "plugins": [], "hidden_plugins": [], **met}
    assert _serves(allowed, {}, facts) is serves
    assert beginning(allowed).serves({}, facts) is serves


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """Return a list that gets what may be imported in each process that is begun early."""
    found: list[set[str]] = []

    def note(_: CleanProcesses, start: Start) -> None:
        found.append(SHOP.intersection(start.arguments["distributions"]))

    monkeypatch.setattr(CleanProcesses, "start_early", note)
    return found


def needing(*distributions: str) -> Manifest:
    externs = tuple(
        Extern(distribution=name, version="1.0", modules=(name,), names=(), soft=False)
        for name in distributions
    )
    return replace(MANIFEST, externs=externs)


@pytest.fixture
def early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: list[set[str]]
) -> Iterator[Callable[..., EarlyProof]]:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    with ExitStack() as meanwhile:
        yield lambda modules, tops: EarlyProof(CleanProcesses(), meanwhile, modules, tops)


@pytest.mark.usefixtures("site")
def test_a_proof_begins_as_the_last_of_its_kind_when_a_processor_is_free(
    early: Callable[..., EarlyProof], begun: list[set[str]], evidence: Evidence
) -> None:
    kind = {"bakery.bread", "bakery"}, {"bakery"}
    first = early(*kind)
    first.when_idle()
    assert begun == []  # nothing is known of it
    first.when_run(replace(evidence, used=("mill",)), {"bakery"})
    assert begun == [{"mill"}]
    first.when_proven(needing("oven", "torch", "gone-since"))
    begun.clear()
    later = early(*kind)
    later.when_idle()
    later.when_run(replace(evidence, used=("mill",)), {"bakery"})
    assert begun == [{"oven", "tray"}] * 2
    begun.clear()
    other = early({"bakery.cake"}, {"bakery"})
    other.when_idle()
    assert begun == []


@pytest.mark.usefixtures("site")
def test_what_is_known_before_the_run_is_begun_at_once_and_not_kept(
    early: Callable[..., EarlyProof], begun: list[set[str]], tmp_path: Path
) -> None:
    sure = early({"mill.stones"}, {"mill"})
    assert begun == [{"mill"}]
    sure.when_idle()
    sure.when_proven(needing("mill"))
    assert begun == [{"mill"}]
    assert not (tmp_path / "cache" / "facts").exists()
