"""When objects that share something are made anew."""

from __future__ import annotations

from typing import Any

import pytest

from wardian.domain.manifest import Entry
from wardian.errors import CorruptCaseError
from wardian.loading.groups import Groups

GROUP = Entry(name="oak+elm", record="oak+elm.pkl", type="builtins.dict", test=None, outputs=False)


class Maker:
    """Makes a group, and counts."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> Any:
        self.made += 1
        return {"oak": f"oak {self.made}", "elm": f"elm {self.made}"}


def test_members_are_made_together_and_given_once() -> None:
    groups, make = Groups("tree.case"), Maker()
    assert [groups.take(GROUP, name, None, make) for name in ("oak", "elm")] == ["oak 1", "elm 1"]
    assert [groups.take(GROUP, name, None, make) for name in ("oak", "oak", "elm")] == [
        "oak 2",
        "oak 3",
        "elm 3",
    ]


def test_elsewhere_they_are_made_anew() -> None:
    groups, make = Groups("tree.case"), Maker()
    assert groups.take(GROUP, "oak", "cpu", make) == "oak 1"
    assert groups.take(GROUP, "elm", "meta", make) == "elm 2"


def test_what_nobody_asked_for_is_forgotten() -> None:
    groups, make = Groups("tree.case"), Maker()
    groups.take(GROUP, "oak", None, make)
    groups.clear()
    assert groups.take(GROUP, "elm", None, make) == "elm 2"


@pytest.mark.parametrize("made", [None, {"oak": 1}])
def test_what_lacks_a_member_is_damage(made: Any) -> None:
    with pytest.raises(CorruptCaseError, match=r"oak\+elm\.pkl is no dictionary with oak and elm") as caught:
        Groups("tree.case").take(GROUP, "oak", None, lambda: made)
    assert (caught.value.path, caught.value.record) == ("tree.case", "oak+elm.pkl")
