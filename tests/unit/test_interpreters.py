"""Scripts of tests fork from a server, and what they pack with, from templates of that server."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from tests import interpreters
from tests.support import run_python
from wardian.processes import starting, templates

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has templates")


def test_a_variable_of_one_process_asks_for_no_other_template() -> None:
    assert interpreters._SET - {starting.OPEN_CASES_VARIABLE} <= starting._READ_AT_USE


def test_a_script_that_packs_starts_no_template(tmp_path: Path) -> None:
    script = """
        import torch, wardian
        from wardian.processes import templates

        before = templates._templates[:]
        wardian.pack(torch.nn.Linear(2, 1), "linear.case", inputs=(torch.ones(2),))
        print(len(before), templates._templates == before)
    """
    assert run_python(script, folder=tmp_path) == "2 True\n"


@pytest.mark.slow
def test_templates_that_have_ended_or_are_out_of_date_begin_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templates, "_templates", [])
    monkeypatch.syspath_prepend(tmp_path)
    shared = interpreters._SharedTemplates()
    shared.wait()
    first = shared._templates
    shared.wait()
    assert shared._templates == first
    first[0].connection.shutdown(socket.SHUT_WR)  # so it ends, as it does after five minutes
    assert first[0].connection.recv(1) == b""
    shared.wait()
    second = shared._templates
    assert not set(first) & set(second)
    (tmp_path / "sitecustomize.py").touch()
    shared.wait()
    assert not set(second) & set(shared._templates)
    templates.end_templates()
