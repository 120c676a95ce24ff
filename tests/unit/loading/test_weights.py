"""Tensors of an open case, without its code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.package.package_exporter import PackageExporter

import wardian
from tests.support import write_case
from wardian.errors import CodeNeededError
from wardian.loading.weights import Weights


@pytest.fixture
def case(tmp_path: Path) -> Iterator[wardian.Case]:
    torch.manual_seed(0)
    objects = {"oak": torch.nn.Linear(2, 1), "elm": torch.nn.Linear(3, 1, bias=False)}
    wardian.pack(path=tmp_path / "tree.case", entries=objects, prove=False)
    with wardian.open(tmp_path / "tree.case") as case:
        yield case


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("mmap", [True, False])
def test_tensors_are_named_by_their_entry_point_where_there_are_several(
    case: wardian.Case, verify: bool, mmap: bool
) -> None:
    weights = Weights("tree.case", verify=verify, mmap=mmap)
    assert sorted(weights.of(case.mount)) == ["elm:weight", "oak:bias", "oak:weight"]
    assert sorted(weights.of(case.mount, "oak")) == ["bias", "weight"]
    found = weights.state_dict(case.mount, "oak", None, None)
    assert torch.equal(found["weight"], case.tensors["oak:weight"])
    assert list(weights.state_dict(case.mount, "oak", "meta", "b*")) == ["bias"]


def test_a_glob_without_tensors_is_a_key_error(case: wardian.Case) -> None:
    weights = Weights("tree.case", verify=True, mmap=True)
    assert weights.prefetch(case.mount, ()) == 3
    assert weights.prefetch(case.mount, ("oak:*", "*:weight")) == 3
    with pytest.raises(KeyError, match=r"tree\.case has no tensor 'ash:\*'"):
        weights.prefetch(case.mount, ("oak:*", "ash:*"))


def test_without_tensors_none_match(tmp_path: Path) -> None:
    weights = Weights("tree.case", verify=True, mmap=True)
    with wardian.open(write_case(tmp_path / "tree.case")) as case:
        assert weights.prefetch(case.mount, ()) == 0
        with pytest.raises(KeyError):
            weights.prefetch(case.mount, ("*",))


def test_an_archive_of_torch_package_has_no_index(tmp_path: Path) -> None:
    with PackageExporter(tmp_path / "oak.pt") as exporter:
        exporter.save_pickle("oak", "oak.pkl", {"rings": 7})
    weights = Weights("oak.pt", verify=True, mmap=True)
    with wardian.open(tmp_path / "oak.pt") as case:
        for entry, call in ((None, "load(path)"), ("oak/oak.pkl", "load(path, name='oak/oak.pkl')")):
            with pytest.raises(CodeNeededError) as caught:
                weights.of(case.mount, entry)
            assert f"wardian.{call}.state_dict()" in str(caught.value)
