"""What code can reach, over a stock that is written down in the test."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.support import files_of
from wardian.domain.names import ModuleName, module_of
from wardian.domain.source_facts import SourceFacts
from wardian.packing.tracing.need import (
    SMALL_FILE,
    SMALL_PACKAGE,
    Reach,
    StockedModule,
    find_mentioned_data,
    find_reached,
)
from wardian.source.scanning import scan


class Shelf:
    """A stock in memory."""

    def __init__(self, text: str, sizes: Mapping[str, int]) -> None:
        self.sources = {name: content.encode() for name, content in files_of(text).items()}
        self.records = {module: name for name in self.sources if (module := module_of(name)) is not None}
        self.modules = {
            module: StockedModule("orchard", name, sizes.get(module, 10), name.endswith("/__init__.py"))
            for module, name in self.records.items()
        }

    def facts(self, name: ModuleName) -> SourceFacts | None:
        if name not in self.records:
            return None
        return scan(
            self.source(name), name, is_package=self.modules[name].is_package, file=self.records[name]
        )

    def source(self, name: ModuleName) -> bytes:
        return self.sources[self.records[name]]


def _reach(text: str, *, ran: tuple[str, ...] = (), sizes: Mapping[str, int] | None = None) -> Reach:
    seeds = [ModuleName("orchard.apple"), *map(ModuleName, ran)]
    return find_reached(seeds, frozenset(map(ModuleName, ran)), Shelf(text, sizes or {}))


_LAZY = """
--- orchard/__init__.py
from typing import TYPE_CHECKING
if TYPE_CHECKING or EAGER:
    from orchard import walnut
VERSION = 1
def __getattr__(name):
    return load(name)
--- orchard/pear.py
class Pear: ...
--- orchard/plum.py
PLUM = 1
VERSION = 2
--- orchard/walnut.py
"""


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("import orchard.pear", {"pear"}),
        ("def f():\n    from orchard import pear", {"pear"}),
        ("def f():\n    from orchard import Pear", {"pear"}),
        ("from orchard import PLUM as P", {"plum"}),
        ("import orchard\ndef f():\n    return orchard.Pear", {"pear"}),
        ("import orchard as o, os\ndef f():\n    return o.PLUM", {"plum"}),
        ("from orchard import VERSION", set()),
        ("import typing\nif typing.TYPE_CHECKING:\n    from orchard import Pear", set()),
        ("TABLE = {'pear': 'orchard.pear.Pear'}", {"pear"}),
        ("TABLE = {'pear': 'orchard.pear'}", {"pear"}),
        ("try:\n    from orchard import pear\nexcept ImportError:\n    pass", {"pear"}),
        ("SAYING = 'orchard. pear'", set()),
        ("SAYING = 'let us import orchard, which has orchard.PLUM'", set()),
        ("if True:\n\timport  orchard  as  o  # fruit\n\to.PLUM", {"plum"}),
    ],
)
def test_a_lazy_package_gives_what_is_asked_of_it(statement: str, expected: set[str]) -> None:
    reach = _reach(f"{_LAZY}--- orchard/apple.py\n{statement}\n", ran=("orchard",))
    assert {name.partition(".")[2] for name in reach.modules} == {"", "apple", *expected}


def test_a_lazy_package_that_did_not_run_may_import_what_its_conditions_allow() -> None:
    reach = _reach(f"{_LAZY}--- orchard/apple.py\n")
    assert "orchard.walnut" in reach.modules


_LAZY_IN_A_BRANCH = """
--- orchard/__init__.py
import sys
from typing import TYPE_CHECKING
try:
    import grafting
except ImportError:
    from orchard import stub
if TYPE_CHECKING or EAGER:
    from orchard.walnut import Walnut
else:
    sys.modules[__name__] = Lazy(__name__)
--- orchard/apple.py
def f():
    from orchard import Pear
--- orchard/pear.py
class Pear: ...
--- orchard/stub.py
--- orchard/walnut.py
class Walnut: ...
"""


def test_a_package_that_is_lazy_in_a_branch_imports_what_is_asked_of_it_or_depends_on_the_environment() -> (
    None
):
    reach = _reach(_LAZY_IN_A_BRANCH, ran=("orchard",))
    assert reach.modules == {"orchard", "orchard.apple", "orchard.pear", "orchard.stub"}


_COMPUTED = """
--- orchard/__init__.py
--- orchard/apple.py
import importlib
def dry(kind):
    return importlib.import_module(f"orchard.dryers.{kind}")
--- orchard/dryers/__init__.py
--- orchard/dryers/sun.py
import orchard.fence
--- orchard/fence.py
"""


def test_of_a_small_package_come_all_modules_that_a_computed_name_can_mean() -> None:
    sun = "orchard.dryers.sun"
    assert {sun, "orchard.fence"} <= _reach(_COMPUTED).modules
    assert sun not in _reach(_COMPUTED, sizes={sun: SMALL_PACKAGE + 1}).modules


def test_it_is_told_how_a_module_is_reached() -> None:
    (edge,) = _reach(
        f"{_LAZY}--- orchard/apple.py\ndef f():\n    from orchard import Pear\n", ran=("orchard",)
    ).edges
    assert str(edge) == "orchard/apple.py:2: orchard.apple imports orchard.pear (function)"


@pytest.mark.parametrize(
    ("record", "size", "expected"),
    [
        ("orchard/note.txt", SMALL_FILE, True),
        ("orchard/note.txt", SMALL_FILE + 1, False),
        ("orchard/seeds.bin", SMALL_FILE + 1, True),
        ("orchard/maps/north.png", SMALL_FILE + 1, True),
        ("orchard/pictures/north.png", SMALL_FILE + 1, False),
    ],
)
def test_data_comes_along_if_it_is_small_or_named(record: str, size: int, *, expected: bool) -> None:
    sources = [b"open(here / 'seeds.bin')", b"os.listdir(os.path.join(here, 'maps'))"]
    assert (record in find_mentioned_data([(record, size)], sources)) is expected
