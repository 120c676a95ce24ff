"""Scripts of tests fork from a server, and what they pack with, from templates of that server."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests import interpreters
from tests.support import run_python
from wardian.processes import starting

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
