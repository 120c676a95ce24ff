"""What a plan shows of a script."""

from __future__ import annotations

from pathlib import Path

from tests.support import run_python, write_tree

_TREE = """
--- garden.py
RATE = 1
--- train.py
import torch
import wardian
import garden

garden.RATE = 5
TABLE = {"a": 1}

class Net(torch.nn.Module):
    def forward(self, x):
        return x * garden.RATE * TABLE["a"]

if __name__ == "__main__":
    print(wardian.plan(Net(), inputs=(torch.ones(1),)))
"""


def test_a_plan_lists_what_is_set_when_the_object_is_loaded(tmp_path: Path) -> None:
    tree = write_tree(tmp_path, _TREE)
    script = "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__')"
    printed = run_python(script, tree / "train.py", folder=tmp_path, paths=(tree,))
    at = printed.index("set when it is loaded:")
    assert printed[at:].splitlines()[1:3] == [
        "  __main__.TABLE (no source gives this value)",
        "  garden.RATE (the script changed it)",
    ]
