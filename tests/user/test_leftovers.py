"""What packed code registered in tables of the process goes when nobody can need it, and not before."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import run_python, write_tree

_TREE = """
--- moor/__init__.py
--- moor/net.py
import copyreg
import torch
import torch.fx
from torch.utils import _pytree as pytree
from torch.utils.data import IterDataPipe, functional_datapipe

class Pair:
    pass

class Marked(Pair):
    def __init__(self, value):
        self.value = value

pytree.register_pytree_node(Marked, lambda m: ([m.value], None), lambda v, _: Marked(v[0]))
copyreg.pickle(Pair, lambda pair: (Pair, ()))

@torch.fx.wrap
def twice(x):
    return 2 * x if x.sum() > 0 else x

@functional_datapipe("moor_all")
class All(IterDataPipe):
    def __iter__(self):
        return iter(())

class Doubling(torch.nn.Module):
    def forward(self, x):
        return twice(x)

class Net(torch.nn.Linear):
    def __init__(self, *size):
        super().__init__(*size)
        self.doubling = Doubling()

    def forward(self, x):
        return Marked(self.doubling(super().forward(x)))
"""

_THREAD = """
import threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
"""

_PACK = """
import torch, wardian
from moor.net import Net
wardian.pack(Net(2, 1), "moor.case", prove=False)
"""

_REPEAT = """
import gc, sys, weakref, torch, wardian
from torch.utils import _pytree as pytree

def registered():
    import copyreg, torch.fx, torch.utils.data
    tables = copyreg.dispatch_table, torch.fx._symbolic_trace._wrapped_fns_to_patch, pytree.SUPPORTED_NODES
    return [len(table) for table in (*tables, torch.utils.data.IterDataPipe.functions)]

before, classes = registered(), []
for _ in range(20):
    with wardian.open("moor.case") as case:
        model = case.load()
        classes.append(weakref.ref(type(model)))
        assert len(pytree.tree_leaves(model(torch.ones(1, 2)))) == 1
        {before_closing}
assert registered() == before or not {all_gone}, (before, registered())
gc.collect()
print(sum(reference() is not None for reference in classes))
"""

_KEPT = """
import gc, torch, wardian
import torch.fx
from torch.utils import _pytree as pytree

def use(model):
    result = model(torch.ones(1, 2))
    assert torch.is_tensor(pytree.tree_leaves(result)[0])
    assert "twice" in [node.name for node in torch.fx.Tracer().trace(model.doubling).nodes]

with wardian.open("moor.case") as case:
    first = case.load()
for _ in range(20):  # often enough to look, whatever is in use
    with wardian.open("moor.case") as case:
        model = case.load()
    use(first)
    use(model)
print("usable")
"""


@pytest.fixture(scope="module")
def moor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("moor")
    run_python(_PACK, folder=folder, paths=(write_tree(folder / "sources", _TREE),))
    return folder


def test_nothing_is_left_of_what_nobody_has(moor: Path) -> None:
    assert run_python(_REPEAT.format(before_closing="del model", all_gone=True), folder=moor) == "0\n"


def test_no_more_than_a_few_wait_for_the_next_look(moor: Path) -> None:
    assert int(run_python(_REPEAT.format(before_closing="", all_gone=False), folder=moor)) <= 8


def test_beside_another_thread_what_nobody_has_goes_too(moor: Path) -> None:
    """As in a server, and wherever fsspec has been used, which keeps a thread."""
    code = _THREAD + _REPEAT.format(before_closing="del model", all_gone=True)
    assert run_python(code, folder=moor) == "0\n"


def test_beside_another_thread_what_is_kept_stays_usable(moor: Path) -> None:
    assert run_python(_THREAD + _KEPT, folder=moor) == "usable\n"


def test_what_is_kept_stays_usable(moor: Path) -> None:
    assert run_python(_KEPT, folder=moor) == "usable\n"
