"""The root folder of a cage holds what it is given, wherever that lies on this machine."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest

from wardian.sandbox.bubblewrap import command, find

SYSTEM = ("/usr", "/lib", "/lib64", "/bin")


@pytest.fixture
def program() -> str:
    found, why = find()
    if found is None:
        pytest.skip(why)
    return found


def test_what_is_read_may_lie_below_tmp(program: str) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        given, other = Path(folder, "a given", "note.txt"), Path(folder, "other.txt")
        given.parent.mkdir()
        given.write_text("seen\n")
        other.write_text("hidden")
        words = command(program, read=[*SYSTEM, str(given.parent)], places={}, scratch=1 << 20, variables={})
        script = f"cat '{given}' && ls '{folder}' && touch /tmp/own && ls /tmp/own; touch '{given}' 2>&1"
        done = subprocess.run(
            [*words, "/bin/sh", "-c", script], capture_output=True, text=True, check=False, timeout=60
        )
    seen, listed, own, refused = done.stdout.splitlines()
    assert (seen, listed, own) == ("seen", "a given", "/tmp/own")
    assert "Read-only file system" in refused
