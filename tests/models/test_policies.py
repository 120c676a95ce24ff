"""What the first policy of a user says of ordinary models, and whether their bills of materials are right."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from packageurl import PackageURL
from packaging.utils import canonicalize_name

import wardian
from tests.models.conftest import Nursery
from tests.schemas import find_error_in_bill
from wardian.cli.app import run

pytestmark = pytest.mark.models

_MODELS = ("resnet18", "timm_resnet50", "bert")


@pytest.mark.parametrize("name", _MODELS)
def test_the_policy_that_is_written_accepts_it_from_a_signer_and_from_nobody_else(
    name: str, nursery: Nursery, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = tmp_path / f"{name}.case"
    os.symlink(nursery.packed(name), case)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key", "-C", "alice"], check=True
    )
    policy = ("--policy", str(tmp_path / "trust.toml"))
    assert run(["trust", "init", *policy]) == 0
    assert run(["trust", "add", "alice", str(tmp_path / "key.pub"), *policy]) == 0
    assert run(["trust", "show", str(case), *policy]) == 1
    assert "there are no signatures" in capsys.readouterr().out
    wardian.sign(case, key=tmp_path / "key")
    assert run(["trust", "show", str(case), *policy]) == 0


@pytest.mark.parametrize("name", _MODELS)
def test_its_bill_of_materials_is_valid_and_names_every_distribution(
    name: str, nursery: Nursery, tmp_path: Path
) -> None:
    case = nursery.packed(name)
    target = tmp_path / "bill.json"
    assert run(["sbom", str(case), "-o", str(target)]) == 0
    text = target.read_text()
    assert find_error_in_bill(text) is None
    found = {
        (PackageURL.from_string(part["purl"]).name, PackageURL.from_string(part["purl"]).version): part
        for part in json.loads(text)["components"]
        if "purl" in part
    }
    with wardian.open(case) as opened:
        manifest = opened.manifest
    for packed in manifest.distributions:
        if packed.version is not None:
            part = found[canonicalize_name(packed.name), packed.version]
            assert part["scope"] == "required"
            assert part["licenses"]
    for extern in manifest.externs:
        if extern.distribution is not None:
            part = found[canonicalize_name(extern.distribution), extern.version]
            assert part["scope"] == ("optional" if extern.soft else "required")
