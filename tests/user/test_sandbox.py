"""A case runs in a cage as it runs without one, as far as data can tell."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import wardian
from tests.support import importable, write_tree
from wardian.cli.app import run
from wardian.sandbox import bubblewrap, landlock

pytestmark = pytest.mark.skipif(
    bubblewrap.find()[0] is None and landlock.version() < landlock.NEEDED, reason="this machine has no cage"
)

PROJECT = """
--- willow.py
import pathlib
import torch

class Willow(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = torch.nn.Linear(4, 2)
        self.calls = 0

    def forward(self, x, *, scale=1.0):
        self.calls += 1
        return {"out": self.trunk(x) * scale, "sizes": (len(x), [None, "leaf"])}

    def grow(self, n):
        print(f"growing {n}")
        return torch.zeros(n, dtype=torch.uint8)

    def notes(self):
        return pathlib.Path(__file__).with_name("willow_notes.txt").read_text()

    def itself(self):
        return self
--- willow_notes.txt
by the water
"""


@pytest.fixture(scope="module")
def willow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, torch.nn.Module]]:
    folder = write_tree(tmp_path_factory.mktemp("willow"), PROJECT)
    with importable(folder) as load:
        model = load("willow").Willow()
        wardian.pack(model, folder / "willow.case", inputs=(torch.ones(3, 4),))
        yield folder / "willow.case", model


@pytest.fixture(scope="module")
def caged(willow: tuple[Path, torch.nn.Module]) -> Iterator[wardian.SandboxedObject]:
    with wardian.load_sandboxed(willow[0]) as loaded:
        yield loaded


def test_a_call_gives_what_the_object_gives(
    caged: wardian.SandboxedObject, willow: tuple[Path, torch.nn.Module]
) -> None:
    x = torch.rand(3, 4)
    found = caged(x, scale=2.0)
    with torch.no_grad():
        assert torch.equal(found["out"], willow[1](x, scale=2.0)["out"])
    assert found["sizes"] == (3, [None, "leaf"])
    found["out"].resize_(1)  # an ordinary tensor of this process


def test_a_method_is_called_by_its_name(caged: wardian.SandboxedObject) -> None:
    assert caged.call("grow", 10).shape == (10,)
    assert caged.call("grow", 9 << 20).shape == (9 << 20,)  # more than what went there
    assert "growing 10" in caged.printed
    assert caged.way in repr(caged)


def test_what_cannot_cross_is_told(caged: wardian.SandboxedObject) -> None:
    with pytest.raises(TypeError, match="only tensors and plain data do"):
        caged(object())
    with pytest.raises(wardian.SandboxError, match=r"CrossingError: .*Willow cannot cross"):
        caged.call("itself")
    with pytest.raises(wardian.SandboxError, match="has no attribute 'shrink'"):
        caged.call("shrink")


def test_content_in_memory_is_loaded_too(willow: tuple[Path, torch.nn.Module]) -> None:
    with wardian.load_sandboxed(willow[0].read_bytes(), timeout=None) as loaded:
        assert loaded.call("grow", 1).shape == (1,)
    loaded.close()
    with pytest.raises(wardian.SandboxError, match="it was closed; load it again"):
        loaded.call("grow", 1)


@pytest.fixture(scope="module")
def linked_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python in a virtual environment that only links lead to, and whose parts are links to elsewhere."""
    folder = tmp_path_factory.mktemp("a folder")
    (folder / "alias").mkdir()
    (folder / "alias/python3").symlink_to(Path(sys.executable).resolve())
    subprocess.run([folder / "alias/python3", "-m", "venv", "--without-pip", folder / "real"], check=True)
    packages = Path(sysconfig.get_path("purelib"))
    own = next((folder / "real/lib").glob("*/site-packages"))
    (own / "more.pth").write_text(f"import site; site.addsitedir({str(packages)!r})\n")
    (folder / "real/lib").rename(folder / "library")
    (folder / "real/lib").symlink_to("../library")
    (folder / "linked").symlink_to("real")
    return folder / "linked/bin/python"


@pytest.mark.slow
@pytest.mark.parametrize("way", ["bubblewrap", "landlock"])
def test_links_may_lead_to_python_to_libraries_and_to_the_case(
    way: str, linked_python: Path, willow: tuple[Path, torch.nn.Module]
) -> None:
    if (way == "bubblewrap" and bubblewrap.find()[0] is None) or landlock.version() < landlock.NEEDED:
        pytest.skip("this way is not there")
    folder = linked_python.parents[2] / "below it"
    folder.mkdir(exist_ok=True)
    (folder / f"{way} link.case").symlink_to(willow[0])
    script = """
        import sys, wardian
        with wardian.load_sandboxed(sys.argv[1], way=sys.argv[2]) as loaded:
            print(loaded.call("grow", 3).shape[0])
    """
    done = subprocess.run(
        ["../linked/bin/python", "-c", textwrap.dedent(script), f"../below it/{way} link.case", way],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "3\n", done.stderr


def test_a_policy_is_asked_first(willow: tuple[Path, torch.nn.Module], tmp_path: Path) -> None:
    (tmp_path / "trust.toml").write_text("[trust]\ndigests = []\n")
    with pytest.raises(wardian.UntrustedCaseError):
        wardian.load_sandboxed(willow[0], trust=wardian.Trust.from_file(tmp_path / "trust.toml"))


def test_the_user_asks_for_a_policy_here_too(
    willow: tuple[Path, torch.nn.Module], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDIAN_TRUST", "require")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(wardian.UntrustedCaseError, match="wardian trust init"):
        wardian.load_sandboxed(willow[0])


def test_the_command_runs_and_checks_in_a_cage(
    willow: tuple[Path, torch.nn.Module], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(willow[0])
    target = tmp_path / "out.pt"
    words = ["run", path, "--sandbox", "--inputs", "(torch.ones(3, 4),)", "-o", str(target)]
    assert run(words) == 0
    with torch.no_grad():
        assert torch.equal(torch.load(target)["out"], willow[1](torch.ones(3, 4))["out"])
    assert run(["check", path, "--sandbox"]) == 0
    assert "the same, bit for bit" in capsys.readouterr().out
    assert run(["check", path, "--sandbox", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["passed"], found["problem"]) == (True, None)
    assert [entry["outcome"] for entry in found["entries"]] == ["the same, bit for bit"]
    assert run(["check", path, "--sandbox", "--entry", "oak"]) == 2
    assert "no entry point 'oak'" in capsys.readouterr().err
    assert run(["run", path, "--inputs", "()", "--timeout", "3"]) == 2


def test_a_machine_without_a_cage_refuses_and_says_what_is_missing(
    willow: tuple[Path, torch.nn.Module],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(landlock, "version", lambda: 1)
    with pytest.raises(wardian.SandboxUnavailableError) as caught:
        wardian.load_sandboxed(willow[0])
    assert caught.value.missing == (
        "bubblewrap is not installed (apt-get install bubblewrap)",
        "Landlock of version 3 (Linux 6.2) is needed, and this kernel has version 1",
    )
    assert run(["run", str(willow[0]), "--sandbox", "--inputs", "(torch.ones(3, 4),)"]) == 2
    assert "apt-get install bubblewrap" in capsys.readouterr().err
    with pytest.raises(wardian.SandboxUnavailableError, match="bubblewrap is not installed"):
        wardian.load_sandboxed(willow[0], way="bubblewrap")


def test_bubblewrap_that_does_not_work_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho 'No permissions to create new namespace' >&2\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bubblewrap.find() == (
        None,
        f"{tmp_path}/bwrap does not work here: No permissions to create new namespace",
    )
