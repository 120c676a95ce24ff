"""The documents hold what conftest.py cannot check by running them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PAGES = sorted([*_ROOT.glob("*.md"), *_ROOT.glob("docs/**/*.md")])

_SKIP = re.compile(r"<!--+\s*skip:(?P<what>.*?)--+>", re.DOTALL)
_REASON = re.compile(r"\"[^\"]{10,}\"")
_LINK = re.compile(r"\[[^\]]+\]\((?P<target>[^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


@pytest.fixture(params=_PAGES, ids=[path.relative_to(_ROOT).as_posix() for path in _PAGES])
def page(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_a_block_that_does_not_run_has_a_reason(page: Path) -> None:
    for skip in _SKIP.finditer(page.read_text(encoding="utf-8")):
        what = skip["what"].strip()
        assert what == "end" or _REASON.search(what), f"{page.name}: `skip: {what}` lacks a reason in quotes"


def test_links_to_files_lead_somewhere(page: Path) -> None:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for link in _LINK.finditer(text):
        target = link["target"].partition("#")[0]
        if target and "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"
