"""Copies of this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from wardian.processes.rehearsal import rehearse


def test_a_copy_of_the_process_prints_and_writes_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (tmp_path / "log.txt").open("w") as log:

        def work() -> str:
            print("said", flush=True)
            log.write("written")
            log.flush()
            return "done"

        assert rehearse(work, 30) is None
    assert rehearse(lambda: "é" * 100_000, 30) == "é" * 100_000
    assert (tmp_path / "log.txt").read_text() == ""
    assert capfd.readouterr().out == ""
