"""Pages say in one way how an extra is installed, and how in a clone: Wardian need not be in an index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_DOCS = Path(__file__).parents[2] / "docs"
_ANY = re.compile(r"""["']wardian\[([\w,]+)\]["']""")
_PAGES = {
    page.relative_to(_DOCS).as_posix(): page.read_text(encoding="utf-8")
    for page in sorted(_DOCS.rglob("*.md"))
    if "design" not in page.parts and _ANY.search(page.read_text(encoding="utf-8"))
}


def test_pages_are_found() -> None:
    assert len(_PAGES) > 5


@pytest.mark.parametrize("name", _PAGES)
def test_a_page_that_installs_an_extra_says_how_in_a_clone(name: str) -> None:
    text = _PAGES[name]
    assert re.findall(r'"wardian\[.*?\]"', text) == []
    extras = dict.fromkeys(_ANY.findall(text))
    sentence = re.search(r"^In a clone of Wardian, `pip install .*$", text, re.MULTILINE)
    assert sentence

    assert [extra for extra in extras if f"'.[{extra}]'" not in sentence[0]] == []
