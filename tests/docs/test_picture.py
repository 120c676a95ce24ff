"""The picture of a terminal on the first page shows what the commands print."""

from __future__ import annotations

import runpy
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.pages import plain

_PICTURES = Path(__file__).parents[2] / "docs" / "pictures"


def _text(picture: str) -> list[str]:
    """Return the lines of a picture, without numbers."""
    lines: dict[str, list[str]] = {}
    for element in ET.fromstring(picture).iter("{http://www.w3.org/2000/svg}text"):
        lines.setdefault(element.get("y", ""), []).append((element.text or "").replace("\u00a0", " "))
    return plain("\n".join("".join(parts) for parts in lines.values()))


@pytest.mark.slow
def test_the_picture_shows_what_the_commands_print() -> None:
    shown = _text((_PICTURES / "terminal.svg").read_text(encoding="utf-8"))
    found = _text(runpy.run_path(str(_PICTURES / "terminal.py"))["draw"]())
    assert shown == found, "make picture"
