"""The fence of a proof: what can be found behind it."""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import MANIFEST, write_tree
from wardian.packing.proving.fence import OWN, Filter, allowed_distributions, find_installed


def test_the_filter_finds_only_what_is_allowed() -> None:
    names = ["packaging"]
    allowed = Filter(importlib.machinery.PathFinder, {"roots": names, "distributions": names})
    assert allowed.find_spec("packaging", None) is not None
    assert allowed.find_spec("json", None) is not None
    assert allowed.find_spec("hypothesis", None) is None
    context = importlib.metadata.DistributionFinder.Context()
    assert {found.metadata["Name"] for found in allowed.find_distributions(context)} == {"packaging"}
    assert (allowed.found, allowed.hidden) == ({"packaging"}, {"hypothesis"})


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


def test_externs_are_allowed_with_what_they_require_and_soft_ones_are_not() -> None:
    torch, numpy, saw = (
        replace(MANIFEST.externs[0], distribution=name, modules=modules)
        for name, modules in (("torch", ("torch",)), ("numpy", ("numpy.fft",)), (None, ("mill._saw",)))
    )
    allowed = allowed_distributions([torch, replace(numpy, soft=True), saw])
    assert {*OWN, "sympy", "mill"} <= set(allowed["roots"])
    assert "numpy" not in allowed["roots"]
    assert "numpy" not in allowed["distributions"]
    assert {"numpy"} <= set(allowed_distributions([torch, numpy])["roots"])
    also = allowed_distributions([torch, replace(numpy, soft=True)], ["hypothesis"])
    assert {"hypothesis", "sortedcontainers"} <= set(also["distributions"])


def test_a_filter_can_be_told_to_find_more() -> None:
    finder = Filter(importlib.machinery.PathFinder, {"roots": [], "distributions": []})
    assert finder.find_spec("packaging", None) is None
    finder.allow({"roots": ["packaging"], "distributions": []})
    assert finder.find_spec("packaging", None) is not None
    assert finder.find_spec("nobody", None) is None
    assert finder.hidden == {"packaging"}


def test_plug_ins_of_pytorch_are_noted_and_found_only_where_they_are_allowed(tmp_path: Path) -> None:
    tree = """
    --- mill_saw-1.0.dist-info/METADATA
    Metadata-Version: 2.1
    Name: Mill.Saw
    Version: 1.0
    --- mill_saw-1.0.dist-info/entry_points.txt
    [torch.backends]
    mill = mill_saw:load
    """
    site = write_tree(tmp_path, tree)

    def found(*allowed: str) -> tuple[list[str], dict[str, bool]]:
        finder = Filter(importlib.machinery.PathFinder, {"roots": [], "distributions": allowed})
        context = importlib.metadata.DistributionFinder.Context(path=[str(site)])
        return [d.metadata["Name"] for d in finder.find_distributions(context)], finder.plugins

    assert found() == ([], {"mill-saw": False})
    assert found("mill-saw") == (["Mill.Saw"], {"mill-saw": True})


def test_a_finder_without_metadata_has_none() -> None:
    allowed: dict[str, list[str]] = {"roots": [], "distributions": []}
    assert list(Filter(importlib.machinery.BuiltinImporter, allowed).find_distributions()) == []
