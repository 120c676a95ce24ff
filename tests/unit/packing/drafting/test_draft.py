"""Entry points on their way into a case, without a clean process."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.capture.transplant import execute
from wardian.archive.writer import ArchiveWriter
from wardian.domain.policy import Policy
from wardian.errors import UnpicklableError
from wardian.packing.drafting.draft import Drafting, _dotted_names
from wardian.processes.clean import CleanProcesses

Make = Callable[..., Drafting]


@pytest.fixture
def draft(tmp_path: Path) -> Iterator[Make]:
    with ArchiveWriter(tmp_path / "oak.case") as archive:

        def make(policy: Policy | None = None, **objects: Any) -> Drafting:
            return Drafting(objects, {}, archive, policy or Policy(), CleanProcesses())

        yield make


def test_one_object_is_called_by_its_name_and_several_are_entries(draft: Make) -> None:
    oak = draft(oak=[1])
    assert oak.trace(clean=False).entry == oak.name == "oak"
    assert [(entry.name, entry.type) for entry in oak.entries] == [("oak", "builtins.list")]
    both = draft(oak=[1], elm={2})
    assert both.name == "entries"
    both.trace(clean=False)
    assert [entry.name for entry in both.entries] == ["oak", "elm"]
    assert {str(record): pickle.loads(data) for record, data in both.pickles().items()} == {
        "oak/oak.pkl": [1],
        "elm/elm.pkl": {2},
    }


def test_tensors_are_listed_by_entry_point_before_anything_is_traced(draft: Make) -> None:
    made = draft(oak={"w": torch.ones(2)}, elm=torch.ones(3))
    assert [(tensor.entry, tensor.shape) for tensor in made.tensors] == [("oak", (2,)), ("elm", (3,))]
    assert made.entries == ()


def test_the_libraries_that_an_object_names_are_known_at_once(draft: Make) -> None:
    assert {"torch", "collections"} <= draft(net=torch.nn.Linear(1, 1)).named_top_levels()


def test_an_object_is_traced_from_the_globals_of_its_pickle_and_their_places(draft: Make) -> None:
    trace = draft(net=torch.nn.Sequential(torch.nn.Linear(1, 1))).trace(clean=False)
    assert str(trace.type) == "torch.nn.modules.container.Sequential"
    linear = next(edge for edge in trace.graph if edge.qualname == "Linear")
    assert str(linear) == "net[0] is a torch.nn.modules.linear.Linear"
    rebuild = next(edge for edge in trace.graph if edge.imported == "torch._utils")
    assert rebuild.file == ""  # how tensors are pickled is no part of the object


def test_what_is_packed_is_told_with_the_words_that_lead_to_it(draft: Make) -> None:
    value = [object]
    made = execute("VALUES = []\ndef act():\n    return VALUES\n")
    made["VALUES"].append(value)
    drafted = draft(act=made["act"])
    drafted.trace(clean=False)
    assert [name for _, name in drafted.held()] == ["act", "notebook.VALUES"]
    (source,) = (m.source for name, m in drafted.capture.modules().items() if name == "captured.notebook")
    number = source.splitlines().index("def act():") + 1
    file = made["act"].__code__.co_filename
    assert drafted.find_line("captured/notebook.py", number) == f"{file}, line 2,"
    assert drafted.find_line("captured/notebook.py", 999) is None
    assert drafted.find_line("other.py", 1) is None


def test_files_that_the_object_names_are_held(draft: Make, tmp_path: Path) -> None:
    file, other = tmp_path / "labels.txt", tmp_path / "unnamed.txt"
    file.touch()
    other.touch()
    drafted = draft(oak={"labels": str(file), "null": os.devnull, "gone": str(tmp_path / "gone")})
    read = [str(file), str(other), os.devnull, str(tmp_path / "gone")]
    assert drafted.held_files(read) == [str(file)]


def test_what_cannot_be_pickled_is_told_with_the_problems_of_the_plan(draft: Make) -> None:
    with pytest.raises(UnpicklableError) as caught:
        draft(oak=(letter for letter in "oak"))
    assert len(caught.value.problems) == 1
    with pytest.raises(UnpicklableError) as caught:
        draft(Policy(deny="torch"), oak=[torch.nn.Linear(1, 1), (letter for letter in "oak")])
    assert len(caught.value.problems) == 2
    assert caught.value.problems[1].module == "torch"


parts = st.sampled_from(["a", "_b", "Head", "layer1"])
texts = st.one_of(st.lists(parts, min_size=2, max_size=4).map(".".join), st.text(max_size=4), parts)


@given(st.lists(texts, max_size=8))
def test_dotted_texts_of_a_pickle_are_found(texts: list[str]) -> None:
    dotted = {t for t in texts if "." in t and t.isascii() and all(map(str.isidentifier, t.split(".")))}
    assert dotted <= _dotted_names(pickle.dumps(texts, 4))


def test_a_text_may_name_what_is_in_a_module() -> None:
    data = pickle.dumps({"kind": "shop.heads:Linear", "names": ["layer", "a." + 300 * "b"]}, 4)
    assert _dotted_names(data) == {"shop.heads.Linear"}  # a long text names none
    assert _dotted_names(b"\x8c\x03a.bhx.") == {"a.b"}  # what comes after it is no part of it
