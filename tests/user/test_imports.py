"""Every way to import that users have reaches the packed copy, and only it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import wardian
from tests.support import answers_of, ask, importable, write_tree

PROJECT = """
--- botany/__init__.py
GENUS = "rosa"

--- botany/model.py
import torch

class Garden(torch.nn.Module):
    def __init__(self, features):
        super().__init__()
        self.features = features
        self.soil = torch.nn.Linear(2, 2)

    def forward(self, x):
        return self.soil(x)

--- botany/ops/__init__.py
--- botany/ops/scale.py
FACTOR = 3
--- botany/ops/deep/__init__.py
--- botany/ops/deep/roots.py
DEPTH = 7

--- botany/relative.py
from .ops.scale import FACTOR
from .ops import scale as renamed
from . import ops
def answer():
    return [FACTOR, renamed.FACTOR, ops.scale.FACTOR]

--- botany/absolute.py
from botany.ops.scale import FACTOR
from botany import GENUS
import botany.ops.scale as renamed
def answer():
    return [FACTOR, GENUS, renamed.FACTOR]

--- botany/dotted.py
import botany.ops.deep.roots
import botany.ops.scale, botany.ops.deep
def answer():
    return [botany.ops.deep.roots.DEPTH, botany.ops.scale.FACTOR, botany.GENUS]

--- botany/in_function.py
def answer():
    import botany.late.bloom
    from botany.late import bloom
    from .late.bloom import COLOUR
    return [botany.late.bloom.COLOUR, bloom.COLOUR, COLOUR]
--- botany/late/__init__.py
--- botany/late/bloom.py
COLOUR = "red"

--- botany/dunder_import.py
def answer():
    top = __import__("botany.ops.scale")
    leaf = __import__("botany.ops.scale", fromlist=["FACTOR"])
    own = __import__("ops.scale", globals(), None, ["FACTOR"], 1)
    return [top.GENUS, leaf.FACTOR, own.FACTOR]

--- botany/by_string.py
import importlib
from importlib import import_module
def answer():
    absolute = importlib.import_module("botany.ops.scale")
    relative = import_module(".scale", "botany.ops")
    own = import_module(f"{__package__}.ops.scale")
    assert absolute is relative is own
    return absolute.FACTOR

--- botany/executed.py
def answer():
    names = {}
    exec("from botany.ops.scale import FACTOR", names)
    return [names["FACTOR"], eval("__import__('botany').GENUS")]

--- botany/typed.py
from __future__ import annotations
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from never_installed import Nothing
    from botany.ops.scale import FACTOR
def answer():
    return "FACTOR" in globals()

--- botany/circle_a.py
import botany.circle_b as other
from . import circle_b
VALUE = 1
def answer():
    return [other.total(), circle_b.total()]
--- botany/circle_b.py
from botany import circle_a
def total():
    return circle_a.VALUE + 1

--- botany/me.py
import sys
from sys import modules
LEVEL = 5
def answer():
    me = sys.modules[__name__]
    assert modules[__name__] is me
    sys.modules[__name__].EXTRA = 6
    return [me.LEVEL, EXTRA]

--- botany/own_name_in_modules.py
import sys
import botany.ops.scale
def answer():
    return ["botany.ops.scale" in sys.modules, sys.modules["botany.ops.scale"].FACTOR]

--- botany/lazy.py
def __getattr__(name):
    if name == "slow":
        return 11
    raise AttributeError(name)
--- botany/module_getattr.py
from botany import lazy
from botany.lazy import slow
def answer():
    return [lazy.slow, slow, hasattr(lazy, "fast")]

--- botany/optional.py
try:
    import rarely_installed
except ImportError:
    rarely_installed = None
try:
    from rarely_installed.deep import thing
except ModuleNotFoundError as error:
    missing = error.name
import importlib.util
def answer():
    try:
        from rarely_installed import sub
        late = "there"
    except ImportError:
        late = "absent"
    found = importlib.util.find_spec("rarely_installed") is not None
    return [rarely_installed is not None, late, found]

--- botany/star.py
from botany.starred import *
def answer():
    return [petal, "_hidden" in globals()]
--- botany/starred.py
petal = 5
_hidden = 6

--- botany/plugins/__init__.py
from botany.plugins import rose, tulip
--- botany/plugins/registry.py
TABLE = {}
--- botany/plugins/rose.py
from botany.plugins.registry import TABLE
TABLE["rose"] = "thorny"
--- botany/plugins/tulip.py
from botany.plugins.registry import TABLE
TABLE["tulip"] = "smooth"
--- botany/plugin_table.py
from botany.plugins.registry import TABLE
def answer():
    return TABLE

--- botany/counted.py
import botany
RUNS = []
def answer():
    RUNS.append(botany.GENUS)
    return len(RUNS)

--- herbs/basil/leaf.py
from herbs.mint import cool
def answer():
    return cool.SCENT
--- herbs/mint/cool.py
SCENT = "menthol"
--- single.py
import botany.ops.scale
def answer():
    return botany.ops.scale.FACTOR
"""

DECOY = """
--- botany/__init__.py
raise RuntimeError("the installed botany was imported")
--- rarely_installed/__init__.py
--- rarely_installed/sub.py
--- rarely_installed/deep.py
thing = 1
"""
"""What is importable where the case is loaded."""

EXPECTED: dict[str, Any] = {
    "botany.relative": [3, 3, 3],
    "botany.absolute": [3, "rosa", 3],
    "botany.dotted": [7, 3, "rosa"],
    "botany.in_function": ["red", "red", "red"],
    "botany.dunder_import": ["rosa", 3, 3],
    "botany.by_string": 3,
    "botany.executed": [3, "rosa"],
    "botany.typed": False,
    "botany.circle_a": [2, 2],
    "botany.me": [5, 6],
    "botany.own_name_in_modules": [True, 3],
    "botany.module_getattr": [11, 11, False],
    "botany.optional": [False, "absent", False],
    "botany.star": [5, False],
    "botany.plugin_table": {"rose": "thorny", "tulip": "smooth"},
    "botany.counted": 1,
    "herbs.basil.leaf": "menthol",
    "single": 3,
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the features answer where they are installed, and where the case is loaded."""
    folder = tmp_path_factory.mktemp("imports")
    project = write_tree(folder / "project", PROJECT)
    with importable(project) as load:
        features = {name: load(name).answer for name in EXPECTED}
        model = load("botany.model").Garden(features)
        wardian.pack(model, folder / "garden.case", inputs=(torch.ones(1, 2),))
        before = answers_of(features)
    decoy = write_tree(folder / "decoy", DECOY)
    return before, ask(folder / "garden.case", folder=folder, paths=(decoy,))


@pytest.mark.parametrize("feature", EXPECTED)
def test_the_loaded_feature_answers_as_the_installed_one(
    feature: str, answers: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    installed, loaded = answers
    assert installed[feature] == EXPECTED[feature], "the test itself is wrong"
    assert loaded[feature] == EXPECTED[feature], loaded[feature]


def test_nothing_of_the_project_is_left_in_this_process(
    answers: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    with pytest.raises(ModuleNotFoundError):
        __import__("botany")


def test_the_self_test_of_a_case_needs_no_more_than_the_case(tmp_path: Path) -> None:
    """A model without any code of its own: torch is all it needs."""
    report = wardian.pack(torch.nn.Linear(2, 2), tmp_path / "linear.case", prove=False)
    assert report.manifest.distributions == ()
    assert [extern.distribution for extern in report.manifest.externs] == ["torch"]
