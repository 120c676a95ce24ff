"""A word has one meaning: what the glossary defines is used, and what it refuses is not."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_DOCS = _ROOT / "docs"
_SOURCE = _ROOT / "src" / "wardian"
_GLOSSARY = (_DOCS / "glossary.md").read_text(encoding="utf-8")
_TERMS = [term for term in re.findall(r"^## (.+)$", _GLOSSARY, re.MULTILINE) if not term.startswith("Words")]
_PAGES = {
    path.relative_to(_DOCS).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(_DOCS.rglob("*.md"))
    if path.name not in ("glossary.md", "changelog.md")
}
_REFUSED = [
    (word.strip(), instead.strip())
    for words, instead in re.findall(r"^\| (?!not |-)(.+?) \| (.+?) \|$", _GLOSSARY, re.MULTILINE)
    for word in words.partition(", of ")[0].split(",")
]
_STAGES = (f"packing/{stage}/" for stage in ("drafting", "planning", "proving", "tracing", "writing"))
_WHERE = {"root": ("loading/", "capture/", "source/", "live/", "trust/gate.py", *_STAGES)}
"""Word → folders and files of the code where it would mean that; elsewhere it is a folder, or a user."""
_AS_VALUES = re.compile(r"""b?"(?:placeholder|dummy|stub)\"""")
"""Words that the code looks for in what others have written."""


def _prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of docstrings, texts and comments of a module, with their numbers."""
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.STRING, tokenize.COMMENT):
            for number in range(token.start[0], token.end[0] + 1):
                yield number, lines[number - 1]


def _lines() -> Iterator[tuple[str, str]]:
    for path in sorted(_SOURCE.rglob("*.py")):
        for number, line in _prose(path):
            yield f"{path.relative_to(_SOURCE).as_posix()}:{number}", line
    for name, text in _PAGES.items():
        for number, line in enumerate(text.splitlines(), 1):
            yield f"docs/{name}:{number}", line


@pytest.mark.parametrize(("word", "instead"), _REFUSED)
def test_a_word_that_is_refused_is_not_used(word: str, instead: str) -> None:
    where = _WHERE.get(word)
    pattern = re.compile(rf"(?<![\w./*-]){word}{'' if where else 's?'}(?![\w/:*-])", re.IGNORECASE)
    used = [
        f"{place}: {line.strip()}"
        for place, line in _lines()
        if (where is None or place.startswith(where)) and pattern.search(_AS_VALUES.sub("", line))
    ]
    assert sorted(set(used)) == [], f"say {instead}"


@pytest.mark.parametrize("term", _TERMS)
def test_a_term_is_used_on_a_page(term: str) -> None:
    pattern = re.compile(re.escape(term).replace(r"\ ", r"\s+"), re.IGNORECASE)
    assert any(pattern.search(text) for text in _PAGES.values())


def test_terms_stand_in_their_order_and_once() -> None:
    assert sorted(set(_TERMS), key=str.lower) == _TERMS


def test_links_of_the_glossary_lead_to_a_page_and_a_heading() -> None:
    broken = []
    for target, _, anchor in re.findall(r"\]\(([^)#]*)(#)?([^)]*)\)", _GLOSSARY):
        page = _PAGES.get(target)
        headings = re.findall(r"^#+ (.+)$", page or "", re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        if page is None or (anchor and anchor not in anchors):
            broken.append(f"{target}#{anchor}")
    assert broken == []
