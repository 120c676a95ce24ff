"""Which code the objects of the pickles could call, as far as names tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import write_case
from wardian.archive import ArchiveReader
from wardian.inspection.audit import audit
from wardian.reading.foreign import read_manifest

HEAD = "import os\n"
HELD = "class Held:\n    def forward(self):\n"


def _when(folder: Path, source: str) -> str:
    pickle = b"\x80\x04\x8c\x03yew\x8c\x04Held\x93."
    with ArchiveReader.open(
        write_case(folder / "yew.case", {"yew.py": HEAD + source}, pickle=pickle)
    ) as archive:
        (finding,) = audit(archive, read_manifest(archive)).findings
    return finding.when


@pytest.mark.parametrize(
    ("source", "when"),
    [
        pytest.param(HELD + "        os.fork()", "reachable", id="a method of a held class"),
        pytest.param(
            "class Other:\n    def grow(self):\n        os.fork()\n" + HELD + "        self.grow()",
            "elsewhere",
            id="the same name in a class that nothing mentions",
        ),
        pytest.param(
            "class Base:\n    def grow(self):\n        os.fork()\n"
            "class Held(Base):\n    def forward(self):\n        self.grow()",
            "reachable",
            id="a method of a base",
        ),
        pytest.param(
            "class Other:\n    def __init__(self):\n        os.fork()\n"
            + HELD
            + "        super().__init__()",
            "elsewhere",
            id="a special method of a class that nothing mentions",
        ),
        pytest.param(
            "class Other:\n    def __init__(self):\n        os.fork()\n" + HELD + "        Other()",
            "reachable",
            id="a special method of a class that is mentioned",
        ),
        pytest.param(
            "class Held:\n    def grow(self):\n        os.fork()\n"
            "def run(x):\n    return getattr(x, 'grow')\n",
            "reachable",
            id="a method of a held class that only a text names",
        ),
        pytest.param(
            "def grow():\n    os.fork()\n" + HELD + "        return globals()['grow']()",
            "reachable",
            id="a function that a text names",
        ),
        pytest.param("__all__ = ['grow']\ndef grow():\n    os.fork()", "elsewhere", id="a list of names"),
        pytest.param(
            "def register(f):\n    return f\n@register\ndef grow():\n    os.fork()",
            "reachable",
            id="a function in a table",
        ),
    ],
)
def test_reach_follows_names(source: str, when: str, tmp_path: Path) -> None:
    assert _when(tmp_path, source) == when
