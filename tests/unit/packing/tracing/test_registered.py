"""What registries of loaded modules hold of others is found in one order; each is looked through once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import importable, write_tree
from wardian.packing.tracing.registered import find_registered, only_of

PROJECT = """
--- fern/__init__.py
--- fern/registry.py
class Counting(type):
    asked = 0
    @property
    def __module__(cls):
        Counting.asked += 1
        return "fern.blocks"
class Table(dict):
    def values(self):
        raise RuntimeError("no method of a registry is called")
class Registry:
    def __init__(self):
        self.table = Table()
TABLE = Registry()
NESTED = {"outer": [("a", {"inner": TABLE.table})]}
RING = [NESTED]
RING.append(RING)
--- fern/users/__init__.py
from fern.registry import *
--- fern/users/first.py
from fern.registry import *
--- fern/users/second.py
from fern.registry import *
class Held:
    kept = [RING, TABLE]
--- fern/blocks.py
from fern.registry import Counting, TABLE
class Block(metaclass=Counting): pass
def make(): pass
TABLE.table.update(block=Block, make=make)
--- fern/heads.py
from fern.registry import NESTED, TABLE
class Head: pass
TABLE.table["head"] = Head
NESTED["head"] = [[[[Head]]]]  # deeper than a registry is
"""

LOADED = ("fern", "fern.registry", "fern.users", "fern.users.first", "fern.users.second")


def test_what_registries_hold_is_found_in_their_order(tmp_path: Path) -> None:
    with importable(write_tree(tmp_path, PROJECT)) as load:
        for name in (*LOADED, "fern.blocks", "fern.heads"):
            load(name)
        blocks, heads = load("fern.blocks"), load("fern.heads")
        found = find_registered(LOADED, ("fern.blocks", "fern.heads"))
        assert found == [blocks.Block, blocks.make, heads.Head]
        assert find_registered(LOADED, ("fern.heads",)) == only_of(found, ("fern.heads",)) == [heads.Head]
        assert find_registered(("fern",), ("fern.blocks",)) == []


def test_what_many_modules_import_is_looked_through_once(tmp_path: Path) -> None:
    with importable(write_tree(tmp_path, PROJECT)) as load:
        for name in (*LOADED, "fern.blocks"):
            load(name)
        counting = load("fern.registry").Counting
        counting.asked = 0
        find_registered(LOADED, ("fern.blocks",))
        # By two ways in which it lies at different depths, and once for each of them at most.
        assert 1 <= counting.asked <= 3


@pytest.mark.parametrize("depth", [3, 4])
def test_containers_are_looked_through_down_to_a_depth(depth: int, tmp_path: Path) -> None:
    held = "[" * depth + "Leaf" + "]" * depth
    project = f"""
    --- moss/__init__.py
    --- moss/table.py
    KEPT = [0]
    --- moss/leaves.py
    from moss.table import KEPT
    class Leaf: pass
    KEPT[0] = {held}
    """
    with importable(write_tree(tmp_path, project)) as load:
        leaves = load("moss.leaves")
        assert find_registered(("moss.table",), ("moss.leaves",)) == [leaves.Leaf] * (depth == 3)


def _of_script(wait: Callable[[], object]) -> Callable[[], object]:
    def heartbeat() -> object:
        return wait()

    heartbeat.__module__ = "__main__"
    return heartbeat


def test_what_runs_in_a_thread_is_registered_by_nobody() -> None:
    done, answer = threading.Event(), Future[None]()
    thread = threading.Thread(target=_of_script(done.wait))
    thread.start()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(_of_script(done.wait))
        answer.add_done_callback(_of_script(done.wait))  # type: ignore[arg-type]
        running = ("threading", "concurrent.futures", "concurrent.futures.thread", "queue", "weakref")
        assert find_registered(running, ()) == []
        done.set()
    thread.join()
