"""The strict validator of CycloneDX accepts the bill of materials of any case."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from packageurl import PackageURL

import wardian
from tests.schemas import find_error_in_bill
from tests.support import write_case
from wardian.archive import ArchiveReader
from wardian.domain.manifest import Extern, PackedDistribution
from wardian.inspection.bom import bill_of_materials

ARCHIVES = Path(__file__).parents[1] / "compat" / "archives"


def bill_of(path: Path) -> dict[str, Any]:
    with ArchiveReader.open(path) as archive:
        return bill_of_materials(archive, path.name)


def require_valid(bill: dict[str, Any]) -> None:
    error = find_error_in_bill(json.dumps(bill))
    assert error is None, str(error)


def test_the_bill_of_a_packed_model_is_valid(tmp_path: Path) -> None:
    wardian.pack(torch.nn.Linear(2, 1), tmp_path / "linear.case", prove=False, metadata={"by": "me"})
    require_valid(bill_of(tmp_path / "linear.case"))


def test_the_bill_of_a_case_with_everything_is_valid(tmp_path: Path) -> None:
    metadata = {
        "mit_lib": "License-Expression: MIT OR Apache-2.0\n",
        "odd.Lib": "License: do what you want\n",
        "silent": "Name: silent\n",
    }
    case = write_case(
        tmp_path / "oak.case",
        {
            "oak.py": "LEAVES = 3\n",
            **{f".wardian/metadata/{name}/METADATA": text for name, text in metadata.items()},
        },
        distributions=tuple(
            PackedDistribution(name=name, version="1.0+local", roots=(name.replace(".", "_"),))
            for name in sorted(metadata)
        ),
        externs=(
            Extern(distribution="torch", version="2.15.0", modules=("torch",), names=(), soft=False),
            Extern(distribution="odd.Lib", version="1.0", modules=("odd",), names=(), soft=True),
            Extern(distribution=None, version=None, modules=("lost",), names=(), soft=False),
        ),
        mocks=("wandb",),
    )
    bill = bill_of(case)
    require_valid(bill)
    assert bill == bill_of(case)


@pytest.mark.parametrize("archive", sorted(ARCHIVES.glob("*.pt")), ids=lambda path: path.stem)
def test_the_bill_of_an_archive_of_torch_package_is_valid(archive: Path) -> None:
    require_valid(bill_of(archive))


def test_the_validator_refuses_what_is_wrong(tmp_path: Path) -> None:
    bill = bill_of(write_case(tmp_path / "oak.case"))
    assert find_error_in_bill(json.dumps(bill | {"more": 1})) is not None


@pytest.mark.parametrize(
    ("name", "version"), [("torch", "2.15.0+cu132"), ("Torch_Geometric", "1!2.0"), ("a.b", None)]
)
def test_package_urls_are_those_of_the_library(name: str, version: str | None, tmp_path: Path) -> None:
    extern = Extern(distribution=name, version=version, modules=("m",), names=(), soft=False)
    bill = bill_of(write_case(tmp_path / "oak.case", externs=(extern,)))
    (component,) = bill["components"]
    found = PackageURL.from_string(component["purl"])
    assert (found.type, found.version) == ("pypi", version)
    assert found.to_string() == component["purl"]
