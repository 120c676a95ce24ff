"""A directed graph with attributes on its nodes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["DiGraph"]


class DiGraph:
    """A directed graph whose nodes and edges keep the order in which they were added.

    >>> graph = DiGraph()
    >>> graph.add_edge("app", "mylib")
    >>> graph.add_edge("mylib", "numpy")
    >>> graph.first_path("numpy")
    ['app', 'mylib', 'numpy']
    """

    def __init__(self) -> None:
        self._nodes: dict[Any, dict[str, Any]] = {}
        self._after: dict[Any, dict[Any, None]] = {}
        self._before: dict[Any, dict[Any, None]] = {}

    def add_node(self, n: Any, **attributes: Any) -> None:
        """Add a node, or attributes to one that is there."""
        self._nodes.setdefault(n, {}).update(attributes)
        self._after.setdefault(n, {})
        self._before.setdefault(n, {})

    def add_edge(self, u: Any, v: Any) -> None:
        """Add an edge, and its nodes."""
        self.add_node(u)
        self.add_node(v)
        self._after[u][v] = None
        self._before[v][u] = None

    def successors(self, n: Any) -> Iterator[Any]:
        """Yield the nodes that edges lead to from *n*.

        Raises:
            ValueError: if there is no such node.
        """
        return iter(_neighbours(self._after, n))

    def predecessors(self, n: Any) -> Iterator[Any]:
        """Yield the nodes from which edges lead to *n*.

        Raises:
            ValueError: if there is no such node.
        """
        return iter(_neighbours(self._before, n))

    @property
    def edges(self) -> Iterator[tuple[Any, Any]]:
        """All edges."""
        return ((u, v) for u, after in self._after.items() for v in after)

    @property
    def nodes(self) -> dict[Any, dict[str, Any]]:
        """All nodes with their attributes."""
        return self._nodes

    def __iter__(self) -> Iterator[Any]:
        return iter(self._nodes)

    def __contains__(self, n: object) -> bool:
        try:
            return n in self._nodes
        except TypeError:  # not hashable, so no node
            return False

    def forward_transitive_closure(self, src: Any) -> set[Any]:
        """Return *src* and all that can be reached from it."""
        return _reachable(self._after, src)

    def backward_transitive_closure(self, src: Any) -> set[Any]:
        """Return *src* and all from which it can be reached."""
        return _reachable(self._before, src)

    def all_paths(self, src: Any, dst: Any) -> str:
        """Return, in the DOT language, the part of the graph that leads from *src* to *dst*.

        Raises:
            ValueError: if one of them is no node.
        """
        found = DiGraph()
        forward = self.forward_transitive_closure(src)
        backward = self.backward_transitive_closure(dst)
        if dst in forward:
            between = forward & backward
            for u, v in self.edges:
                if u in between and v in between:
                    found.add_edge(u, v)
        return found.to_dot()

    def first_path(self, dst: Any) -> list[Any]:
        """Return the nodes by which *dst* came into the graph: from each one back to the one added first.

        Raises:
            ValueError: if there is no such node.
        """
        order = {node: index for index, node in enumerate(self._nodes)}
        path = [dst]
        while before := [n for n in _neighbours(self._before, path[-1]) if n not in path]:
            first = min(before, key=order.__getitem__)
            path.append(first)
        return path[::-1]

    def to_dot(self) -> str:
        """Return the graph in the DOT language."""
        edges = "\n".join(f'"{u}" -> "{v}";' for u, v in self.edges)
        return f"digraph G {{\nrankdir = LR;\nnode [shape=box];\n{edges}\n}}\n"


def _neighbours(table: Mapping[Any, dict[Any, None]], n: Any) -> dict[Any, None]:
    try:
        return table[n]
    except KeyError:
        raise ValueError(f"the graph has no node {n!r}") from None


def _reachable(table: Mapping[Any, dict[Any, None]], start: Any) -> set[Any]:
    found = {start}
    queue = deque([start])
    while queue:
        for n in _neighbours(table, queue.popleft()):
            if n not in found:
                found.add(n)
                queue.append(n)
    return found
