"""Evidence travels between processes as plain data."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from wardian.domain.names import ModuleName
from wardian.domain.trace import Evidence, ObservedImport, UnreadFile

texts = st.lists(st.text(max_size=4), max_size=3).map(tuple)
imports = st.lists(
    st.builds(ObservedImport, st.text(max_size=3), st.text(max_size=3), st.integers(0, 9)), max_size=3
).map(tuple)
evidences = st.builds(
    Evidence,
    modules=texts,
    imports=imports,
    absent=texts,
    files=texts,
    libraries=texts,
    operators=texts,
    schemas=texts,
    ran=st.booleans(),
    used=st.one_of(st.none(), texts),
    asked=texts,
    demands=imports,
    checked=texts,
)


@given(evidences)
def test_evidence_is_the_same_after_a_journey_as_json(evidence: Evidence) -> None:
    assert Evidence.from_plain(json.loads(json.dumps(evidence.to_plain()))) == evidence


def test_imports_are_sorted_by_who_imports() -> None:
    found = [ObservedImport("b", "a", 1), ObservedImport("a", "b", 9), ObservedImport("a", "b", 2)]
    assert [(seen.importer, seen.line) for seen in sorted(found)] == [("a", 2), ("a", 9), ("b", 1)]


def test_a_file_that_nothing_has_read_is_told_with_the_line_that_names_it() -> None:
    file = UnreadFile("/elm/labels.txt", ModuleName("elm.model"), 7)
    assert str(file) == "/elm/labels.txt, which elm.model names in line 7: nothing has read it in the run"
