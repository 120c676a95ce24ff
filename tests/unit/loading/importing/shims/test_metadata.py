"""`importlib.metadata` has the packed distributions, those that are installed, and none that were hidden."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wardian
from tests.support import write_case
from wardian.domain.manifest import PackedDistribution
from wardian.domain.record_names import metadata_record
from wardian.loading.importing.mount import Mount
from wardian.loading.importing.shims.metadata import make_metadata

SAGE = {
    "sage/__init__.py": "def brew(): return 'tea'\n",
    metadata_record("sage-tea", "METADATA"): (
        "Metadata-Version: 2.1\nName: Sage.Tea\nVersion: 2.5\nRequires-Dist: torch\n"
    ),
    metadata_record("sage-tea", "entry_points.txt"): "[sage.brews]\ntea = sage:brew\n",
    metadata_record("thyme", "METADATA"): "Metadata-Version: 2.1\nName: thyme\nVersion: 3.0\n",
    metadata_record("asked-only", "METADATA"): "Metadata-Version: 2.1\nName: asked-only\nVersion: 9.9\n",
}


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    packed = (
        PackedDistribution(name="sage-tea", version="2.5", roots=("sage",)),
        PackedDistribution(name="thyme", version="3.0", roots=("thyme",)),
        PackedDistribution(name="first-party", version=None, roots=("mine",)),
    )
    path = write_case(tmp_path / "sage.case", SAGE, distributions=packed, absent=("packaging",))
    with wardian.open(path) as case:
        yield case.mount


@pytest.fixture
def metadata(mount: Mount) -> Any:
    return make_metadata(mount, "importlib.metadata")


@pytest.mark.parametrize("name", ["sage-tea", "Sage.Tea", "sage_tea"])
def test_a_packed_distribution_tells_its_metadata(metadata: Any, name: str) -> None:
    assert metadata.version(name) == "2.5"
    assert metadata.requires(name) == ["torch"]
    assert metadata.metadata(name)["Name"] == "Sage.Tea"
    assert metadata.distribution(name).read_text("RECORD") is None
    assert metadata.files(name) is None


@pytest.mark.parametrize(("module", "version"), [("thyme.leaf", "3.0"), ("mine.net", None)])
def test_code_asks_by_the_first_part_of_its_name(
    mount: Mount, metadata: Any, module: str, version: str | None
) -> None:
    scope: dict[str, Any] = {"__name__": f"{mount.name}.{module}", "metadata": metadata}
    exec("def ask(): return metadata.version(__name__.split('.')[0])", scope)
    # That of the second is no distribution; the one that it names by its words is.
    assert scope["ask"]() == (version or importlib.metadata.version("wardian"))


def test_what_was_hidden_is_not_installed(metadata: Any) -> None:
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        metadata.version("packaging")
    assert importlib.metadata.version("packaging")
    names = {found.metadata["Name"] for found in metadata.distributions()}
    assert "packaging" not in names
    assert {"Sage.Tea", "torch"} <= names


def test_the_environment_answers_first_for_what_was_only_asked_for(metadata: Any) -> None:
    assert metadata.version("asked-only") == "9.9"
    assert metadata.version("torch") == importlib.metadata.version("torch")
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        metadata.version("orchard-nowhere")


def test_entry_points_of_the_case_load_from_it(mount: Mount, metadata: Any) -> None:
    (point,) = metadata.entry_points(group="sage.brews")
    assert (point.name, point.value) == ("tea", "sage:brew")
    assert point.load() is mount.import_module("sage").brew
    assert metadata.entry_points(group="sage.none") == ()
    installed = importlib.metadata.entry_points(group="console_scripts").names
    assert metadata.entry_points(group="console_scripts").names == installed


def test_top_level_names_lead_to_their_distributions(metadata: Any) -> None:
    found = metadata.packages_distributions()
    assert found["sage"] == ["sage-tea"]
    assert "mine" not in found
    assert "packaging" not in found
    assert found["torch"] == ["torch"]


def test_all_else_is_python_s(metadata: Any) -> None:
    assert metadata.PackageNotFoundError is importlib.metadata.PackageNotFoundError
