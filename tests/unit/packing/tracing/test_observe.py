"""What a clean process is told, and what its answers and errors become here."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wardian.archive.writer import ArchiveWriter
from wardian.capture.synthesis import CapturedModule
from wardian.domain.names import ModuleName, record_name
from wardian.packing.tracing.in_child import _write_results
from wardian.packing.tracing.observe import (
    Draft,
    _beforehand,
    _did_not_run,
    _read_answer,
    _read_results,
    _write_request,
    observe,
)
from wardian.processes.clean import ChildError, CleanProcesses


@pytest.fixture
def draft(tmp_path: Path) -> Draft:
    """A draft of a list, which is not called."""
    with ArchiveWriter(tmp_path / "oak.case") as archive:
        archive.finish(lambda digests: b"{}")
        archive.publish()
    return Draft(
        name="model",
        one=True,
        pickle=pickle.dumps([1]),
        globals=(),
        calls=(),
        inputs=None,
        archive=tmp_path / "oak.case",
        offsets={},
    )


def test_an_object_that_loads_there_gives_evidence(draft: Draft) -> None:
    called = replace(draft, pickle=pickle.dumps(len), globals=(("builtins", "len"),), calls=("model",))
    called = replace(called, inputs=pickle.dumps(("oak",)), submodules=("xml.sax.expatreader", "json"))
    observation = observe(called, CleanProcesses())
    assert (observation.outputs, observation.changes) == ({"model": 3}, {"model": {}})
    assert observation.evidence.ran
    assert "xml.sax.expatreader" in observation.unimported


def test_files_and_modules_of_the_draft_are_laid_out_for_the_child(draft: Draft, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    module = CapturedModule(ModuleName("captured.mill"), "RATE = 1\n", False, (), "/mill.py")
    request = _write_request(
        replace(draft, resources={record_name("a/b.txt"): b"oak"}, sources={module.name: module}), work
    )
    assert (work / "resources/a/b.txt").read_bytes() == b"oak"
    assert (work / "object.pkl").read_bytes() == draft.pickle
    assert not (work / "inputs.pkl").exists()
    assert request["sources"] == {"captured.mill": ["RATE = 1\n", False, "/mill.py"]}
    assert request["one"] == "model"
    assert _write_request(replace(draft, one=False), work)["one"] is None


def test_outputs_of_classes_that_only_the_child_has_are_left_out(draft: Draft, tmp_path: Path) -> None:
    offsets = _write_results({"model": ([1, "oak"], {})}, tmp_path, {})
    answer = {"outputs": True, "offsets": offsets, "reasons": {"elm": "elm is a generator"}}
    assert _read_answer(draft, tmp_path, answer) == ({"model": ([1, "oak"], {})}, answer["reasons"])
    (tmp_path / "outputs.pkl").write_bytes(b"\x80\x04cnobody\nNone\n.")
    results, reasons = _read_answer(replace(draft, calls=("model", "elm")), tmp_path, answer)
    why = "they hold something that only the clean process has: No module named 'nobody'"
    assert (results, reasons) == ({}, {"model": why, "elm": "elm is a generator"})
    assert _read_answer(draft, tmp_path, answer | {"outputs": False}) == ({}, answer["reasons"])


def test_outputs_of_code_that_no_import_finds_are_of_the_live_classes(draft: Draft, tmp_path: Path) -> None:
    offsets = _write_results({"model": (1, {})}, tmp_path, {})
    assert offsets is not None
    (tmp_path / "outputs.pkl").write_bytes(b"\x80\x04ccaptured.mill\nSaw\n.")
    module = CapturedModule(ModuleName("captured.mill"), "", False)
    live = replace(
        draft, sources={module.name: module}, find_live=lambda module, qualname: (module, qualname)
    )
    found: object = _read_results(live, tmp_path, offsets)
    assert found == ("captured.mill", "Saw")


# Errors


def _told(draft: Draft, summary: str = "ValueError: 3", output: str = "", **facts: Any) -> Any:
    return _did_not_run(draft, ChildError(summary, output, facts))


@pytest.mark.parametrize(
    ("here", "loss", "advice"),
    [
        (None, None, "does model(...) with these inputs work here? If not, pass inputs that model takes"),
        ("", None, "model(...) works here and not in a clean process, so it uses something of this process"),
        ("", "pickling loses it", "so pickling loses it"),
        ("ValueError: 3", None, "model(...) does not work here, either: pass inputs that model takes"),
        ("KeyError: 4", None, "does not work here, either, which raises KeyError: 4: pass inputs"),
    ],
)
def test_whose_fault_a_failing_call_is(draft: Draft, here: str | None, loss: str | None, advice: str) -> None:
    told = replace(draft, call_here=lambda name: here, find_loss=lambda name: loss)
    first, where, fix, *_ = str(_told(told, called="model")).splitlines()
    assert first == "ValueError: 3"
    assert where == "  raised by model(...) with the given inputs, in a clean process"
    assert advice in fix


def test_a_submodule_that_nobody_imported_is_to_be_imported(draft: Draft) -> None:
    works = replace(draft, call_here=lambda name: "")
    error = _told(works, called="model", unimported="shop.heads")
    assert "fix: let the code that uses shop.heads import it itself: import shop.heads" in str(error)
    assert error.unimported == "shop.heads"
    assert "import shop.heads" in str(_told(draft, unimported="shop.heads"))
    fails = replace(draft, call_here=lambda name: "ValueError: 3")
    assert "import shop.heads" not in str(_told(fails, called="model", unimported="shop.heads"))


def test_a_class_that_is_called_is_no_instance(draft: Draft) -> None:
    told = replace(draft, classes={"model": "Net"}, call_here=lambda name: "ValueError: 3")
    assert "model is the class Net, not an instance of it: pass Net(...)" in str(_told(told, called="model"))


def test_code_that_ends_the_process_is_told_where_it_belongs(draft: Draft) -> None:
    assert 'if __name__ == "__main__":' in str(_told(draft, "SystemExit: 2"))


def test_what_cannot_be_made_is_told_with_its_place(draft: Draft) -> None:
    placed = replace(draft, find_place=lambda module, qualname: ("model.head", f"{module}.{qualname}"))
    error = _told(placed, "TypeError: x", "trace", unmade=("shop", "Head"))
    (problem,) = error.problems
    assert problem.what == "model.head is a shop.Head, which cannot be made again: TypeError: x"
    assert problem.fix.startswith("let pickle.loads(pickle.dumps(model.head)) work")
    assert problem.module == "shop"
    assert error.output == "trace"
    (problem,) = _told(draft, unmade=("torch.nn.parallel", "DistributedDataParallel")).problems
    assert problem.what.startswith("something in model is a torch.nn.parallel.DistributedDataParallel")
    assert problem.fix == "pack what it wraps: ....module"


def test_lines_of_synthesised_modules_are_those_of_the_user(draft: Draft) -> None:
    module = CapturedModule(ModuleName("captured.mill"), "\nx\n", False, (("", 0), ("/mill.py", 7)))
    told = replace(draft, sources={module.name: module})
    lines = [
        'File "captured.mill.py", line 2',
        'File "captured.mill.py", line 1',
        'File "captured.mill.py", line 3',
        'File "other.py", line 2',
    ]
    output = _told(told, output="\n".join(lines)).output
    assert output.splitlines() == ['File "/mill.py", line 7', *lines[1:]]


def test_imports_are_made_beforehand_only_for_an_equal_draft(
    draft: Draft,
) -> None:
    request: dict[str, Any] = {"sources": {}, "places": {}, "silenced": ()}

    def digest(draft: Draft, allow: tuple[str, ...] = (), **more: Any) -> str | None:
        start = _beforehand(draft, {**request, **more}, allow)
        return None if start is None else str(start.arguments["digest"])

    assert digest(draft) is None  # what it names is imported in every clean process
    assert digest(replace(draft, globals=(("torch.nn", "Linear"),))) is None
    named = replace(draft, globals=(("shop", "Head"),))
    digests = [
        digest(named),
        digest(replace(named, pickle=b"other")),
        digest(named, ("network",)),
        digest(named, silenced=("wandb",)),
        digest(named, sources={"captured": ["", True, None]}),
    ]
    assert len(set(digests)) == len(digests)
    assert digest(named) == digests[0]
