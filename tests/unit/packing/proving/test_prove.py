"""The clean process of the proof imports what is declared, and nothing else."""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support import MANIFEST, write_case
from wardian.archive import ArchiveReader
from wardian.domain.manifest import Manifest, PackedDistribution
from wardian.environment.distributions import Distributions
from wardian.errors import ProofError
from wardian.packing.proving.advice import advice_on
from wardian.packing.proving.fence import Filter, find_installed
from wardian.packing.proving.prove import _serves, prove
from wardian.processes.clean import ChildError, CleanProcesses


def test_the_filter_finds_only_what_is_allowed() -> None:
    names = ["packaging"]
    allowed = Filter(importlib.machinery.PathFinder, {"roots": names, "distributions": names})
    assert allowed.find_spec("packaging", None) is not None
    assert allowed.find_spec("json", None) is not None
    assert allowed.find_spec("hypothesis", None) is None
    context = importlib.metadata.DistributionFinder.Context()
    assert {found.metadata["Name"] for found in allowed.find_distributions(context)} == {"packaging"}
    assert (allowed.found, allowed.hidden) == ({"packaging"}, {"hypothesis"})


@pytest.mark.parametrize(
    ("met", "serves"),
    [
        ({}, True),
        ({"found": ["torch", "numpy"]}, True),
        ({"found": ["torch", "triton"]}, False),
        ({"hidden": ["tqdm"]}, True),
        ({"hidden": ["numpy"]}, False),
        ({"plugins": ["torch-xpu"]}, False),
        ({"hidden_plugins": ["torch-xpu"]}, True),
        ({"hidden_plugins": ["numpy"]}, False),
    ],
)
def test_a_template_serves_that_met_what_this_proof_would_meet(met: dict[str, Any], serves: bool) -> None:
    allowed = {"roots": ["numpy", "torch"], "distributions": ["numpy", "torch"]}
    facts = {"found": ["torch"], "hidden": [], "plugins": [], "hidden_plugins": [], **met}
    assert _serves(allowed, {}, facts) is serves


def _prove(path: Path) -> None:
    with ArchiveReader.open(path) as archive:
        manifest = Manifest.from_json(archive.manifest, path=None)
    prove(path, manifest, CleanProcesses())


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


def test_what_an_allowed_package_vendors_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in ("allowedlib/__init__.py", "allowedlib/_vendor/vendoredlib/functools.py", "otherlib.py"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    # As setuptools does it when it is imported.
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "allowedlib/_vendor")])
    finder = Filter(importlib.machinery.PathFinder, {"roots": ["allowedlib"], "distributions": []})
    namespace = finder.find_spec("vendoredlib", None)
    assert namespace is not None
    assert finder.find_spec("vendoredlib.functools", list(namespace.submodule_search_locations or ()))
    assert finder.find_spec("otherlib", None) is None


@pytest.mark.parametrize(
    ("summary", "facts", "output", "last"),
    [
        (
            "ImportError: x",
            {"missing": ["barklib"]},
            "",
            'if a rule denies it, Policy(extern=["barklib.**"])',
        ),
        (
            "KeyError: 'x'",
            {},
            f'File "/c/{"a" * 64}/barklib/rings.py"',
            'Policy(extern=["barklib.**"])',
        ),
        ("KeyError: 'x'", {}, f'File "/c/{"a" * 64}/mill.py", line 2', "the traceback says what it misses."),
        ("CheckError: output is '<wardian.live.a_1.mill'", {"alike": True}, "", "into what is returned"),
        ("CheckError: inputs[0] is not changed by the call", {"alike": True}, "", "and nothing is compared"),
        ("CheckError: output differs by 1", {"alike": True}, "", "use hashlib in place of hash()"),
        ("CheckError: output differs by 1", {}, "", "or pack without inputs"),
    ],
)
def test_the_last_line_mends_it_or_says_that_none_does(
    summary: str, facts: dict[str, Any], output: str, last: str
) -> None:
    packed = (
        PackedDistribution(name="barklib", version="1.0", roots=("barklib",)),
        PackedDistribution(name="first-party", version=None, roots=("mill",)),
    )
    manifest = replace(MANIFEST, distributions=packed)
    manifest = MANIFEST if facts.get("missing") else manifest
    assert advice_on(ChildError(summary, output, facts), manifest).splitlines()[-1].endswith(last)


def test_a_vendored_copy_stands_in_for_what_is_installed_and_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in ("site/otherlib.py", "site/allowedlib/__init__.py", "site/allowedlib/_vendor/otherlib.py"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    site = tmp_path / "site"
    monkeypatch.setattr(sys, "path", [str(site), str(site / "allowedlib/_vendor")])
    finder = Filter(importlib.machinery.PathFinder, {"roots": ["allowedlib"], "distributions": []})
    found = finder.find_spec("otherlib", None)
    assert found is not None
    assert found.origin == str(site / "allowedlib/_vendor/otherlib.py")


def test_what_was_missing_and_is_installed_becomes_an_extern() -> None:
    assert [(e.distribution, e.modules, e.soft) for e in find_installed(["numpy", "nobody"], MANIFEST)] == [
        ("numpy", ("numpy",), False)
    ]
    assert find_installed(["numpy"], replace(MANIFEST, absent=("numpy",))) == ()
    assert find_installed(["torch"], MANIFEST) == ()


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
