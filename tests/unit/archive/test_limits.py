"""The limits are those of the format page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wardian.archive import limits

_FORMAT = Path(__file__).parents[3] / "docs/reference/format.md"
_UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("MAX_ENTRIES", r"more than ([\d,]+)() entries"),
        ("MAX_DIRECTORY_BYTES", r"a central directory over (\d+) (\w+)"),
        ("MAX_MANIFEST_BYTES", r"a manifest over (\d+) (\w+)"),
        ("FREE_MANIFEST_BYTES", r"a manifest over \d+ MiB, or over (\d+) (\w+)"),
        ("MAX_MANIFEST_RATIO", r"MiB and (\d+)() times its deflated size"),
        ("MAX_RECORD_BYTES", r"inflates to more than (\d+) (\w+)"),
        ("MAX_RATIO", r"to more than ([\d,]+)() times its deflated size"),
        ("FREE_PARSED_BYTES", r"parses at most (\d+) (\w+)"),
        ("MAX_PARSED_RATIO", r"of them and (\d+)() bytes for each"),
    ],
)
def test_a_limit_is_that_of_the_format_page(name: str, words: str) -> None:
    page = " ".join(_FORMAT.read_text("utf-8").partition("\n## 7.")[2].split())
    found = re.search(words, page)
    assert found is not None
    assert getattr(limits, name) == int(found[1].replace(",", "")) * _UNITS[found[2]]


def test_each_limit_is_compared() -> None:
    here = test_a_limit_is_that_of_the_format_page.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert sorted(name for name, _ in here) == sorted(limits.__all__)
