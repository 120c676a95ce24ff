"""How two plans differ, one sentence for each thing."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wardian.domain.plan_differences import differences_of


def _plan(
    modules: dict[str, str],
    versions: dict[str, str | None] | None = None,
    files: dict[str, int] | None = None,
) -> dict[str, Any]:
    return {
        "decisions": [{"module": name, "action": action} for name, action in modules.items()],
        "distributions": versions or {},
        "externs": {},
        "files": [{"record": name, "size": size} for name, size in (files or {}).items()],
    }


def test_what_came_went_and_changed_is_told_by_kind_and_in_order() -> None:
    before = _plan({"b": "intern", "a": "extern", "c": "mock"}, {"oak": "1.0"}, {"a.py": 1, "b.py": 2000})
    after = _plan({"d": "intern", "a": "intern", "c": "mock"}, {"oak": None}, {"a.py": 2, "b.py": 2001})
    assert differences_of(before, after) == (
        "module a: extern became intern",
        "module b is gone (intern)",
        "module d is new (intern)",
        "distribution oak: 1.0 became None",
        "file a.py: 1 byte became 2 bytes",
    )  # that b.py has a byte more is no difference that is shown


def test_a_distribution_is_the_same_inside_and_outside() -> None:
    inside, outside = _plan({}), _plan({})
    inside["distributions"] = outside["externs"] = {"oak": "1.0"}
    assert differences_of(inside, outside) == ()


modules = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["intern", "extern", "mock"]))


@given(modules, modules)
def test_equal_plans_do_not_differ_and_others_differ_both_ways(
    old: dict[str, str], new: dict[str, str]
) -> None:
    there, back = differences_of(_plan(old), _plan(new)), differences_of(_plan(new), _plan(old))
    assert bool(there) is bool(back) is (old != new)
    assert len(there) == len(back)
    turned = {sentence.replace(" is gone ", " is ? ").replace(" is new ", " is gone ") for sentence in back}
    assert {s for s in there if "became" not in s} == {
        s.replace(" is ? ", " is new ") for s in turned if "became" not in s
    }
