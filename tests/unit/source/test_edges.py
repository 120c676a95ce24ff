"""Edges of one module, and the names they lead to."""

from __future__ import annotations

import pytest

from wardian.domain.graph import Import, ImportContext
from wardian.domain.names import ModuleName
from wardian.source.edges import Edges, absolute_name

U = ImportContext.UNCONDITIONAL


def edge(name: str, line: int) -> Import:
    return Import(ModuleName("nets.oak"), ModuleName(name), line, U, "nets/oak.py")


def test_edges_are_gathered_once_and_by_line() -> None:
    edges = Edges(ModuleName("nets.oak"), "nets/oak.py")
    for name, line in (("torch", 7), ("numpy", 2), ("torch", 7), ("no name", 1)):
        edges.add_import(name, line, U)
    edges.add_candidate("nets.elm", 3, U)
    edges.add_walk("nets", 4, U)
    assert edges.imports == (edge("numpy", 2), edge("torch", 7))
    assert edges.candidates == (edge("nets.elm", 3),)
    assert edges.walks == (edge("nets", 4),)


@pytest.mark.parametrize(
    ("name", "level", "package", "absolute"),
    [
        ("torch", 0, "nets", "torch"),
        ("elm", 1, "nets", "nets.elm"),
        ("", 1, "nets", "nets"),
        ("", 2, "nets.trees", "nets"),
        ("elm", 2, "nets", None),
        ("elm", 1, "", None),
    ],
)
def test_relative_names_stay_below_a_package(
    name: str, level: int, package: str, absolute: str | None
) -> None:
    assert absolute_name(name, level, package) == absolute
