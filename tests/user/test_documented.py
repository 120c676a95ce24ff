"""What docs/reference/cli.schema.json and the helps of the commands say is what the commands do."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
import pytest
import torch
from torch.package.package_exporter import PackageExporter

import wardian
from tests.schemas import validator_of
from tests.signers import allow, make_key
from tests.support import importable, write_case, write_tree
from wardian.cli.app import commands, run
from wardian.cli.trusting import trust
from wardian.domain.manifest import Extern

DOCS = Path(__file__).parents[2] / "docs" / "reference"
SCHEMA = json.loads((DOCS / "cli.schema.json").read_text())

PROJECT = """
--- orchard/__init__.py
--- orchard/trees.py
import os
import torch
class Tree(torch.nn.Sequential):
    def forward(self, x):
        os.getenv("x")
        return super().forward(x)
def build():
    tree = Tree(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    tree[1].weight = tree[0].weight
    return tree
def resnet18():
    return build()
--- train.py
from orchard.trees import build

words = {"leaf": 1}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with all files that examples and schemas are about."""
    folder = write_tree(tmp_path_factory.mktemp("documented"), PROJECT)
    with importable(folder) as load, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", list(sys.path))
        tree = load("orchard.trees").build()
        wardian.pack(tree, "resnet18.case", inputs=(torch.ones(1, 2),))
        with torch.no_grad():
            tree[0].bias += 1
        wardian.pack(tree, "tuesday.case", prove=False)
        with PackageExporter("old.pt") as exporter:
            exporter.extern("torch.**")
            exporter.intern("orchard.**")
            exporter.save_pickle("model", "model.pkl", torch.nn.Linear(2, 2))
        lost = Extern(distribution="unobtainium", version="3", modules=("unobtainium",), names=(), soft=False)
        write_case(folder / "lacking.case", PROJECT, externs=(lost,), mocks=("wandb",), absent=("apex",))
        Path("trust.toml").write_text("[trust]\nnative = true\ndigests = []\n")
        Path("policy.toml").write_text('[audit]\ncapabilities = ["network"]\n')
        torch.save((torch.ones(1, 2),), "inputs.pt")
        key = make_key(folder / "id_ed25519")
        wardian.sign("tuesday.case", key=key)
        allow(folder / "allowed_signers", {"alice@example.com": key})
        yield folder


@pytest.mark.parametrize(
    "line",
    [
        *(f"info {file}" for file in ("resnet18.case", "tuesday.case", "lacking.case", "old.pt")),
        "info tuesday.case --signers allowed_signers",
        *(f"ls {file}" for file in ("resnet18.case", "old.pt")),
        "ls --tensors resnet18.case",
        *(f"why resnet18.case {name}" for name in ("orchard.trees", "torch", "pandas")),
        *(f"why lacking.case {name}" for name in ("wandb", "apex", "unobtainium", "json")),
        "diff resnet18.case tuesday.case",
        "diff resnet18.case old.pt",
        *(f"audit {file}" for file in ("resnet18.case", "old.pt", "lacking.case")),
        "audit resnet18.case --policy policy.toml",
        "verify resnet18.case --digest 0123456789abcdef",
        "verify resnet18.case --signers allowed_signers",
        "verify tuesday.case --signers allowed_signers",
        "requirements resnet18.case",
        "check resnet18.case",
        "plan orchard.trees:resnet18",
        "cache",
        "cache --clear",
        "trust show resnet18.case --policy trust.toml",
    ],
)
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_json_is_as_documented(line: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, second = line.partition(" ")[0], " ".join(line.split()[:2])
    name = second if second in SCHEMA["$defs"] else command
    assert run([*line.split(), "--json"]) in (0, 1)
    found = json.loads(capsys.readouterr().out)
    validator_of(SCHEMA | {"$ref": f"#/$defs/{quote(name)}"}).validate(found)
    assert found != []


def _keys(schema: dict[str, Any]) -> Iterator[str]:
    for name, value in schema.get("properties", {}).items():
        yield name
        yield from _keys(value)
    for below in (*filter(None, [schema.get("items")]), *schema.get("anyOf", ())):
        yield from _keys(below)


@pytest.mark.parametrize("command", SCHEMA["$defs"])
def test_every_key_is_explained_on_the_page(command: str) -> None:
    page = (DOCS / "cli.md").read_text().partition("## JSON")[2]
    assert f"`{command.partition(' --')[0]}`" in page
    assert [key for key in _keys(SCHEMA["$defs"][command]) if key not in page] == []


def test_every_command_that_looks_has_a_schema() -> None:
    known = {**commands.commands, **{f"trust {name}": below for name, below in trust.commands.items()}}
    looking = {
        name
        for name, command in known.items()
        if any(parameter.name == "as_json" for parameter in command.params)
    }
    assert looking == {name.partition(" --")[0] for name in SCHEMA["$defs"]}


def _examples() -> list[Any]:
    found = []
    for name, command in sorted(commands.commands.items()):
        with click.Context(command, info_name=name, max_content_width=80) as context:
            text = command.get_help(context)
        assert max(map(len, text.splitlines())) <= 80
        lines = text.partition("Example")[2].partition("\n")[2].replace("\\\n", " ").splitlines()
        assert lines, f"the help of {name} has no example"
        found += [pytest.param(line.strip(), id=" ".join(line.split())) for line in lines if line.strip()]
    return found


# The examples name what a reader has; here stand smaller things of the same form.
STANDS_FOR = {
    "torchvision.models:resnet18": "orchard.trees:resnet18",
    "torchvision/models/resnet.py": "orchard/trees.py",
    "torchvision/*": "orchard/*",
    "torchvision/models/*": "orchard/*",
    "torch.zeros(1, 3, 224, 224)": "torch.ones(1, 2)",
    "bert.case": "resnet18.case",
    "stranger.case": "resnet18.case",
    "monday.case": "resnet18.case",
    "layer1.*": "1.*",
    "fc.*": "0.*",
    " numpy": " torch",
    "--digest cdbeb3fa30e2f4a1": "",
    "--key ~/.ssh/id_ed25519": "--key id_ed25519",
}


@pytest.mark.parametrize("line", _examples())
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_the_example_of_each_help_runs(
    line: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if any(word in line for word in ("pip install", "--wheels", "wardian push")):
        pytest.skip("pip, folders that it has filled, and hosts are tested elsewhere")
    monkeypatch.setenv("WARDIAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    if line.startswith(("wardian trust add", "wardian trust show")):
        assert run(["trust", "init"]) == run(["trust", "add", "resnet18.case"]) == 0
    for theirs, ours in STANDS_FOR.items():
        line = line.replace(theirs, ours)
    line = line.replace("-o ", f"-o {tmp_path}/").replace("-C ", f"-C {tmp_path}/")
    program, *words = shlex.split(line)
    assert program == "wardian"
    assert run(words) == (1 if words[0] == "diff" or "--policy" in words else 0)
