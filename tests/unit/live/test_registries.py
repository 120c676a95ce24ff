"""PyTorch's functions are wrapped while packed code runs that needs it, and no longer."""

from __future__ import annotations

from pathlib import Path

import torch

import wardian
from tests.support import write_case

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
        assert not case.root.registers
