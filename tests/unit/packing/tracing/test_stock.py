"""The modules that a distribution has in stock."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import write_tree
from wardian.domain.names import ModuleName
from wardian.domain.trace import DistributionFacts, Evidence
from wardian.packing.tracing.following import Follower
from wardian.packing.tracing.stock import InstalledStock, endings

EVIDENCE = Evidence(
    modules=(), imports=(), absent=(), files=(), libraries=(), operators=(), schemas=(), ran=True, used=()
)
TREE = """
--- timberlib/__init__.py
--- timberlib/oak.py
import json
--- timberlib/rings.json
{}
"""


@pytest.fixture
def stock(tmp_path: Path) -> InstalledStock:
    write_tree(tmp_path, TREE)
    records = ("timberlib/__init__.py", "timberlib/oak.py", "timberlib/rings.json", "timberlib/gone.py")
    facts = DistributionFacts(
        name="timberlib",
        version="1.0",
        roots=("timberlib",),
        compiled=(),
        required_by_torch=False,
        with_every_torch=False,
        files=tuple((record, str(tmp_path / record), 10) for record in records),
        left_out=(),
        metadata={},
    )
    other = replace(facts, name="other", files=())
    return InstalledStock(Follower(EVIDENCE, {}, (), frozenset()), [facts, other])


def test_sources_are_in_stock_and_data_are_not(stock: InstalledStock, tmp_path: Path) -> None:
    assert sorted(stock.modules) == ["timberlib", "timberlib.gone", "timberlib.oak"]
    found = stock.modules[ModuleName("timberlib")]
    assert (found.distribution, found.path, found.is_package) == (
        "timberlib",
        str(tmp_path / "timberlib/__init__.py"),
        True,
    )
    assert not stock.modules[ModuleName("timberlib.oak")].is_package


def test_a_source_is_read_once_and_is_empty_where_it_is_gone(stock: InstalledStock, tmp_path: Path) -> None:
    oak = ModuleName("timberlib.oak")
    assert stock.source(oak) == b"import json\n"
    (tmp_path / "timberlib/oak.py").unlink()
    assert stock.source(oak) == b"import json\n"
    assert stock.source(ModuleName("timberlib.gone")) == b""


def test_facts_are_those_of_sources_that_may_be_packed(stock: InstalledStock) -> None:
    facts = stock.facts(ModuleName("timberlib.oak"))
    assert facts is not None
    assert [edge.imported for edge in facts.imports] == ["json"]
    assert stock.facts(ModuleName("nobody")) is None


@given(st.lists(st.sampled_from(["a", "bc", "d1"]), min_size=1, max_size=4))
def test_the_parts_of_a_name_end_where_the_names_above_it_do(parts: list[str]) -> None:
    text = ".".join(parts)
    assert [text[:end] for end in endings(text)] == [".".join(parts[: n + 1]) for n in range(len(parts))]
