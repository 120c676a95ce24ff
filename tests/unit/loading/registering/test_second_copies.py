"""PyTorch's functions are wrapped while packed code runs that needs it, and no longer."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch
from torch.utils.data import IterDataPipe
from torch.utils.data.datapipes.iter import IterableWrapper

import wardian
from tests.support import write_case, write_tree

_TREE = """
--- fern/__init__.py
--- fern/plain.py
import torch.library
INIT = torch.library.Library.__init__
--- fern/nodes.py
from torch.utils._pytree import register_pytree_node
import torch.utils._pytree as pytree
WRAPPED = pytree.register_pytree_node is not None and hasattr(pytree.register_pytree_node, "__wrapped__")
class Pair: ...
register_pytree_node(Pair, lambda pair: ([], None), lambda values, context: Pair())
from fern import plain
"""


def test_names_that_were_imported_are_those_of_torch_again(tmp_path: Path) -> None:
    pytree = torch.utils._pytree
    original = pytree.register_pytree_node
    with wardian.open(write_case(tmp_path / "fern.case", _TREE)) as case:
        nodes = case.import_module("fern.nodes")
        assert nodes.WRAPPED
        assert nodes.register_pytree_node is original is pytree.register_pytree_node
        pytree.SUPPORTED_NODES.pop(nodes.Pair)


def test_code_that_registers_nothing_sees_the_functions_of_torch(tmp_path: Path) -> None:
    tree = _TREE.replace(
        "import torch.library\nINIT = torch.library.Library.__init__", "import torch\nINIT = 0"
    )
    with wardian.open(write_case(tmp_path / "fern.case", tree)) as case:
        case.import_module("fern.plain")
        assert not case.mount.registers


_PIPE = """
--- fern/__init__.py
--- fern/pipes.py
from torch.utils.data import IterDataPipe, functional_datapipe

@functional_datapipe("fern_double")
class Doubled(IterDataPipe):
    def __init__(self, source):
        self.source = source

    def __iter__(self):
        return (2 * x for x in self.source)
"""


def test_a_second_copy_may_register_a_datapipe_again(tmp_path: Path) -> None:
    raw = vars(IterDataPipe)["register_datapipe_as_function"]
    for name in ("one", "two"):
        path = write_case(tmp_path / f"{name}.case", _PIPE + f"NAME = {name!r}\n")
        with wardian.open(path) as case:
            pipes = case.import_module("fern.pipes")
            doubled = IterableWrapper([1, 2]).fern_double()
            assert list(doubled) == list(pipes.Doubled([1, 2])) == [2, 4]
    assert vars(IterDataPipe)["register_datapipe_as_function"] is raw
    IterDataPipe.functions.pop("fern_double")


_OPERATOR = """
--- {top}/__init__.py
--- {top}/ops.py
import torch
lib = torch.library.Library("{top}", "DEF")
lib.define("twice(Tensor x) -> Tensor")
lib.impl("twice", lambda x: {factor} * x, "CPU")
"""

_CUSTOM = """
--- {top}/__init__.py
--- {top}/ops.py
import torch

@torch.library.custom_op("{top}::twice", mutates_args=())
def twice(x: torch.Tensor) -> torch.Tensor:
    return {factor} * x
"""


@pytest.mark.filterwarnings("ignore:.*Overriding a previously registered kernel")
@pytest.mark.parametrize(("tree", "top"), [(_OPERATOR, "fern_ops"), (_CUSTOM, "fern_custom")])
def test_two_versions_of_an_operator_are_told(tmp_path: Path, tree: str, top: str) -> None:
    for file, factor in (("old", 2), ("new", 3)):
        write_case(tmp_path / f"{file}.case", tree.format(top=top, factor=factor))
    with wardian.open(tmp_path / "old.case") as old, wardian.open(tmp_path / "new.case") as new:
        old.import_module(f"{top}.ops")
        with pytest.warns(wardian.WardianWarning) as caught:
            new.import_module(f"{top}.ops")
        assert len(caught) == 1
        words = str(caught[0].message)
        assert f"operator {top}::twice" in words
        assert str(tmp_path / "old.case") in words
        assert f"both use that of {tmp_path / 'new.case'} " in words
        assert getattr(torch.ops, top).twice(torch.ones(())).item() == 3


def test_an_installed_version_of_an_operator_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tree(tmp_path / "site", _OPERATOR.format(top="fern_site", factor=2))
    monkeypatch.syspath_prepend(tmp_path / "site")
    importlib.import_module("fern_site.ops")
    path = write_case(tmp_path / "new.case", _OPERATOR.format(top="fern_site", factor=3))
    with wardian.open(path) as case, pytest.warns(wardian.WardianWarning, match=str(tmp_path / "site")):
        case.import_module("fern_site.ops")


def test_two_copies_of_one_version_are_fine(tmp_path: Path) -> None:
    for file in ("one", "two"):
        path = write_case(tmp_path / f"{file}.case", _OPERATOR.format(top="fern_twice", factor=2))
        with wardian.open(path) as case:
            case.import_module("fern_twice.ops")


_DECOMPOSITION = """
--- fern/__init__.py
--- fern/ops.py
import torch
from torch._decomp import register_decomposition

library = torch.library.Library("fern_ops", "DEF")
library.define("twice(Tensor x) -> Tensor")
library.impl("twice", lambda x: x + x, "CompositeExplicitAutograd")

@register_decomposition(torch.ops.fern_ops.twice)
def twice(x):
    return x + x
"""


def test_a_second_copy_may_register_a_decomposition_again(tmp_path: Path) -> None:
    from torch._decomp import decomposition_table

    paths = [
        write_case(tmp_path / f"{n}.case", _DECOMPOSITION + f"--- fern/{n}.py\n") for n in ("one", "two")
    ]
    with wardian.open(paths[0]) as one, wardian.open(paths[1]) as two:
        first, second = (case.import_module("fern.ops") for case in (one, two))
        found = decomposition_table[torch.ops.fern_ops.twice.default]
        assert found.__module__ == first.__name__ != second.__name__
        del first, second, found
    assert not [found for found in decomposition_table if "fern_ops" in str(found)]
