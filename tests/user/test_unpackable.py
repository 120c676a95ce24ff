"""What cannot be packed: all of it is told, with its place and the line that settles it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import wardian
from tests.support import importable, write_tree

PROJECT = """
--- willow/__init__.py
--- willow/model.py
import torch
from willow.branches import twig

class Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.hooks = []
        self.fc = torch.nn.Linear(2, 2)

    def forward(self, x):
        return self.fc(x)

class Willow(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.blocks = torch.nn.ModuleList([Encoder(), Encoder()])

    def forward(self, x):
        return self.encoder(x)

class Dry(torch.nn.Module):
    def forward(self, x):
        raise RuntimeError("the sap does not rise")

class Stream(torch.nn.Module):
    def forward(self, x):
        return (x + i for i in range(3))

class Brittle:
    def __getstate__(self):
        return {"a": 1}

    def __setstate__(self, state):
        raise ValueError("it cannot be put together again")

--- willow/branches/__init__.py
from willow.leaves import GREEN
--- willow/branches/twig.py
def load():
    import willow.forbidden
--- willow/leaves.py
GREEN = 1
--- willow/forbidden.py
--- willow/options.py
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--width", required=True)
OPTIONS = parser.parse_args()
class Net:
    width = OPTIONS.width
"""

X = torch.ones(1, 2)


def iter_once() -> Iterator[int]:
    """Make a generator, which nothing can pickle."""
    yield 1


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """The importable project; afterwards the target is as it was, and nothing else is in its folder."""
    folder = tmp_path / "target"
    folder.mkdir()
    (folder / "willow.case").write_bytes(b"yesterday's case")
    with importable(write_tree(tmp_path / "project", PROJECT)) as load:
        yield load
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [
        ("willow.case", b"yesterday's case")
    ]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target" / "willow.case"


def test_every_attribute_that_cannot_be_pickled_is_told_with_its_place(
    project: Callable[[str], Any], target: Path
) -> None:
    model = project("willow.model").Willow()
    model.encoder.hooks = [1, 2, iter_once()]
    with (target.parent.parent / "open.txt").open("w+") as file:
        model.blocks[1].hooks = {"log": (file,)}
        with pytest.raises(wardian.UnpicklableError) as caught:
            wardian.pack(model, target, prove=False)
    assert isinstance(caught.value, TypeError)
    assert caught.value.path == "model.encoder.hooks[2]"
    places = [problem.what.partition(" is a ")[0] for problem in caught.value.problems]
    assert places == ["model.encoder.hooks[2]", "model.blocks[1].hooks['log'][0]"]
    assert "remove model.encoder.hooks[2] before packing" in str(caught.value)


def test_inputs_that_cannot_be_pickled_are_called_inputs(project: Callable[[str], Any], target: Path) -> None:
    with pytest.raises(wardian.UnpicklableError) as caught:
        wardian.pack(project("willow.model").Willow(), target, inputs=(X, iter_once()))
    assert caught.value.path == "inputs[1]"


def test_an_object_that_cannot_be_pickled_is_told_with_what_it_came_from(tmp_path: Path) -> None:
    with pytest.raises(wardian.UnpicklableError) as caught:
        wardian.pack([iter_once()], tmp_path / "made.case", prove=False)
    assert type(caught.value.__cause__) is TypeError


def test_every_denied_module_is_told_with_the_imports_that_lead_there(
    project: Callable[[str], Any], target: Path
) -> None:
    model = project("willow.model").Willow()
    policy = wardian.Policy(deny=["willow.leaves", "willow.branches.*"])
    with pytest.raises(wardian.PlanError) as caught:
        wardian.pack(model, target, prove=False, policy=policy)
    twig, leaves = sorted(caught.value.problems, key=lambda problem: problem.module or "")
    assert (twig.module, leaves.module) == ("willow.branches.twig", "willow.leaves")
    assert leaves.fix.startswith("let that rule not match willow.leaves; or, if it is imported and not used")
    assert leaves.fix.endswith(', in place of that rule: Policy(mock=["willow.leaves"])')
    source = target.parent.parent / "project" / "willow"
    assert [step.partition(": ")[0] for step in leaves.chain[1:]] == [
        f"{source / 'model.py'}:2",
        f"{source / 'branches' / '__init__.py'}:1",
    ]
    assert str(caught.value).startswith(
        "model cannot be packed; 2 problems:\n1. willow.branches.twig is denied"
    )


def test_a_module_that_is_not_there_any_more_is_told_with_its_place(
    project: Callable[[str], Any], target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = project("willow.model").Encoder()
    folder = target.parent.parent / "project"
    folder.rename(folder.with_name("elsewhere"))
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(folder)])
    with pytest.raises(wardian.PlanError) as caught:
        wardian.pack(torch.nn.Sequential(encoder), target)
    (problem,) = caught.value.problems
    assert problem.module == "willow.model"
    assert problem.chain == ("model[0] is a willow.model.Encoder",)
    assert "define Encoder in a module that can be imported" in problem.fix


def test_an_exception_in_forward_comes_with_its_traceback(
    project: Callable[[str], Any], target: Path
) -> None:
    with pytest.raises(wardian.PackError) as caught:
        wardian.pack(project("willow.model").Dry(), target, inputs=(X,))
    told = str(caught.value)
    assert told.startswith("RuntimeError: the sap does not rise\n")
    assert "fix: model(...) does not work here, either: pass inputs that model takes\n" in told
    frames = [line for line in told.partition("Traceback")[2].splitlines() if "File " in line]
    assert len(frames) == 1, "only those of the user's code"
    assert "in forward" in frames[0]
    assert 'raise RuntimeError("the sap does not rise")' in told
    assert told.index("fix: ") < told.index("Traceback")


def test_a_class_whose_call_does_not_fit_is_told_without_the_inside_of_wardian(
    project: Callable[[str], Any], target: Path
) -> None:
    with pytest.raises(wardian.PackError) as caught:
        wardian.pack(project("willow.model").Encoder, target, inputs=(X,))
    told = str(caught.value)
    assert told.startswith("TypeError: Encoder.__init__() takes 1 positional argument but 2 were given\n")
    assert "model is the class Encoder, not an instance of it: pass Encoder(...)" in told
    assert "File " not in told


ONLY_HERE = """
--- reed.py
import os, torch

class Reed(torch.nn.Module):
    def forward(self, x):
        return x * self.bend()

    def bend(self):
        if not hasattr(os, "wind"):
            raise LookupError("no wind") from ValueError("still")
        return os.wind

class Rush(torch.nn.Module):
    def forward(self, x):
        raise LookupError("wet" if hasattr(os, "wind") else "dry")
"""


def test_whose_fault_a_failing_call_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "wind", 2, raising=False)  # which no other process has
    with importable(write_tree(tmp_path / "reeds", ONLY_HERE)) as load:
        with pytest.raises(wardian.PackError) as caught:
            wardian.pack(load("reed").Reed(), tmp_path / "reed.case", inputs=(X,))
        told = str(caught.value)
        assert told.startswith("LookupError: no wind\n")
        assert "model(...) works here and not in a clean process, so it uses something" in told
        assert "ValueError: still" in told, "what it follows from"
        with pytest.raises(wardian.PackError) as caught:
            wardian.pack(load("reed").Rush(), tmp_path / "reed.case", inputs={"x": X})
        assert "does not work here, either, which raises LookupError: wet" in str(caught.value)


def test_a_module_that_reads_the_command_line_is_told_with_its_line(
    project: Callable[[str], Any], target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "--width", "3"])
    with pytest.raises(wardian.PackError) as caught:
        wardian.pack(project("willow.options").Net(), target)
    assert "fix: code that is imported ends the process" in str(caught.value)
    assert "OPTIONS = parser.parse_args()" in str(caught.value)


def test_an_object_that_cannot_be_unpickled_is_not_published(
    project: Callable[[str], Any], target: Path
) -> None:
    with pytest.raises(wardian.PackError, match="ValueError: it cannot be put together again"):
        wardian.pack([project("willow.model").Brittle()], target)


def test_a_module_that_the_run_does_not_import_may_be_denied(project: Callable[[str], Any]) -> None:
    plan = wardian.plan(project("willow.model").Willow(), policy=wardian.Policy(deny="willow.forbidden"))
    assert plan.decision("willow.branches.twig") is not None
    assert plan.decision("willow.forbidden") is None


def test_a_result_that_cannot_be_kept_is_not_compared(project: Callable[[str], Any], tmp_path: Path) -> None:
    report = wardian.pack(project("willow.model").Stream(), tmp_path / "stream.case", inputs=(X,))
    (entry,) = report.manifest.entries
    assert (entry.test, entry.outputs) == (".wardian/tests/model.pkl", False)
    assert report.manifest.proof == "passed"


def test_without_a_proof_the_inputs_are_kept_and_no_outputs(
    project: Callable[[str], Any], tmp_path: Path
) -> None:
    report = wardian.pack(
        project("willow.model").Willow(), tmp_path / "willow.case", inputs=(X,), prove=False
    )
    (entry,) = report.manifest.entries
    assert (entry.test, entry.outputs) == (".wardian/tests/model.pkl", False)
    assert report.manifest.proof == "skipped"
    with wardian.open(tmp_path / "willow.case") as case:
        case.check()


def test_what_fails_when_it_is_loaded_says_which_file_it_was(
    project: Callable[[str], Any], tmp_path: Path
) -> None:
    case = tmp_path / "brittle.case"
    wardian.pack([project("willow.model").Brittle()], case, prove=False)
    with pytest.raises(ValueError, match="it cannot be put together again") as caught:
        wardian.load(case)
    assert caught.value.__notes__ == [f"while loading model/model.pkl of {case}"]


class _Halved:
    """Pickles with one argument too few."""

    def __init__(self, whole: int, half: int) -> None:
        self.whole, self.half = whole, half

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.whole,)


class _Forgetful:
    def __setstate__(self, state: object) -> None:
        raise ValueError("no state is welcome")

    def __getstate__(self) -> dict[str, int]:
        return {"whole": 2}


@pytest.mark.parametrize(
    ("part", "why"),
    [(_Halved(2, 1), "missing 1 required positional argument: 'half'"), (_Forgetful(), "no state")],
)
def test_what_pickles_and_cannot_be_made_again_is_told_with_its_place(
    part: object, why: str, tmp_path: Path
) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    model.parts = {"part": part}  # type: ignore[assignment]
    with pytest.raises(wardian.PackError) as caught:
        wardian.pack(model, tmp_path / "model.case")
    (problem,) = caught.value.problems
    assert (
        f"model.parts['part'] is a {__name__}.{type(part).__name__}, which cannot be made again"
        in problem.what
    )
    assert why in problem.what
    assert "pickle.loads(pickle.dumps(model.parts['part']))" in problem.fix


_WORKER = """
--- heath/__init__.py
import queue
import threading

import torch

class Asking(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.asked, self.answers = queue.Queue(), queue.Queue()
        self.worker = threading.Thread(target=self.work, name="answering", daemon=True)
        self.worker.start()

    def work(self):
        while (x := self.asked.get()) is not None:
            self.answers.put(2 * x)

    def forward(self, x):
        self.asked.put(x)
        return self.answers.get(timeout=0.1)
"""


def test_a_thread_that_a_model_asks_is_named(tmp_path: Path) -> None:
    with importable(write_tree(tmp_path / "sources", _WORKER)) as load:
        model = load("heath").Asking()
        assert torch.equal(model(torch.ones(1)), torch.full((1,), 2.0))
        told = r"model\.worker is a thread \('answering'\) that runs here and has ended in the case"
        with pytest.raises(wardian.PackError, match=told) as caught:
            wardian.pack(model, tmp_path / "heath.case", inputs=(torch.ones(1),))
        assert "does not work here" not in str(caught.value)
        with pytest.warns(wardian.WardianWarning, match=told):
            report = wardian.pack(model, tmp_path / "heath.case", prove=False)
        assert len(report.warnings) == 1
        model.asked.put(None)
        model.worker.join()
