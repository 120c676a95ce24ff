"""What a self-test says of an object that changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.support import MANIFEST
from wardian.domain.manifest import Entry
from wardian.errors import CheckError
from wardian.loading.checks import CheckReport
from wardian.loading.self_tests import require_passed, run_self_tests

ENTRY = Entry(name="oak", record="oak.pkl", type="oak.Oak", test="test.pkl", outputs=True)


def loading(obj: Any, outputs: Any) -> Any:
    """Return what gives an object, and a test of it with one input."""
    return {"oak.pkl": obj, "test.pkl": {"inputs": (torch.ones(2),), "outputs": outputs}}.__getitem__


def twice(leaves: torch.Tensor) -> torch.Tensor:
    return leaves * 2


@pytest.mark.parametrize(
    ("entry", "outcome"),
    [
        (ENTRY, "the same, bit for bit"),
        (replace(ENTRY, outputs=False), "runs; its output cannot be compared"),
        (replace(ENTRY, test=None), "no self-test"),
    ],
)
def test_the_outcome_in_words(entry: Entry, outcome: str) -> None:
    (result,) = run_self_tests((entry,), loading(twice, torch.full((2,), 2.0))).results
    assert (result.entry, result.outcome, result.differences) == ("oak", outcome, ())


def test_what_differs_is_refused_unless_another_machine_may_show_it() -> None:
    (result,) = run_self_tests((ENTRY,), loading(twice, torch.full((2,), 5.0))).results
    assert (result.outcome, result.largest) == ("differs", 3)
    report = CheckReport((result,))
    with pytest.raises(CheckError, match=r"^tree\.case: the self-test of 'oak' failed: output") as caught:
        require_passed(report, "tree.case", MANIFEST, exact=False)
    assert (caught.value.entry, caught.value.difference, caught.value.report) == ("oak", 3, report)

    near = run_self_tests((ENTRY,), loading(twice, torch.full((2,), 2.000001)))
    require_passed(near, "tree.case", MANIFEST, exact=False)
    with pytest.raises(CheckError):
        require_passed(near, "tree.case", MANIFEST, exact=True)


def test_what_is_in_force_here_is_told_of_an_output_that_differs() -> None:
    layer = torch.nn.Linear(2, 2)
    outputs = layer(torch.ones(2))
    with torch.autocast("cpu"):
        report = run_self_tests((ENTRY,), loading(layer, outputs))
        with pytest.raises(CheckError, match=r'torch\.autocast\("cpu"\) is in force here'):
            require_passed(report, "tree.case", MANIFEST, exact=False)
    with pytest.raises(CheckError) as caught:
        require_passed(report, "tree.case", MANIFEST, exact=False)
    assert "in force" not in str(caught.value)


def test_what_is_faked_is_not_compared() -> None:
    with FakeTensorMode(), pytest.raises(CheckError, match=r"FakeTensorMode.* is in force") as caught:
        run_self_tests((ENTRY,), loading(twice, torch.ones(2)))
    assert (caught.value.entry, caught.value.difference) == ("oak", None)
