"""What a proof begins with is guessed from what the object names, and then from what its run has shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support import importable, write_tree
from wardian.domain.trace import Evidence, ObservedImport
from wardian.packing.proving.beginnings import _serves, beginning, guess_after_run, guess_before_run

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
