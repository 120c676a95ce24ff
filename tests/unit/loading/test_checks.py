"""Results of self-tests: what counts as a failure, what is printed, and what leaves the process."""

from __future__ import annotations

import json
import math

import pytest

from wardian.errors import CaseError, CheckError
from wardian.loading.checks import CheckReport, CheckResult, check_plainly
from wardian.tensors.comparison import Difference

SMALL = Difference("output[0]", "differs by up to 0.1", 0.1, tolerated=True)
LARGE = Difference("output[1]", "differs by up to 3", 3.0, tolerated=False)
OTHER = Difference("output[2]", "is a list, not a tuple", None, tolerated=False)


def result(*differences: Difference, outcome: str = "differs") -> CheckResult:
    return CheckResult("model", outcome, differences)


def test_another_machine_explains_what_is_tolerated() -> None:
    found = result(SMALL, LARGE, OTHER)
    assert found.failures(exact=False) == [LARGE, OTHER]
    assert found.failures(exact=True) == [SMALL, LARGE, OTHER]


def test_the_largest_difference_is_that_of_numbers() -> None:
    assert result(SMALL, LARGE, OTHER).largest == 3
    assert result(OTHER).largest is None
    assert result().largest is None
    assert CheckReport((result(), result(SMALL), result(OTHER))).largest == 0.1
    assert CheckReport((result(OTHER),)).largest is None


def test_only_equal_outputs_are_exact() -> None:
    assert CheckReport((result(), result())).exact
    assert not CheckReport((result(), result(SMALL))).exact


def test_a_few_differences_are_printed_and_the_others_counted() -> None:
    assert str(result(SMALL, LARGE)) == (
        "model: differs\n  output[0] differs by up to 0.1 (tolerated)\n  output[1] differs by up to 3"
    )
    assert "more" not in str(result(*[LARGE] * 20))
    lines = str(result(*[LARGE] * 22)).splitlines()
    assert len(lines) == 22
    assert lines[-1] == "  and 2 more"
    assert str(CheckReport((result(outcome="one"), result(outcome="two")))) == "model: one\nmodel: two"


def test_plain_data_is_json_and_has_an_end() -> None:
    infinite = Difference("output", "differs", math.inf, tolerated=False)
    (plain,) = CheckReport((result(infinite, *[LARGE] * 1200),)).to_plain()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["name"] == "model"
    assert plain["largest"] is None
    assert len(plain["differences"]) == 1000
    assert plain["differences"][:2] == [
        {"where": "output", "what": "differs", "size": None, "tolerated": False},
        {"where": "output[1]", "what": "differs by up to 3", "size": 3.0, "tolerated": False},
    ]


def test_a_self_test_that_fails_is_no_error_for_who_asks_for_plain_data() -> None:
    report = CheckReport((result(LARGE),))

    def fail() -> CheckReport:
        raise CheckError("model differs", entry="model", difference=3.0, report=report)

    passed = check_plainly(lambda: report)
    assert passed == {"passed": True, "problem": None, "text": str(report), "entries": report.to_plain()}
    assert check_plainly(fail) == {**passed, "passed": False, "problem": "model differs"}


def test_any_other_error_is_one() -> None:
    def fail() -> CheckReport:
        raise CaseError("closed", path="x.case")

    with pytest.raises(CaseError):
        check_plainly(fail)
