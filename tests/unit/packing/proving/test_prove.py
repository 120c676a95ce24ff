"""The clean process of the proof imports what is declared, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import MANIFEST, write_case
from wardian.archive import ArchiveReader
from wardian.domain.manifest import Manifest
from wardian.environment.distributions import Distributions
from wardian.errors import ProofError
from wardian.packing.proving import again
from wardian.packing.proving.prove import prove
from wardian.processes.clean import CleanProcesses


def _prove(path: Path, *, isolated: bool = False) -> None:
    with ArchiveReader.open(path) as archive:
        manifest = Manifest.from_json(archive.manifest, path=None)
    prove(path, manifest, CleanProcesses(isolated=isolated))


def test_a_case_that_needs_more_than_it_declares_is_refused(tmp_path: Path) -> None:
    # hypothesis is installed here, and is no extern of the case.
    sources = "--- oak/__init__.py\nimport hypothesis\nclass Acorn: pass"
    path = write_case(tmp_path / "oak.case", sources, pickle=b"\x80\x04coak\nAcorn\n.")
    with pytest.raises(ProofError, match="No module named 'hypothesis'") as caught:
        _prove(path)
    assert "oak/__init__.py" in caught.value.output
    extern = replace(MANIFEST.externs[0], distribution="hypothesis", modules=("hypothesis",))
    write_case(path, sources, pickle=b"\x80\x04coak\nAcorn\n.", externs=(*MANIFEST.externs, extern))
    _prove(path)


def test_files_that_a_proof_made_serve_the_next_one_and_go_with_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("WARDIAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    source = """
--- oak/__init__.py
import os, colorsys
assert os.path.isfile(__file__)  # so all was made
class Acorn: pass
"""
    path = write_case(tmp_path / "oak.case", source, pickle=b"\x80\x04coak\nAcorn\n.")
    _prove(path)
    (made,) = temporary.rglob("oak/__init__.py")
    inode = made.stat().st_ino
    write_case(path, source, pickle=b"\x80\x04coak\nAcorn\n.", metadata={"epoch": "2"})
    _prove(path)
    (made,) = temporary.rglob("oak/__init__.py")
    assert made.stat().st_ino == inode
    (before,) = temporary.iterdir()
    _prove(path, isolated=True)
    assert not before.exists()
    (made,) = temporary.rglob("oak/__init__.py")
    write_case(path, f"{source}CUPS = 1\n", pickle=b"\x80\x04coak\nAcorn\n.")
    _prove(path)
    assert not made.exists()
    assert not (tmp_path / "cache").exists()  # nor does the next process find what nobody proved there
    again._forget()
    assert list(temporary.iterdir()) == []


def test_what_only_some_builds_of_torch_require_is_missing_where_it_is_soft(tmp_path: Path) -> None:
    installed = Distributions.current()
    in_some_builds = installed.closure("torch") - installed.closure("torch", everywhere=True)
    if "triton" not in in_some_builds:
        pytest.skip("this build of torch does not require triton")
    sources = "--- oak/__init__.py\nimport triton\nclass Acorn: pass\ntriton.cdiv(1, 2)"
    path = tmp_path / "oak.case"
    extern = replace(MANIFEST.externs[0], distribution="triton", modules=("triton",))
    write_case(path, sources, pickle=b"\x80\x04coak\nAcorn\n.", externs=(*MANIFEST.externs, extern))
    _prove(path)
    extern = replace(extern, soft=True)
    write_case(path, sources, pickle=b"\x80\x04coak\nAcorn\n.", externs=(*MANIFEST.externs, extern))
    with pytest.raises(ProofError) as caught:
        _prove(path)
    assert caught.value.used == {"triton"}


@pytest.mark.slow
def test_an_object_whose_code_builds_extensions_passes(tmp_path: Path) -> None:
    (tmp_path / "buildlib.py").write_text(
        "import torch\nfrom torch.utils.cpp_extension import load\n"
        "class Net(torch.nn.Module):\n    def forward(self, x):\n        return x + 1\n"
    )
    script = (
        "import torch, wardian, buildlib\n"
        "print(wardian.pack(buildlib.Net(), 'net.case', inputs=(torch.ones(1),)).manifest.proof)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, text=True, capture_output=True, check=False
    )
    assert done.stdout == "passed\n", done.stderr
