"""A case as a checkpoint, in one process; tests/user/test_large_models.py has several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint.state_dict_loader as dcp
from torch import nn
from torch.distributed.checkpoint.api import CheckpointException

import wardian
import wardian.distributed
from wardian.errors import WardianWarning

pytestmark = pytest.mark.filterwarnings("ignore:torch.distributed is disabled")


class Clock(nn.Linear):
    """Has a buffer that is in no state_dict."""

    def __init__(self) -> None:
        super().__init__(3, 2)
        self.register_buffer("hands", torch.arange(3.0), persistent=False)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reader") / "clock.case"
    wardian.pack(Clock(), path, prove=False)
    return path


def load(state: dict[str, Any], path: Path, **options: Any) -> wardian.distributed.CaseReader:
    reader = wardian.distributed.CaseReader(path, **options)
    dcp.load(state, storage_reader=reader, no_dist=True)
    return reader


def test_a_state_dict_is_filled_and_the_buffers_that_it_has_not_are_named(case: Path) -> None:
    model = Clock()
    with pytest.warns(WardianWarning, match=r"the buffers hands, so .* wardian\.load_into\(model, "):
        reader = load(model.state_dict(), case)
    with wardian.open(case) as opened:
        assert torch.equal(model.weight, opened.tensors["weight"])
    assert reader.bytes_read == 4 * (6 + 2)


def test_who_asks_for_those_buffers_gets_them(case: Path) -> None:
    model = Clock()
    state = {**model.state_dict(), "hands": torch.zeros(3)}
    load(state, case)
    assert state["hands"].tolist() == [0, 1, 2]


def test_what_cannot_be_copied_in_parts_is_named(tmp_path: Path) -> None:
    model = Clock()
    model.register_buffer("mask", torch.eye(2).to_sparse())
    model.register_buffer("edges", torch.eye(2).to_sparse())
    path = tmp_path / "sparse.case"
    wardian.pack(model, path, prove=False)
    before = model.weight.detach().clone()
    with pytest.raises(CheckpointException, match=r"sparse\.case has edges, mask, which cannot be copied"):
        load(model.state_dict(), path)
    assert torch.equal(model.weight, before)


def test_another_case_and_another_entry_point(case: Path, tmp_path: Path) -> None:
    path = tmp_path / "two.case"
    wardian.pack(path=path, entries={"one": nn.Linear(1, 1), "two": nn.Linear(2, 2)}, prove=False)
    state = nn.Linear(2, 2).state_dict()
    load(state, path, name="two")
    with wardian.open(path) as opened:
        assert torch.equal(state["weight"], opened.tensors["two:weight"])
    reader = wardian.distributed.CaseReader(case, name="two")
    reader.reset(path)
    assert sorted(reader.read_metadata().state_dict_metadata) == ["bias", "weight"]
    for name, words in ((None, "several entry points"), ("three", "no entry point 'three'")):
        with pytest.raises(wardian.EntryNotFoundError, match=words):
            wardian.distributed.CaseReader(path, name=name).read_metadata()


def test_another_file_is_refused(case: Path) -> None:
    with pytest.raises(wardian.DigestMismatchError):
        wardian.distributed.CaseReader(case, digest="0" * 64).read_metadata()


def test_what_is_missing_is_told_by_its_name(case: Path) -> None:
    with pytest.raises(CheckpointException, match="Missing key in checkpoint state_dict: other"):
        load({"other": torch.zeros(1)}, case)


def test_names_of_cases_are_checkpoints_for_it() -> None:
    valid = wardian.distributed.CaseReader.validate_checkpoint_id
    assert valid("s3://mine/net.case")
    assert not valid(Path("folder"))
