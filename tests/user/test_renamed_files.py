"""An object is pickled, and the file of its case gets another name before it is unpickled."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import run_python, write_tree

_TREE = """
--- glen/__init__.py
--- glen/net.py
import warnings
import torch

class Net(torch.nn.Linear):
    class Inner:
        pass

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
import copy, io, linecache, pickle, sys, torch, traceback, warnings, wardian
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
    print("UNPICKLE", error)
values = {"OBJECT": model, "CLASS": type(model), "INNER": net.Net.Inner, "FUNCTION": net.warn}
for what, value in values.items():
    try:
        pickle.dumps(value)
    except pickle.PicklingError as error:
        print(what, error)
try:
    torch.save(model, io.BytesIO())
except pickle.PicklingError as error:
    print("SAVE", error)
name = type(model).__module__
assert name == f"{name}" and type(copy.deepcopy(pickle.loads(pickle.dumps(name)))) is str
assert type(copy.deepcopy(model)) is type(model)
assert torch.nn.Linear.__module__ == "torch.nn.modules.linear" and type(torch.nn.Linear.__module__) is str
with wardian.open("glen.case") as case:
    assert pickle.loads(pickle.dumps(case.load())).weight.shape == (1, 2)
"""

_AGAIN = """
import os, torch, wardian
model = wardian.load(open("glen.case", "rb").read() if "{lost}" == "memory" else "glen.case")
if "{lost}" == "replaced":
    os.replace("twice/glen.case", "glen.case")
else:
    os.remove("glen.case")
report = wardian.pack(model, "again.case", inputs=(torch.ones(1, 2),))
assert "glen/late.py" in report.manifest.records, report.manifest.records.keys()
x = torch.ones(1, 2)
print((wardian.load("again.case")(x) / torch.nn.functional.linear(x, model.weight, model.bias)).item())
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
    told = run_python(_CLOSED, folder=tmp_path).splitlines()
    assert [line.partition(" ")[0] for line in told] == [
        "UNPICKLE",
        "OBJECT",
        "CLASS",
        "INNER",
        "FUNCTION",
        "SAVE",
    ]
    again = f"closed in this process; load it again: wardian.load('{tmp_path / 'glen.case'}')"
    assert all(again in line for line in told), told


def test_a_case_that_was_loaded_with_sharing_is_asked_for_with_sharing(tmp_path: Path) -> None:
    assert "wardian.load('glen.case', share=True)" in run_python(_SHARED, folder=tmp_path)


@pytest.mark.parametrize("lost", ["memory", "removed", "replaced"])
def test_what_was_loaded_is_packed_again_from_the_file_that_was_opened(tmp_path: Path, lost: str) -> None:
    _packed(tmp_path)
    other = write_tree(tmp_path / "other", _TREE.replace("FACTOR = 2", "FACTOR = 3"))
    (tmp_path / "twice").mkdir()
    run_python(_PACK, folder=tmp_path / "twice", paths=(other,))
    assert run_python(_AGAIN.format(lost=lost), folder=tmp_path) == "2.0\n"


_NAMES = """
import os, pickle, subprocess, sys, torch, wardian
child = "import pickle, sys; pickle.load(sys.stdin.buffer).weight.sum().item()"
names = (b"a b.case", b"new\\nline.case", b"not utf-8 \\xff.case", b"c:o=l;on%41.case")
for name in (*names, "\u00fc \u6f22.case".encode()):
    path = os.fsdecode(name)
    os.rename("glen.case", path)
    with wardian.open(path) as case:
        model = case.load()
        model(torch.ones(1, 2))
        subprocess.run([sys.executable, "-P", "-c", child], input=pickle.dumps(model), check=True)
        wardian.pack(model, path, prove=False)
    os.rename(path, "glen.case")
os.symlink("glen.case", "link.case")
model, linked = wardian.load("glen.case"), wardian.load("link.case")
print(type(model) is type(linked))
"""


def test_a_file_may_be_called_anything_and_a_link_is_the_file(tmp_path: Path) -> None:
    _packed(tmp_path)
    assert run_python(_NAMES, folder=tmp_path) == "True\n"
