"""Packing runs code of the object, which must do nothing to the user's machine meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import run_python, write_tree

PROJECT = """
--- site/helper_lib/__init__.py
import numpy
numpy.seterr(all="warn")

--- site/helper_lib-1.0.dist-info/METADATA
Metadata-Version: 2.1
Name: helper-lib
Version: 1.0

--- site/helper_lib-1.0.dist-info/RECORD
helper_lib/__init__.py,,

--- project/hazel.py
import os
import torch

try:
    import helper_lib
except ImportError:
    os.system("echo ran > ran.txt")
    import helper_lib

class Installing(torch.nn.Linear):
    pass

class Phoning(torch.nn.Linear):
    def forward(self, x):
        import subprocess
        try:
            subprocess.run(["git", "describe"], check=True)
        except OSError:
            pass
        return super().forward(x)

class Needing(torch.nn.Linear):
    def forward(self, x):
        import subprocess
        return x + len(subprocess.run(["echo", "abc"], check=True, capture_output=True).stdout)
"""


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    write_tree(tmp_path, PROJECT)
    return tmp_path / "project", tmp_path / "site"


def test_a_handler_that_installs_what_the_proof_hides_is_refused_and_the_library_is_needed(
    tmp_path: Path, paths: tuple[Path, Path]
) -> None:
    script = """
        import torch, wardian
        from hazel import Installing
        report = wardian.pack(Installing(2, 2), "out.case", inputs=(torch.ones(1, 2),))
        print([e.distribution for e in report.manifest.externs if not e.soft and e.distribution == "numpy"])
    """
    assert run_python(script, folder=tmp_path, paths=paths).strip() == "['numpy']"
    assert not (tmp_path / "ran.txt").exists()


def test_what_is_refused_and_done_without_is_a_warning_and_what_is_needed_an_error_with_its_fix(
    tmp_path: Path, paths: tuple[Path, Path]
) -> None:
    script = """
        import warnings
        import torch, wardian
        from hazel import Needing, Phoning
        x = (torch.ones(1, 2),)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            wardian.pack(Phoning(2, 2), "out.case", inputs=x)
        print([str(w.message) for w in caught if "git describe" in str(w.message)])
        try:
            wardian.pack(Needing(2, 2), "out.case", inputs=x)
        except wardian.PackError as error:
            print(error)
        print(wardian.pack(Needing(2, 2), "out.case", inputs=x, allow=("processes",)).manifest.proof)
    """
    printed = run_python(script, folder=tmp_path, paths=paths)
    assert "wanted to start a process: git describe; it might not, and went on without" in printed
    assert (
        'fix: leave that out of what is imported and called; or, if it is meant: allow=("processes",)'
        in printed
    )
    assert printed.endswith("passed\n")
