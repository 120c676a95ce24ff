"""Where a case comes from, as text in its metadata."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.domain.provenance import KEY, Provenance, Repository

repositories = st.builds(
    Repository,
    commit=st.one_of(st.none(), st.text(alphabet="0123456789abcdef", min_size=40, max_size=40)),
    changed=st.booleans(),
    modules=st.lists(st.text(max_size=5), max_size=3).map(tuple),
)
provenances = st.builds(
    Provenance, command=st.text(max_size=20), repositories=st.lists(repositories, max_size=3).map(tuple)
)


@given(provenances)
def test_what_is_written_is_read(provenance: Provenance) -> None:
    assert Provenance.of({"note": "x", KEY: provenance.to_text()}) == provenance


def test_the_text_is_the_same_for_the_same_facts() -> None:
    one = Repository(commit=None, changed=True, modules=("é",))
    assert Provenance(command="python a.py", repositories=(one,)).to_text() == (
        '{"command":"python a.py","repositories":[{"changed":true,"commit":null,"modules":["é"]}]}'
    )


WHOLE: dict[str, Any] = {
    "command": "python",
    "repositories": [{"commit": None, "changed": False, "modules": ["elm"]}],
}


@pytest.mark.parametrize(
    "damage",
    [
        {"repositories": None},
        {"repositories": [3]},
        {"repositories": [{}]},
        {"repositories": [{"commit": None, "changed": False, "modules": None}]},
        {"repositories": {"commit": None}},
    ],
)
def test_what_has_not_the_form_says_nothing(damage: dict[str, Any]) -> None:
    assert Provenance.of({KEY: json.dumps(WHOLE)}) is not None
    assert Provenance.of({KEY: json.dumps({**WHOLE, **damage})}) is None


@pytest.mark.parametrize("text", ["", "no json", "[]", "3", "null", "{}", "[" * 100_000])
def test_a_text_of_another_kind_says_nothing(text: str) -> None:
    assert Provenance.of({KEY: text}) is None
    assert Provenance.of({}) is None
