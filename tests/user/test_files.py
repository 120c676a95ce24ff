"""Data files beside the code, and the metadata of a packed distribution, are where code looks for them."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import pytest
import torch

import wardian
from tests.support import answers_of, ask, importable, write_tree

PROJECT = """
--- nursery/__init__.py
--- nursery/model.py
import torch

class Bed(torch.nn.Module):
    def __init__(self, features):
        super().__init__()
        self.features = features

    def forward(self, x):
        # Which modules are there is known only when it runs.
        return x + len(self.features["nursery.children"]())

--- nursery/labels.txt
rose
tulip
--- nursery/data/__init__.py
--- nursery/data/soil.json
{"ph": 6}
--- nursery/data/deep/notes.txt
water daily
--- nursery/recipes/feed.yaml
nitrogen: 3

--- nursery/at_import.py
import os
with open(os.path.join(os.path.dirname(__file__), "labels.txt")) as file:
    LABELS = file.read().split()
def answer():
    return LABELS

--- nursery/when_called.py
from pathlib import Path
def answer():
    here = Path(__file__).resolve().parent
    return [(here / "recipes" / "feed.yaml").read_text(), sorted(p.name for p in here.glob("*.txt"))]

--- nursery/through_package_path.py
import os
import nursery
def answer():
    return os.path.isfile(os.path.join(nursery.__path__[0], "recipes", "feed.yaml"))

--- nursery/with_resources.py
import json
from importlib import resources
import importlib.resources as long_name
import nursery.data
def answer():
    by_name = resources.files("nursery.data").joinpath("soil.json").read_text()
    by_module = long_name.files(nursery.data) / "deep" / "notes.txt"
    with resources.as_file(by_module) as path:
        on_disk = path.read_text()
    feed = resources.files("nursery.recipes").joinpath("feed.yaml").read_text()
    assert feed.strip() == "nitrogen: 3"
    return [json.loads(by_name), on_disk, resources.files(__package__).joinpath("labels.txt").is_file()]

--- nursery/with_pkgutil.py
import pkgutil
import nursery.data
def answer():
    own = pkgutil.get_data(__name__, "labels.txt")
    other = pkgutil.get_data("nursery.data", "soil.json")
    top = pkgutil.get_data(__name__.split(".")[0], "labels.txt")
    assert top == own
    return [own.decode(), other.decode()]

--- nursery/children.py
import importlib
import pkgutil
from nursery import kinds
def answer():
    names = sorted(module.name for module in pkgutil.iter_modules(kinds.__path__))
    walked = sorted(module.name for module in pkgutil.walk_packages(kinds.__path__, kinds.__name__ + "."))
    return [names, [importlib.import_module(name).COLOUR for name in walked]]
--- nursery/kinds/__init__.py
--- nursery/kinds/lily.py
COLOUR = "white"
--- nursery/kinds/rose.py
COLOUR = "red"

--- nursery/through_loader.py
import os
def answer():
    path = os.path.join(os.path.dirname(__file__), "labels.txt")
    return [__loader__.get_data(path).decode(), __spec__.loader is __loader__]

--- nursery/with_metadata.py
import importlib.metadata
from importlib.metadata import entry_points, version
import seedbank
from seedbank import vault
def answer():
    found = importlib.metadata.distribution("seedbank")
    assert importlib.metadata.version(seedbank.__name__.split(".")[-1]) == "1.4"
    points = entry_points(group="seedbank.stores")
    assert [point.name for point in entry_points().select(group="seedbank.stores")] == ["arctic"]
    assert "nobody" not in entry_points().groups
    return {
        "version": version("SeedBank"),
        "own": seedbank.__version__,
        "name": importlib.metadata.metadata("seedbank")["Name"],
        "requires": found.requires,
        "points": [point.name for point in points],
        "loaded": [point.load()() for point in points],
        "vault": vault.open_vault(),
        "all": {
            name: version(name)
            for name in sorted({found.metadata["Name"] for found in importlib.metadata.distributions()})
            if name in ("SeedBank", "torch", "wardian")
        },
    }

--- nursery/not_installed.py
import importlib.metadata
def answer():
    try:
        return importlib.metadata.version("seed-catalogue-that-nobody-has")
    except importlib.metadata.PackageNotFoundError as error:
        return error.name
"""

SITE = """
--- seedbank/__init__.py
from importlib.metadata import version
__version__ = version(__name__)
assert version(__name__.split(".")[0]) == __version__ == version(__package__)
--- seedbank/vault.py
def open_vault():
    return "cold"
--- seedbank-1.4.dist-info/METADATA
Metadata-Version: 2.1
Name: SeedBank
Version: 1.4
Requires-Dist: torch
--- seedbank-1.4.dist-info/entry_points.txt
[seedbank.stores]
arctic = seedbank.vault:open_vault
--- seedbank-1.4.dist-info/RECORD
seedbank/__init__.py,,
seedbank/vault.py,,
seedbank-1.4.dist-info/METADATA,,
seedbank-1.4.dist-info/entry_points.txt,,
seedbank-1.4.dist-info/RECORD,,
"""

DECOY = """
--- seedbank/__init__.py
__version__ = "9.9"
--- seedbank/vault.py
def open_vault():
    return "warm"
--- seedbank-9.9.dist-info/METADATA
Metadata-Version: 2.1
Name: SeedBank
Version: 9.9
--- seedbank-9.9.dist-info/entry_points.txt
[seedbank.stores]
tropical = seedbank.vault:open_vault
--- seedbank-9.9.dist-info/RECORD
seedbank/__init__.py,,
seedbank/vault.py,,
--- nursery/labels.txt
weeds
"""
"""Installed where the case is loaded: a later release of the library."""

EXPECTED: dict[str, Any] = {
    "nursery.at_import": ["rose", "tulip"],
    "nursery.when_called": ["nitrogen: 3\n", ["labels.txt"]],
    "nursery.through_package_path": True,
    "nursery.with_resources": [{"ph": 6}, "water daily\n", True],
    "nursery.with_pkgutil": ["rose\ntulip\n", '{"ph": 6}\n'],
    "nursery.children": [["lily", "rose"], ["white", "red"]],
    "nursery.through_loader": ["rose\ntulip\n", True],
    "nursery.with_metadata": {
        "version": "1.4",
        "own": "1.4",
        "name": "SeedBank",
        "requires": ["torch"],
        "points": ["arctic"],
        "loaded": ["cold"],
        "vault": "cold",
        "all": {name: importlib.metadata.version(name) for name in ("torch", "wardian")}
        | {"SeedBank": "1.4"},
    },
    "nursery.not_installed": "seed-catalogue-that-nobody-has",
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any], Path]:
    """What the features answer where they are installed, where the case is loaded, and the case."""
    folder = tmp_path_factory.mktemp("files")
    project, site = write_tree(folder / "project", PROJECT), write_tree(folder / "site", SITE)
    case = folder / "bed.case"
    with importable(project, site) as load:
        features = {name: load(name).answer for name in EXPECTED}
        wardian.pack(load("nursery.model").Bed(features), case, inputs=(torch.ones(1),))
        before = answers_of(features)
    decoy = write_tree(folder / "decoy", DECOY)
    return before, ask(case, folder=folder, paths=(decoy,)), case


@pytest.mark.parametrize("feature", EXPECTED)
def test_the_loaded_feature_answers_as_the_installed_one(
    feature: str, answers: tuple[dict[str, Any], dict[str, Any], Path]
) -> None:
    installed, loaded, _ = answers
    assert installed[feature] == EXPECTED[feature], "the test itself is wrong"
    assert loaded[feature] == EXPECTED[feature], loaded[feature]


def test_the_manifest_names_the_packed_distribution(answers: tuple[Any, Any, Path]) -> None:
    with wardian.open(answers[2]) as case:
        packed = {d.name: d for d in case.manifest.distributions}
        assert packed["seedbank"].version == "1.4"
        assert packed["seedbank"].roots == ("seedbank",)
        assert packed["first-party"].roots == ("nursery",)
        assert case.manifest.proof == "passed"


def test_resources_of_the_caller_come_along(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_bytes(b"from a path")
    resources: dict[str, str | bytes | Path] = {
        "docs/card.md": "# Linear\n",
        "docs/raw.bin": b"\x00\xff",
        "notes.txt": notes,
    }
    target = tmp_path / "linear.case"
    wardian.pack(
        torch.nn.Linear(1, 1), target, prove=False, resources=resources, metadata={"author": "Nathaniel"}
    )
    with wardian.open(target) as case:
        assert case.read("docs/card.md") == b"# Linear\n"
        assert case.read("docs/raw.bin") == b"\x00\xff"
        assert case.read("notes.txt") == b"from a path"
        assert case.manifest.metadata == {"author": "Nathaniel"}
