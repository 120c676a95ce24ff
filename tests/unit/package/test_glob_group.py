"""Patterns mean what they mean in torch.package."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from torch.package import glob_group as theirs

from wardian.package.glob_group import GlobGroup

SEGMENTS = st.sampled_from(["torch", "nn", "_C", "*", "**", "n*", "*n", "t*h"])
PATTERNS = st.lists(SEGMENTS, min_size=1, max_size=4).map(".".join)
NAMES = st.lists(st.sampled_from(["torch", "nn", "_C", "n", "th"]), min_size=1, max_size=4).map(".".join)


@given(
    include=st.lists(PATTERNS, max_size=3),
    exclude=st.lists(PATTERNS, max_size=2),
    names=st.lists(NAMES, min_size=1, max_size=10),
)
def test_they_match_what_those_of_torch_package_match(
    include: list[str], exclude: list[str], names: list[str]
) -> None:
    group, other = GlobGroup(include, exclude=exclude), theirs.GlobGroup(include, exclude=exclude)
    assert [group.matches(name) for name in names] == [other.matches(name) for name in names]
