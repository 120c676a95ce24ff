"""Which packed module asks for what an environment lacks."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

import wardian
from tests.support import write_case
from wardian.domain.manifest import Extern

_GUARDED = "try:\n    import compost\nexcept ImportError:\n    compost = None\n"


@pytest.mark.parametrize(
    ("sources", "told"),
    [
        ("--- meadow.py\nimport os\nfrom compost import turn\n", "meadow.py:2"),
        ("--- meadow.py\nimport composted\n", None),
        ("--- meadow.py\nimport compost = 1\n", None),  # no Python; what it is says whoever runs it
        # An import that must succeed is told before one that need not.
        (f"--- hay.py\n{_GUARDED}--- meadow.py\nimport compost\n", "meadow.py:1"),
        ("--- hay.py\ndef bale():\n    import compost\n--- meadow.py\nimport compost\n", "meadow.py:1"),
    ],
)
def test_the_import_that_asks_is_told(sources: str, told: str | None, tmp_path: Path) -> None:
    extern = Extern(distribution="compost", version="2.1", modules=("compost",), names=(), soft=False)
    case = write_case(tmp_path / "meadow.case", textwrap.dedent(sources), externs=(extern,))
    with wardian.open(case) as opened:
        (problem,) = opened.environment()
    assert len(problem.chain) == (told is not None)
    assert told is None or told in problem.chain[0]
