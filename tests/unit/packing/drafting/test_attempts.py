"""Runs in clean processes until one works, each with more of what this process has."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support import importable, write_tree
from tests.unit.capture.transplant import execute
from wardian.archive.writer import ArchiveWriter
from wardian.capture.session import Capture
from wardian.domain.trace import Evidence
from wardian.errors import PackError
from wardian.packing.drafting.attempts import Attempted, Attempts
from wardian.packing.drafting.live_object import LiveObject
from wardian.packing.drafting.origins import Origins
from wardian.packing.drafting.pickling import Pickling
from wardian.packing.drafting.reductions import Reductions
from wardian.processes.clean import CleanProcesses
from wardian.tensors.scripts import ScriptingStorageWriter

PROJECT = """
--- shop_a/__init__.py
KINDS = {}
--- shop_a/heads.py
SIZE = 3
--- shop_a/model.py
import shop_a
class Net:
    def __call__(self):
        return shop_a.heads.SIZE
class Kinds:
    def __init__(self):
        self.kind = None
    def __setstate__(self, state):
        self.kind = shop_a.KINDS["rose"]
--- shop_a/roses.py
import shop_a
def rose():
    pass
shop_a.KINDS["rose"] = rose
"""


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    with importable(write_tree(tmp_path / "project", PROJECT)) as load:
        yield load


class _Run:
    """The attempts with one object, and the reasons for those after the first."""

    def __init__(self, archive: ArchiveWriter, obj: Any, calls: dict[str, Any]) -> None:
        origins = Origins()
        capture = Capture(origins)
        storages = ScriptingStorageWriter(archive)
        reductions = Reductions(capture, storages)
        pickling = Pickling(capture, origins, reductions, storages)
        self.reasons: list[str] = []
        self.attempts = Attempts(
            LiveObject("net", {"net": obj}, calls, capture),
            partial(pickling.pickle_with_effects, obj, "net"),
            capture,
            origins,
            reductions,
            archive,
            storages,
            CleanProcesses(),
            self.reasons.append,
        )
        self.pickled = pickling.pickle_with_effects(obj, "net")
        self.told: list[tuple[Evidence, Collection[str]]] = []
        self.idle: list[str] = []
        self._arguments = pickling.pickle(calls["net"], "inputs") if calls else None

    def run(self) -> Attempted:
        return self.attempts.run(self.pickled, self._arguments, self)

    def when_idle(self) -> None:
        self.idle.append(threading.current_thread().name)

    def when_run(self, evidence: Evidence, top_levels: Collection[str]) -> None:
        self.told.append((evidence, top_levels))


@pytest.fixture
def attempt(tmp_path: Path) -> Iterator[Callable[..., _Run]]:
    with ArchiveWriter(tmp_path / "net.case") as archive:
        yield lambda obj, **calls: _Run(archive, obj, calls)


def test_an_object_that_works_at_once_is_tried_once(attempt: Callable[..., _Run]) -> None:
    run = attempt([1, Fraction(1, 2)])
    attempted = run.run()
    assert (attempted.pickled, attempted.beforehand, run.reasons) == (run.pickled, (), [])
    assert run.told == [(attempted.observation.evidence, {"fractions"})]
    assert run.idle == ["wardian-ahead"]


def test_submodules_that_code_takes_from_their_packages_are_found_with_whose_code(
    attempt: Callable[..., _Run], load: Callable[[str], Any]
) -> None:
    run = attempt(load("shop_a.model").Net())
    assert run.attempts.find_submodules(run.pickled) == {}  # nothing has imported it here
    heads = load("shop_a.heads")
    run = attempt(load("shop_a.model").Net())
    assert run.attempts.find_submodules(run.pickled) == {heads: {"shop_a.model"}}
    made = execute("import shop_a\ndef act():\n    return shop_a.heads.SIZE\n")
    run = attempt(made["act"])
    assert run.attempts.find_submodules(run.pickled) == {heads: {"captured.notebook", "shop_a.model"}}


def test_a_submodule_that_nothing_imports_there_is_imported_first(
    attempt: Callable[..., _Run], load: Callable[[str], Any]
) -> None:
    heads = load("shop_a.heads")
    run = attempt(load("shop_a.model").Net(), net=())
    attempted = run.run()
    assert attempted.beforehand == (heads,)
    assert attempted.observation.outputs == {"net": 3}
    (reason,) = run.reasons
    assert reason.endswith("now with shop_a.heads imported first")


def test_what_other_modules_register_is_registered_first(
    attempt: Callable[..., _Run], load: Callable[[str], Any]
) -> None:
    roses = load("shop_a.roses")
    run = attempt(load("shop_a.model").Kinds())
    attempted = run.run()
    assert roses.rose in attempted.beforehand or roses in attempted.beforehand
    assert run.reasons[-1].endswith("now with what other modules register at their import")


def test_an_object_that_cannot_be_made_again_is_told_and_tried_with_what_may_be_missing(
    attempt: Callable[..., _Run], load: Callable[[str], Any]
) -> None:
    run = attempt(load("shop_a.model").Kinds())  # nothing has registered a rose here, either
    with pytest.raises(PackError, match="does not load and run") as caught:
        run.run()
    assert caught.value.problems[0].what.startswith("net is a shop_a.model.Kinds, which cannot be made again")
