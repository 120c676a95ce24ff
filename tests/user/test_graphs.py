"""A graph module comes back with the graph that it had, node for node."""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import fx, nn

import wardian
from tests.support import importable, write_tree


def _module(build: Callable[[fx.Graph, fx.Node], Any]) -> fx.GraphModule:
    graph = fx.Graph()
    graph.output(build(graph, graph.placeholder("x")))
    return fx.GraphModule(nn.Module(), graph)


def _again(model: nn.Module, folder: Path) -> Any:
    wardian.pack(model, folder / "model.case", prove=False)
    return wardian.load(folder / "model.case")


def _calls(model: Any) -> list[tuple[str, str]]:
    return [(node.op, getattr(node.target, "__name__", node.target)) for node in model.graph.nodes]


_IN_PLACE = (
    operator.iadd,
    operator.isub,
    operator.imul,
    operator.itruediv,
    operator.ifloordiv,
    operator.imod,
    operator.ipow,
)


@pytest.mark.parametrize("function", _IN_PLACE, ids=lambda function: str(function.__name__))
def test_an_operator_that_changes_its_input_still_does(
    function: Callable[[Any, Any], Any], tmp_path: Path
) -> None:
    model = _module(lambda graph, x: graph.call_function(function, (x, 3)))
    code = model.code
    again = _again(model, tmp_path)
    expected, changed = (torch.tensor([7.0, 8.0]) for _ in range(2))
    model(expected)
    again(changed)
    assert changed.tolist() == expected.tolist() != [7.0, 8.0]
    assert _calls(again) == _calls(model)
    assert (again.code, model.code) == (code, code)  # and what was packed is as it was


def _set_item(graph: fx.Graph, x: fx.Node) -> fx.Node:
    graph.call_function(operator.setitem, (x, 0, 5))
    return x


def _ask(graph: fx.Graph, x: fx.Node) -> fx.Node:
    asked = graph.call_function(operator.contains, (x, 1))
    return graph.call_function(operator.not_, (asked,))


def _measure(graph: fx.Graph, x: fx.Node) -> fx.Node:
    return graph.call_function(len, (graph.call_function(operator.concat, ([x], [x])),))


@pytest.mark.parametrize("build", [_set_item, _ask, _measure])
def test_what_a_trace_cannot_go_through_is_a_node_again(
    build: Callable[[fx.Graph, fx.Node], fx.Node], tmp_path: Path
) -> None:
    model = _module(build)
    again = _again(model, tmp_path)
    x, y = torch.ones(2), torch.ones(2)
    assert again(x) is x if build is _set_item else again(x) == model(y)
    assert _calls(again) == _calls(model)


def test_a_function_that_the_graph_calls_as_a_whole_stays_whole(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        """
        --- orchard.py
        def leaf(x, times=2):
            return x * times if bool((x > 0).all()) else -x
        """,
    )
    with importable(tmp_path) as load:
        leaf = load("orchard").leaf
        model = _module(lambda graph, x: graph.call_function(leaf, (x,), {"times": 3}))
        again = _again(model, tmp_path)
    assert (
        _calls(again)
        == _calls(model)
        == [("placeholder", "x"), ("call_function", "leaf"), ("output", "output")]
    )
    assert again(-torch.ones(1)).tolist() == [1.0]
    assert again(torch.ones(1)).tolist() == [3.0]


def test_pytorch_has_the_table_that_is_put_aside() -> None:
    assert {function.__name__ for function in _IN_PLACE} <= fx.graph.inplace_methods.keys()
