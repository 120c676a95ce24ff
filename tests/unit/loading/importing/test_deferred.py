"""Packages that wait: nobody can tell that their `__init__` has not run yet."""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import wardian
from tests.support import write_case

MOSS = """
--- moss/__init__.py
from moss import log
log.RUNS.append("moss")
from moss.patch import Patch
from moss.stars import *
SIZE = 4
patch_count = 2
def grow(): return SIZE
--- moss/log.py
RUNS = []
--- moss/patch.py
class Patch: pass
--- moss/stars.py
stellar = "stellar"
--- moss/other.py
VALUE = 1
"""


@pytest.fixture
def case(tmp_path: Path) -> Iterator[wardian.Case]:
    with wardian.open(write_case(tmp_path / "moss.case", MOSS, deferred=("moss",))) as opened:
        yield opened


def _runs(case: wardian.Case) -> Any:
    return case.import_module("moss.log").RUNS


def test_a_module_below_does_not_run_the_package(case: wardian.Case) -> None:
    assert case.import_module("moss.other").VALUE == 1
    assert _runs(case) == []


@pytest.mark.parametrize("attribute", ["SIZE", "Patch", "grow", "stellar"])
def test_reading_what_it_binds_runs_it_once(attribute: str, case: wardian.Case) -> None:
    package = case.import_module("moss")
    assert _runs(case) == []
    assert getattr(package, attribute) is not None
    assert getattr(package, attribute) is getattr(case.import_module("moss"), attribute)
    assert _runs(case) == ["moss"]
    assert type(package).__name__ == "module"


def test_asking_for_what_there_is_not_says_so(case: wardian.Case) -> None:
    package = case.import_module("moss")
    assert not hasattr(package, "flowers")
    with pytest.raises(AttributeError, match="flowers"):
        package.flowers  # noqa: B018
    assert hasattr(package, "SIZE")


def test_dir_and_vars_show_everything(case: wardian.Case) -> None:
    package = case.import_module("moss")
    assert {"SIZE", "Patch", "grow", "stellar"} <= set(dir(package))


def test_the_dictionary_shows_everything(case: wardian.Case) -> None:
    # How torchvision's users look models up: models.__dict__["resnet18"].
    package = case.import_module("moss")
    assert package.__dict__["Patch"] is package.Patch
    assert vars(package)["SIZE"] == 4


def test_setting_an_attribute_lasts(case: wardian.Case) -> None:
    package = case.import_module("moss")
    grow = package.grow
    package.__dict__["SIZE"] = 9
    assert (grow(), package.SIZE) == (9, 9)


def test_from_import_of_a_star_runs_it(tmp_path: Path) -> None:
    sources = MOSS + "\n--- moss_user.py\nfrom moss import *\nFOUND = [SIZE, stellar]"
    with wardian.open(write_case(tmp_path / "moss.case", sources, deferred=("moss",))) as case:
        assert case.import_module("moss_user").FOUND == [4, "stellar"]


CLASH = """
--- moss/__init__.py
from moss.patch import patch
--- moss/patch.py
def patch(): return "the function"
--- user.py
import moss.patch
from moss import patch
import moss
KINDS = [type(patch).__name__, type(moss.patch).__name__]
--- other_user.py
from moss.patch import patch as function
import moss
KINDS = [type(function).__name__, type(moss.patch).__name__]
"""


@pytest.mark.parametrize("module", ["user", "other_user"])
def test_an_attribute_with_the_name_of_a_submodule_wins_as_it_does_without_waiting(
    module: str, tmp_path: Path
) -> None:
    kinds = []
    for name, deferred in (("eager", ()), ("waiting", ("moss",))):
        with wardian.open(write_case(tmp_path / f"{name}.case", CLASH, deferred=deferred)) as case:
            kinds.append(case.import_module(module).KINDS)
    assert kinds == [["function", "function"]] * 2


def test_a_package_that_fails_fails_again(tmp_path: Path) -> None:
    sources = "--- moss/__init__.py\nSIZE = 1 / 0\n--- moss/other.py\nVALUE = 1"
    with wardian.open(write_case(tmp_path / "moss.case", sources, deferred=("moss",))) as case:
        assert case.import_module("moss.other").VALUE == 1
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                case.import_module("moss").SIZE  # noqa: B018


def test_a_waiting_package_may_replace_itself(tmp_path: Path) -> None:
    sources = """
    --- moss/__init__.py
    import sys, types
    lazy = types.ModuleType(__name__)
    lazy.__path__ = __path__
    lazy.SIZE = 7
    sys.modules[__name__] = lazy
    --- moss/other.py
    VALUE = 1
    """
    with wardian.open(write_case(tmp_path / "moss.case", sources, deferred=("moss",))) as case:
        case.import_module("moss.other")
        package = case.import_module("moss")
        assert package.SIZE == 7
        assert sys.modules[package.__name__].SIZE == 7


@contextmanager
def events(*names: str) -> Iterator[dict[str, threading.Event]]:
    """Put events where the sources of a case find them: in a module `moss_events`."""
    module = types.ModuleType("moss_events")
    module.__dict__.update({name: threading.Event() for name in names})
    sys.modules["moss_events"] = module
    try:
        yield module.__dict__
    finally:
        del sys.modules["moss_events"]


def test_a_thread_waits_for_the_one_that_runs_it(tmp_path: Path) -> None:
    sources = """
    --- moss/__init__.py
    from moss_events import started, go
    started.set()
    go.wait()
    SIZE = 4
    """
    case = write_case(tmp_path / "moss.case", sources, deferred=("moss",))
    with events("started", "go") as event, wardian.open(case) as opened:
        package = opened.import_module("moss")
        first = threading.Thread(target=lambda: package.SIZE, daemon=True)
        first.start()
        event["started"].wait()
        threading.Timer(0.05, event["go"].set).start()
        assert package.SIZE == 4
        first.join()


def test_threads_that_need_each_other_do_not_lock_up(tmp_path: Path) -> None:
    sources = """
    --- moss/__init__.py
    from moss_events import package_runs, module_runs
    package_runs.set()
    module_runs.wait()
    import fern
    SIZE = 4
    --- lichen/__init__.py
    SIZE = 5
    --- fern.py
    from moss_events import package_runs, module_runs
    module_runs.set()
    package_runs.wait()
    import lichen
    SIZE = lichen.SIZE
    """
    case = write_case(tmp_path / "moss.case", sources, deferred=("lichen", "moss"))
    with events("package_runs", "module_runs"), wardian.open(case) as opened:
        package = opened.import_module("moss")
        opened.import_module("lichen")
        threads = [
            threading.Thread(target=lambda: package.SIZE, daemon=True),
            threading.Thread(target=lambda: opened.import_module("fern"), daemon=True),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not [thread for thread in threads if thread.is_alive()]
        assert (package.SIZE, opened.import_module("fern").SIZE) == (4, 5)


def test_many_threads_run_it_once(case: wardian.Case) -> None:
    package = case.import_module("moss")
    start = threading.Barrier(8)
    seen: list[Any] = []

    def read() -> None:
        start.wait()
        seen.append(package.SIZE)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [4] * 8
    assert _runs(case) == ["moss"]
