"""Copies of this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from wardian.processes.fork import ask_fork


def test_a_copy_of_the_process_prints_and_writes_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "log.txt").open("w") as log:

        def work() -> str:
            print("said", flush=True)
            log.write("written")
            log.flush()
            return "done"

        assert ask_fork(work, 30) is None
    assert ask_fork(lambda: "é" * 100_000, 30) == "é" * 100_000
    assert (tmp_path / "log.txt").read_text() == ""
    assert capfd.readouterr().out == ""
