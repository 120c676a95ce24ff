"""An object is pickled, and the file of its case gets another name before it is unpickled."""

from __future__ import annotations

from pathlib import Path

from tests.support import run_python, write_tree

_TREE = """
--- glen/__init__.py
--- glen/net.py
import warnings
import torch

class Net(torch.nn.Linear):
    def forward(self, x):
        from glen.late import FACTOR
        return super().forward(x) * FACTOR

def warn():
    warnings.warn("too wet")  # the line that warns
--- glen/late.py
FACTOR = 2
"""

_PACK = """
import pickle, torch, wardian
from glen.net import Net
wardian.pack(Net(2, 1), "glen.case", inputs=(torch.ones(1, 2),), prove=False)
model = wardian.load("glen.case")
open("net.pickle", "wb").write(pickle.dumps(model))
"""

_LATER = """
import gc, pickle, sys, torch, wardian
with {open} as case:
    loaded, again = case.load(), pickle.load(open("net.pickle", "rb"))
    assert type(again) is type(loaded)
    assert torch.equal(again(torch.ones(1, 2)), loaded(torch.ones(1, 2)))
    assert pickle.loads(pickle.dumps(again)).weight.shape == (1, 2)
assert not [name for name in sys.modules if "glen" in name], sys.modules.keys()
print("same")
"""

_CLOSED = """
import linecache, pickle, sys, traceback, warnings, wardian
with wardian.open("glen.case") as case:
    model, net = case.load(), case.import_module("glen.net")
    with warnings.catch_warnings(record=True) as caught:
        net.warn()
    shown = warnings.formatwarning(caught[0].message, UserWarning, caught[0].filename, caught[0].lineno)
    assert "# the line that warns" in shown, shown
assert not [path for path in linecache.cache if "glen" in path], linecache.cache.keys()
try:
    model("no tensor")
except Exception:
    traceback.format_exc()  # says what it can
try:
    pickle.load(open("net.pickle", "rb"))
except ImportError as error:
    print("CLOSED", error)
"""

_SHARED = """
import pickle, wardian
try:
    pickle.loads(b"cwardian.live.glen_shared_01234567.glen.net\\nNet\\n.")
except ImportError as error:
    print(error)
"""


def _packed(folder: Path) -> None:
    sources = write_tree(folder / "sources", _TREE)
    run_python(_PACK, folder=folder, paths=(sources,))


def test_the_case_is_found_whatever_its_file_is_called(tmp_path: Path) -> None:
    _packed(tmp_path)
    (tmp_path / "glen.case").rename(tmp_path / "production 7.case")
    assert run_python(_LATER.format(open='wardian.open("production 7.case")'), folder=tmp_path) == "same\n"
    in_memory = 'wardian.open(open("production 7.case", "rb").read())'
    assert run_python(_LATER.format(open=in_memory), folder=tmp_path) == "same\n"


def test_what_was_closed_is_told_and_nothing_is_left_behind(tmp_path: Path) -> None:
    _packed(tmp_path)
    told = run_python(_CLOSED, folder=tmp_path)
    assert f"closed in this process; open it again: wardian.open('{tmp_path / 'glen.case'}')" in told


def test_a_case_that_was_loaded_with_sharing_is_asked_for_with_sharing(tmp_path: Path) -> None:
    assert "wardian.load('glen.case', share=True)" in run_python(_SHARED, folder=tmp_path)
