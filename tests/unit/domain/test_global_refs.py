"""References to globals, as pickles name them."""

from __future__ import annotations

import pytest

from wardian.domain.global_refs import GlobalRef
from wardian.domain.names import ModuleName


@pytest.mark.parametrize(
    ("qualname", "text"), [("Garden.Bed", "meadow.soil.Garden.Bed"), ("", "meadow.soil")]
)
def test_a_global_is_told_by_its_dotted_name(qualname: str, text: str) -> None:
    assert str(GlobalRef(ModuleName("meadow.soil"), qualname)) == text


def test_globals_are_sorted_by_module_then_name() -> None:
    refs = [GlobalRef(ModuleName(m), q) for m, q in (("b", "A"), ("a", "Z"), ("a", ""))]
    assert [str(ref) for ref in sorted(refs)] == ["a", "a.Z", "b.A"]
