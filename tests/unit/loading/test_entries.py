"""Which entry point a name means."""

from __future__ import annotations

import re

import pytest

from wardian.domain.manifest import Entry
from wardian.errors import EntryNotFoundError
from wardian.loading.entries import find_entry


def entry(name: str) -> Entry:
    return Entry(name=name, record=f"{name}/{name}.pkl", type="torch.nn.Linear", test=None, outputs=False)


OAK, ELM = entry("oak"), entry("elm")


def test_the_only_one_needs_no_name() -> None:
    assert find_entry([OAK], None, "tree.case") is OAK
    assert find_entry([OAK, ELM], "elm", "tree.case") is ELM


@pytest.mark.parametrize(
    ("entries", "name", "message"),
    [
        (
            [OAK, ELM],
            None,
            "tree.case has several entry points: say which, with name='oak' or name='elm'",
        ),
        ([OAK, ELM], "ash", "tree.case has no entry point 'ash'; it has 'oak', 'elm'"),
        ([], "ash", "tree.case has no entry point 'ash'; it has none"),
    ],
)
def test_else_it_is_told_which_there_are(entries: list[Entry], name: str | None, message: str) -> None:
    with pytest.raises(EntryNotFoundError, match=re.escape(message)):
        find_entry(entries, name, "tree.case")
