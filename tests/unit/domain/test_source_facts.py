"""Facts of a source are values, which can be compared and looked up."""

from __future__ import annotations

from dataclasses import replace

from wardian.domain.names import ModuleName
from wardian.domain.source_facts import SourceFacts
from wardian.source.parsing import parse
from wardian.source.scanning import scan


def _facts(source: str) -> SourceFacts:
    data = source.encode()
    return scan(data, ModuleName("elm"), is_package=False, file="elm.py", tree=parse(data, "elm.py"))


def test_equal_sources_have_equal_facts() -> None:
    source = "import a\nfrom b import c\nprint(__file__)\n"
    assert _facts(source) == _facts(source)
    assert len({_facts(source), _facts(source), _facts("import a\n")}) == 2


def test_a_source_that_says_nothing_has_no_facts() -> None:
    nothing = SourceFacts((), (), looks_at_files=False, dynamic=False, operators=frozenset(), registers=False)
    assert _facts("x = 1\n") == nothing
    assert (nothing.climbs_out, nothing.walks) == (0, ())
    assert replace(nothing, climbs_out=3) != nothing
