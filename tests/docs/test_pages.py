"""The documents hold what conftest.py cannot check by running them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import wardian
from wardian import WardianError, errors

_ROOT = Path(__file__).parents[2]
_PAGES = sorted([*_ROOT.glob("*.md"), *_ROOT.glob("docs/**/*.md"), *_ROOT.glob("examples/**/README.md")])

_SKIP = re.compile(r"<!--+\s*skip:(?P<what>.*?)--+>", re.DOTALL)
_REASON = re.compile(r"\"[^\"]{10,}\"")
_LINK = re.compile(r"\[[^\]]+\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (?P<title>.+)$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


@pytest.fixture(params=_PAGES, ids=[path.relative_to(_ROOT).as_posix() for path in _PAGES])
def page(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_a_block_that_does_not_run_has_a_reason(page: Path) -> None:
    for skip in _SKIP.finditer(page.read_text(encoding="utf-8")):
        what = skip["what"].strip()
        assert what == "end" or _REASON.search(what), f"{page.name}: `skip: {what}` lacks a reason in quotes"


def test_links_lead_to_a_file_and_a_place_in_it(page: Path) -> None:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for link in _LINK.finditer(text):
        target, _, anchor = link["target"].partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        there = page.parent / target if target else page
        assert there.exists(), f"{page.name} links to {target}, which is not there"
        if anchor and there.suffix == ".md":
            assert anchor in _anchors(there), f"{page.name} links to {target}#{anchor}, which is not there"


def _anchors(page: Path) -> set[str]:
    """Return the names by which headings of a page are reached, as GitHub and MyST make them."""
    titles = _HEADING.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_tests_that_the_threat_model_names_are_there() -> None:
    text = (_ROOT / "docs" / "explanation" / "threat-model.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(tests/[\w/]+\.py|test_\w+)`", text))
    paths = [_ROOT / (n if n.startswith("tests/") else f"tests/attacks/{n}.py") for n in named]
    assert len(paths) > 15
    assert [path for path in paths if not path.is_file()] == []


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name != "Problem"])
def test_each_error_is_explained_where_it_points(name: str) -> None:
    error = getattr(errors, name)
    page = error("it failed").page if issubclass(error, WardianError) else f"{errors._PAGE}#{name.lower()}"
    path, _, anchor = page.partition("#")
    parts = re.split(r"^### ", (_ROOT / path).read_text(encoding="utf-8"), flags=re.MULTILINE)
    (found,) = [part for part in parts if part.partition("\n")[0].lower() == anchor]
    assert "**When:** " in found
    assert "**What to do:** " in found or "never by itself" in found
    assert f"autoexception:: wardian.{name}" in found


_CODE = re.compile(r"`([^`\n]+)`")
_NAME = re.compile(r"(?<![\w./-])wardian\.([a-z]\w*|[A-Z]\w*)(?:\.(\w+))?")
_PLACE = re.compile(r"(?<![\w/])(?:src|tests|docs|examples|benchmarks|changes)/[\w./-]*\w")
_NOT_NAMES = {"case", "example", "live"}
"""Parts of file names, of hosts, and the name below which open cases are."""


def test_names_and_files_that_a_page_mentions_are_there(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        return  # it tells what was
    wrong = []
    for code in _CODE.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        for name, member in _NAME.findall(code):
            if name in _NOT_NAMES:
                continue
            place = _ROOT / "src" / "wardian" / name
            is_module = place.is_dir() or place.with_suffix(".py").is_file()
            if not is_module and not hasattr(wardian, name):
                wrong.append(f"wardian.{name}")
            elif not is_module and member and not hasattr(getattr(wardian, name), member):
                wrong.append(f"wardian.{name}.{member}")
        wrong += [place for place in _PLACE.findall(code) if not (_ROOT / place).exists()]
    assert wrong == []
