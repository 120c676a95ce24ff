"""A directed graph: neighbours, what can be reached, and how something came into it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.package._digraph import DiGraph

NODES = st.integers(0, 6)
EDGES = st.lists(st.tuples(NODES, NODES), max_size=12)


def graph_of(edges: list[tuple[int, int]]) -> DiGraph:
    graph = DiGraph()
    graph.add_node(0)
    for u, v in edges:
        graph.add_edge(u, v)
    return graph


@given(EDGES)
def test_neighbours_are_those_of_the_edges_in_order(edges: list[tuple[int, int]]) -> None:
    graph = graph_of(edges)
    once = list(dict.fromkeys(edges))
    assert sorted(graph.edges) == sorted(once)
    for node in graph:
        assert list(graph.successors(node)) == [v for u, v in once if u == node]
        assert list(graph.predecessors(node)) == [u for u, v in once if v == node]


@given(EDGES)
def test_what_is_reached_is_the_least_set_that_edges_do_not_leave(edges: list[tuple[int, int]]) -> None:
    graph = graph_of(edges)
    for node in graph:
        after = graph.forward_transitive_closure(node)
        assert node in after
        assert all(v in after for u, v in edges if u in after)
        assert {other for other in graph if other in after} == {
            other for other in graph if node in graph.backward_transitive_closure(other)
        }
        # Each but the node itself has a reason within.
        assert all(any(v == other and u in after for u, v in edges) for other in after - {node})


@given(EDGES)
def test_a_first_path_goes_along_edges_and_begins_where_nothing_new_leads_to(
    edges: list[tuple[int, int]],
) -> None:
    graph = graph_of(edges)
    for node in graph:
        path = graph.first_path(node)
        assert path[-1] == node
        assert len(set(path)) == len(path)
        assert set(pairwise(path)) <= set(edges)
        assert set(graph.predecessors(path[0])) <= set(path)


def test_of_several_reasons_the_one_that_was_there_first_is_told() -> None:
    graph = DiGraph()
    graph.add_node("app")
    graph.add_edge("tools", "numpy")
    graph.add_edge("app", "numpy")
    assert graph.first_path("numpy") == ["app", "numpy"]


def test_all_paths_are_the_part_between_two_nodes() -> None:
    graph = DiGraph()
    for u, v in (("app", "a"), ("app", "b"), ("a", "numpy"), ("b", "other"), ("numpy", "below")):
        graph.add_edge(u, v)
    assert graph.all_paths("app", "numpy") == (
        'digraph G {\nrankdir = LR;\nnode [shape=box];\n"app" -> "a";\n"a" -> "numpy";\n}\n'
    )
    assert "->" not in graph.all_paths("numpy", "app")
    assert graph.to_dot().count("->") == 5


def test_attributes_are_added_to_those_that_are_there() -> None:
    graph = DiGraph()
    graph.add_node("numpy", action="extern")
    graph.add_edge("app", "numpy")
    graph.add_node("numpy", error="x")
    assert graph.nodes == {"numpy": {"action": "extern", "error": "x"}, "app": {}}
    assert "app" in graph
    assert ["app"] not in graph  # not hashable
    assert list(graph) == ["numpy", "app"]


def test_of_a_node_that_is_not_there_nothing_is_known() -> None:
    graph = graph_of([(0, 1)])
    for ask in (
        graph.successors,
        graph.predecessors,
        graph.first_path,
        graph.forward_transitive_closure,
        graph.backward_transitive_closure,
    ):
        with pytest.raises(ValueError, match="the graph has no node 'numpy'"):
            ask("numpy")
    with pytest.raises(ValueError, match="no node"):
        graph.all_paths(0, "numpy")
