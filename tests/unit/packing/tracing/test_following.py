"""Which imports are found does not depend on where following begins."""

from __future__ import annotations

from pathlib import Path

from tests.support import importable, write_tree
from wardian.domain.names import ModuleName
from wardian.domain.trace import Evidence
from wardian.packing.tracing.following import Follower

PROJECT = """
--- elm/__init__.py
--- elm/model.py
from elm import bark
--- elm/bark.py
"""
EVIDENCE = Evidence(
    modules=(), imports=(), absent=(), files=(), libraries=(), operators=(), schemas=(), ran=True, used=()
)


def test_a_module_that_is_imported_from_its_package_is_found_in_any_order(tmp_path: Path) -> None:
    with importable(write_tree(tmp_path, PROJECT)):
        found = []
        for seeds in (["elm.model", "elm.bark"], ["elm.bark", "elm.model"]):
            follower = Follower(EVIDENCE, {}, (), frozenset())
            follower.follow(map(ModuleName, seeds), None)
            found.append({(str(edge.importer), str(edge.imported)) for edge in follower.edges})
    assert found == [{("elm.model", "elm"), ("elm.model", "elm.bark")}] * 2
