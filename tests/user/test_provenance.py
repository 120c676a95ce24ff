"""A case says where it comes from if that was asked for, and never by itself."""

from __future__ import annotations

import getpass
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import wardian
from tests.support import run_python, write_tree
from wardian.cli.app import run

PROJECT = """
--- oak/__init__.py
--- oak/net.py
import torch
class Oak(torch.nn.Linear):
    pass
--- train.py
import sys
import wardian
from oak.net import Oak
wardian.pack(Oak(2, 1), sys.argv[1], prove=False, provenance=True)
"""


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=alice", "-c", "user.email=alice@example.com", "-c", "commit.gpgSign=false"]
    return subprocess.run(
        ["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_script_notes_commit_and_command_without_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = write_tree(tmp_path / "project", PROJECT)
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "grow")
    for number in (1, 2):
        done = subprocess.run(
            [sys.executable, "train.py", str(tmp_path / f"oak{number}.case")],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        (project / "notes.txt").write_text("not committed")
    commit = git(project, "rev-parse", "HEAD")
    for number, changed in ((1, False), (2, True)):
        with wardian.open(tmp_path / f"oak{number}.case") as case:
            text = case.manifest.metadata["provenance"]
        origin = json.loads(text)
        (repository,) = origin["repositories"]
        assert (repository["commit"], repository["changed"]) == (commit, changed)
        assert "oak" in repository["modules"]
        assert origin["command"] == f"python train.py …/oak{number}.case"
        for name in (getpass.getuser(), socket.gethostname(), str(tmp_path)):
            assert name not in text.replace("oak", "")
    run(["info", str(tmp_path / "oak2.case")])
    out = capsys.readouterr().out
    assert f"commit {commit}, changed since" in " ".join(out.split())
    assert "made by     python train.py" in out


def test_nothing_is_noted_by_default(tmp_path: Path) -> None:
    report = wardian.pack(torch.nn.Linear(2, 1), tmp_path / "linear.case", prove=False)
    assert dict(report.manifest.metadata) == {}


def test_what_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    model = torch.nn.Linear(2, 1)
    with pytest.raises(TypeError, match="provenance must be True or False"):
        wardian.pack(model, tmp_path / "a.case", provenance="git")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="which provenance=True writes"):
        wardian.pack(model, tmp_path / "a.case", provenance=True, metadata={"provenance": "mine"})
    report = wardian.pack(model, tmp_path / "a.case", prove=False, metadata={"provenance": "mine"})
    assert report.manifest.metadata["provenance"] == "mine"


def test_where_there_is_no_repository_a_warning_says_so(tmp_path: Path) -> None:
    write_tree(tmp_path, PROJECT)
    script = """
        import sys, warnings, wardian
        sys.path.insert(0, ".")
        from oak.net import Oak
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            wardian.pack(Oak(2, 1), "oak.case", prove=False, provenance=True)
        print([str(w.message) for w in caught])
    """
    assert "git repository" in run_python(script, folder=tmp_path)
