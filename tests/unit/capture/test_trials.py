"""Whether a value can be pickled, found out by pickling it."""

from __future__ import annotations

from typing import Any

from wardian.capture.trials import Trials


def test_values_are_tried_only_while_the_pickler_works() -> None:
    trials = Trials()
    assert trials.why_not("wind") is None
    with trials.trying(lambda value: f"{value} is no thing"):
        assert trials.why_not("wind") == "wind is no thing"
        assert not trials.can_pickle("wind")
    assert trials.why_not("wind") is None
    assert trials.can_pickle("wind")


def test_a_value_that_leads_back_to_its_own_trial_is_left_out() -> None:
    trials = Trials()
    value: dict[str, Any] = {}
    inner: list[bool] = []

    def fails(tried: Any) -> str | None:
        inner.append(trials.can_pickle(tried))
        return None

    with trials.trying(fails):
        assert trials.can_pickle(value)
    assert inner == [False]
