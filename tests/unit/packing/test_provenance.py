"""Where a case comes from: commits and a command, and nobody's name."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import PLAN
from wardian.domain.decisions import PackedFile
from wardian.domain.names import ModuleName, record_name
from wardian.domain.provenance import Provenance, Repository
from wardian.packing.provenance import find_provenance, own_modules


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=alice", "-c", "user.email=alice@example.com", "-c", "commit.gpgSign=false"]
    return subprocess.run(
        ["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with a package that is committed."""
    folder = tmp_path / "project"
    (folder / "oak").mkdir(parents=True)
    (folder / "oak" / "net.py").write_text("LEAVES = 3\n")
    (folder / ".gitignore").write_text("secret.py\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "grow")
    return folder


def found(project: Path, *names: str) -> tuple[Repository, ...]:
    files = {str(project / name): name.partition("/")[0] for name in names}
    return find_provenance(files, ["python", "train.py"]).repositories


def test_a_clean_tree_has_its_commit(project: Path) -> None:
    commit = git(project, "rev-parse", "HEAD")
    assert found(project, "oak/net.py") == (Repository(commit=commit, changed=False, modules=("oak",)),)


@pytest.mark.parametrize("change", ["edited", "staged", "untracked", "ignored"])
def test_what_is_not_in_the_commit_is_a_change(change: str, project: Path) -> None:
    name = {"untracked": "oak/new.py", "ignored": "oak/secret.py"}.get(change, "oak/net.py")
    (project / name).write_text("LEAVES = 4\n")
    if change == "staged":
        git(project, "add", name)
    assert [one.changed for one in found(project, name)] == [True]


def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "net.py").write_text("")
    assert found(tmp_path, "net.py") == (Repository(commit=None, changed=True, modules=("net.py",)),)


def test_what_is_in_no_repository_has_none(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("")
    assert found(tmp_path, "net.py") == ()


def test_variables_of_a_hook_do_not_lead_astray(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = found(project, "oak/net.py")
    monkeypatch.setenv("GIT_DIR", os.devnull)
    monkeypatch.setenv("GIT_INDEX_FILE", os.devnull)
    assert found(project, "oak/net.py") == expected


def test_without_git_there_are_no_commits(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert found(project, "oak/net.py") == ()


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["train.py", "--lr", "0.1"], "python train.py --lr 0.1"),
        (["/srv/train/train.py"], "python …/train.py"),
        (["PROJECT/oak/train.py", "--data=PROJECT/data"], "python oak/train.py --data=data"),
        (["-m", "oak.train", "~/data/x.bin", "~alice/y"], "python -m oak.train …/x.bin …/y"),
        (["C:\\Users\\alice\\train.py"], "python …/train.py"),
        (["--token", "abc", "--epochs", "3"], "python --token … --epochs 3"),
        (["--api-key=abc", "--hub-token", "--fast"], "python --api-key=… --hub-token --fast"),
        (["s3://me:word@models/x", "https://h.example/a/b"], "python s3://models/x https://h.example/a/b"),
        (["-c", "open('/home/alice/x.bin')"], "python -c open('…/x.bin')"),
        (["USER.py", "on-HOST", "USERS"], "python ….py on-… USERS"),
        (["\udcff.py"], "python ?.py"),
    ],
)
def test_a_command_is_shown_without_places_names_and_secrets(
    words: list[str], shown: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "gardener")
    monkeypatch.setattr(socket, "gethostname", lambda: "greenhouse.example.com")
    names = {"PROJECT": str(project), "USERS": "gardeners", "USER": "gardener", "HOST": "greenhouse"}
    for theirs, ours in names.items():
        words = [word.replace(theirs, ours) for word in words]
    shown = shown.replace("USERS", "gardeners")
    files = {str(project / "oak/net.py"): "oak"}
    assert find_provenance(files, ["/home/alice/.venv/bin/python", *words]).command == shown


def test_a_very_long_command_is_cut() -> None:
    assert len(find_provenance({}, ["python", "x" * 1_000_000]).command) < 5_000


@pytest.mark.parametrize("text", ["", "[]", "7", "{}", '{"command":"x"}', '{"command":1,"repositories":[7]}'])
def test_metadata_of_another_form_say_nothing(text: str) -> None:
    assert Provenance.of({"provenance": text}) is None
    assert Provenance.of({}) is None


def test_text_and_back() -> None:
    origin = Provenance(
        command="python train.py",
        repositories=(Repository(commit="ab" * 20, changed=True, modules=("elm", "oak")),),
    )
    assert Provenance.of({"provenance": origin.to_text()}) == origin


def test_the_users_own_modules_are_those_of_no_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "/home/alice/train.py", raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    files = (
        PackedFile(record_name("oak/net.py"), "/home/alice/oak/net.py", 0, ModuleName("oak.net"), None),
        PackedFile(record_name("oak/rings.json"), "/home/alice/oak/rings.json", 0, None, None),
        PackedFile(record_name("timberlib/net.py"), "/site/net.py", 0, None, "timberlib"),
        PackedFile(record_name("script.py"), "", 0, ModuleName("script"), None, b""),
    )
    assert own_modules(replace(PLAN, files=files)) == {
        "/home/alice/oak/net.py": "oak",
        "/home/alice/oak/rings.json": "oak",
        "/home/alice/train.py": "__main__",
    }
