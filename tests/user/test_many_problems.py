"""Twenty things are wrong: one exception tells them all, each with its place and a fix."""

from __future__ import annotations

import mmap
import os
import pickle
import sqlite3
import sys
from pathlib import Path

import pytest
from torch import nn

import wardian
from tests.support import importable, write_tree

_DENIED = [f"forbidden_{number}" for number in range(8)]
_TREE = "\n".join(
    [
        "--- shop/__init__.py",
        "--- shop/net.py",
        "from torch import nn",
        *(f"import shop.{name}" for name in _DENIED),
        "class Net(nn.Linear):",
        "    pass",
        *(f"--- shop/{name}.py\nVALUE = {number}" for number, name in enumerate(_DENIED)),
    ]
)


def test_all_are_told_at_once(tmp_path: Path) -> None:
    target = tmp_path / "shop.case"
    target.write_bytes(b"as it was")
    with importable(write_tree(tmp_path / "sources", _TREE)) as load, mmap.mmap(-1, 16) as mapped:
        model = load("shop.net").Net(1, 1)
        database = sqlite3.connect(":memory:")
        with open(tmp_path / "open.txt", "w+") as file:
            bad = {
                "lines": (line for line in "ab"),
                "file": file,
                "mapped": mapped,
                "database": database,
                "frame": sys._getframe(),
                "code": (lambda: 0).__code__,
                "iterator": os.scandir(tmp_path),
                "view": {}.keys(),
                "cursor": database.cursor(),
                "memory": memoryview(b"ab"),
                "numbers": (n for n in range(2)),
                "deep": [{"inner": (n for n in range(2))}],
            }
            holder = nn.Module()
            vars(holder).update(bad)
            model.holder = holder
            with pytest.raises(wardian.PackError) as caught:
                wardian.pack(model, target, policy=wardian.Policy(deny=[f"shop.{n}" for n in _DENIED]))
        database.close()
        bad["iterator"].close()  # type: ignore[attr-defined]
    error = caught.value
    places = {problem.what.partition(" is a ")[0] for problem in error.problems}
    expected = {f"model.holder.{name}" for name in bad if name != "deep"} | {"model.holder.deep[0]['inner']"}
    assert expected <= places
    assert {problem.module for problem in error.problems} >= {f"shop.{name}" for name in _DENIED}
    assert len(error.problems) == len(bad) + len(_DENIED) == 20
    assert all(problem.fix for problem in error.problems)
    assert all(problem.chain for problem in error.problems if problem.module is not None)
    assert "20 problems" in str(error)
    assert pickle.loads(pickle.dumps(error)).problems == error.problems
    assert target.read_bytes() == b"as it was"


def test_nesting_too_deep_is_told_shortly(tmp_path: Path) -> None:
    deep: list[object] = []
    for _ in range(50_000):
        deep = [deep]
    with pytest.raises(wardian.UnpicklableError, match=r"setrecursionlimit\(\d+\)") as caught:
        wardian.pack({"deep": deep}, tmp_path / "deep.case", prove=False)
    assert len(str(caught.value)) < 400
    while deep:  # a list this deep is taken apart from the outside
        deep = deep.pop()  # type: ignore[assignment]
