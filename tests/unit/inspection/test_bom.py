"""What a bill of materials says of a case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support import write_case
from wardian.archive import ArchiveReader
from wardian.domain.manifest import Extern, PackedDistribution
from wardian.inspection.bom import bill_of_materials


def bill_of(case: Path) -> dict[str, Any]:
    with ArchiveReader.open(case) as archive:
        return bill_of_materials(archive, case.name)


def test_it_lists_what_is_inside_and_outside_with_its_scope(tmp_path: Path) -> None:
    case = write_case(
        tmp_path / "oak.case",
        {
            "oak/__init__.py": "",
            ".wardian/metadata/oak/METADATA": "License-Expression: mit\n",
            ".wardian/metadata/elm/METADATA": "License: ours\n",
        },
        distributions=(
            PackedDistribution(name="elm", version="2.0", roots=("elm",)),
            PackedDistribution(name="first-party", version=None, roots=("mine",)),
            PackedDistribution(name="oak", version="1.0", roots=("oak",)),
        ),
        externs=(
            Extern(distribution="numpy", version="2.4.6", modules=("numpy",), names=(), soft=True),
            Extern(distribution="torch", version="2.15.0", modules=("torch",), names=(), soft=False),
        ),
        mocks=("wandb",),
    )
    bill = bill_of(case)
    found = {
        c["name"]: (c["properties"][0]["value"], c["scope"], c.get("purl"), c.get("licenses"))
        for c in bill["components"]
    }
    assert found == {
        "elm": ("inside", "required", "pkg:pypi/elm@2.0", [{"license": {"name": "ours"}}]),
        "first-party": ("inside", "required", None, None),
        "oak": ("inside", "required", "pkg:pypi/oak@1.0", [{"expression": "MIT"}]),
        "torch": ("outside", "required", "pkg:pypi/torch@2.15.0", None),
        "numpy": ("outside", "optional", "pkg:pypi/numpy@2.4.6", None),
        "wandb": ("mocked", "excluded", None, None),
    }
    assert bill["dependencies"][0] == {
        "ref": "model",
        "dependsOn": [c["bom-ref"] for c in bill["components"]],
    }


def test_the_model_has_the_digest_of_the_case_and_a_card(tmp_path: Path) -> None:
    case = write_case(tmp_path / "oak.case", metadata={"by": "alice"})
    model = bill_of(case)["metadata"]["component"]
    with ArchiveReader.open(case) as archive:
        assert model["hashes"] == [{"alg": "SHA-256", "content": archive.digest}]
    assert (model["type"], model["name"]) == ("machine-learning-model", "oak.case")
    assert model["modelCard"]["modelParameters"] == {"modelArchitecture": "builtins.NoneType"}
    properties = {p["name"]: p["value"] for p in model["modelCard"]["properties"]}
    assert properties["wardian:metadata:by"] == "alice"
    assert properties["wardian:proof"] == "not proven"


def test_one_case_has_one_bill(tmp_path: Path) -> None:
    case = write_case(tmp_path / "oak.case", "--- oak.py\n")
    other = write_case(tmp_path / "elm.case", "--- elm.py\n")
    assert bill_of(case) == bill_of(case)
    assert bill_of(case)["serialNumber"] != bill_of(other)["serialNumber"]
