"""What a run imports and opens is recorded; everything is as it was afterwards."""

from __future__ import annotations

import builtins
import importlib
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from tests.support import importable, run_python, write_tree
from wardian.domain.trace import Evidence, ObservedImport
from wardian.packing.tracing.recorder import Recorder

PROJECT = """
--- thyme/__init__.py
import json
from . import leaf
from thyme.leaf import SMELL
--- thyme/leaf.py
SMELL = "sharp"
def late():
    import thyme.root
    return importlib_name("thyme.stem")
def importlib_name(name):
    import importlib
    return importlib.import_module(name)
--- thyme/root.py
--- thyme/stem.py
try:
    import nobody_has_this.part
except ImportError:
    pass
import importlib.util
FOUND = importlib.util.find_spec("nor_this")
--- thyme/notes.txt
dry
"""


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evidence, Path]:
    folder = write_tree(tmp_path_factory.mktemp("thyme"), PROJECT)
    originals = builtins.__import__, importlib.import_module, importlib.util.find_spec
    recorder = Recorder()
    with importable(folder) as load, recorder.recording():
        importlib.import_module("thyme").leaf.late()
        (folder / "thyme" / "notes.txt").read_text()
        (folder / "written.txt").write_text("this is no reading")
        del load
        found = recorder.evidence(libraries=["b.so", "a.so"], operators=[], schemas=[], ran=True)
    assert (builtins.__import__, importlib.import_module, importlib.util.find_spec) == originals
    return found, folder


def test_modules_that_came_are_listed(evidence: tuple[Evidence, Path]) -> None:
    mine = [name for name in evidence[0].modules if name.startswith("thyme")]
    assert mine == ["thyme", "thyme.leaf", "thyme.root", "thyme.stem"]


def test_each_import_has_its_line(evidence: tuple[Evidence, Path]) -> None:
    expected = {
        ObservedImport("thyme", "thyme.leaf", 2),
        ObservedImport("thyme", "thyme.leaf", 3),
        ObservedImport("thyme.leaf", "thyme.root", 3),
        ObservedImport("thyme.leaf", "thyme.stem", 7),
    }
    assert expected <= set(evidence[0].imports)
    assert list(evidence[0].imports) == sorted(evidence[0].imports)


def test_what_was_asked_for_and_not_there_is_absent(evidence: tuple[Evidence, Path]) -> None:
    assert evidence[0].absent == ("nobody_has_this", "nor_this")


def test_files_that_were_read_are_listed_and_written_ones_are_not(evidence: tuple[Evidence, Path]) -> None:
    found, folder = evidence
    assert str(folder / "thyme" / "notes.txt") in found.files
    assert str(folder / "written.txt") not in found.files
    assert not [path for path in found.files if path.endswith(".pyc")]


def test_evidence_travels_as_plain_data(evidence: tuple[Evidence, Path]) -> None:
    assert Evidence.from_plain(evidence[0].to_plain()) == evidence[0]
    assert evidence[0].libraries == ("a.so", "b.so")


def test_files_are_known_behind_symbolic_links(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "notes.txt").write_text("dry")
    (tmp_path / "link").symlink_to("real")
    recorder = Recorder()
    with recorder.recording():
        (tmp_path / "link" / "notes.txt").read_text()
    files = recorder.evidence(libraries=[], operators=[], schemas=[], ran=False).files
    for folder in ("real", "link"):
        assert str(tmp_path / folder / "notes.txt") in files


_FORGET = """
import sys, numpy, packaging.version
from wardian.packing.tracing.recorder import forget_packable
forget_packable()
assert "numpy" in sys.modules and "wardian.packing.tracing.recorder" in sys.modules and "json" in sys.modules
print([name for name in sys.modules if name.partition(".")[0] == "packaging"])
"""


def test_what_may_be_packed_is_imported_anew_in_the_run(tmp_path: Path) -> None:
    assert run_python(_FORGET, folder=tmp_path) == "[]\n"


DEMANDS = """
--- fern/__init__.py
import fern.own
def needs():
    import numpy
def can_do_without():
    try:
        import yaml
    except ImportError:
        pass
def by_name(name):
    import importlib
    return importlib.import_module(name)
def asks(name):
    import importlib.metadata
    return importlib.metadata.version(name)
def asks_whether(name):
    import importlib.metadata
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
--- fern/own.py
import packaging
late = __import__("fern.late", fromlist=["late"])
--- fern/late.py
--- fern/unseen.py
"""


def test_what_a_run_could_not_do_without_is_told_from_what_it_could(tmp_path: Path) -> None:
    recorder = Recorder()
    with importable(write_tree(tmp_path, DEMANDS)), recorder.recording():
        fern = importlib.import_module("fern")
        fern.needs()
        fern.can_do_without()
        fern.by_name("safetensors")
        fern.asks("numpy")
        fern.asks_whether("safetensors")
    found = recorder.evidence(libraries=[], operators=[], schemas=[], ran=True)
    demands = {(demand.importer, demand.imported) for demand in found.demands}
    assert {pair for pair in demands if pair[0] == "fern"} == {("fern", "numpy"), ("fern", "safetensors")}
    assert found.checked == ("numpy",)
    assert {pair.partition("==")[0] for pair in found.asked} >= {"numpy", "safetensors"}
    assert Evidence.from_plain(found.to_plain()) == found


def test_imports_that_name_no_importer_are_those_of_the_code_that_makes_them(tmp_path: Path) -> None:
    recorder = Recorder()
    with importable(write_tree(tmp_path, DEMANDS)), recorder.recording():
        importlib.import_module("fern")
        # As a compiled module imports: by no function that is replaced.
        exec(
            "import importlib._bootstrap; importlib._bootstrap._gcd_import('fern.unseen')",
            {"__name__": "fern.compiled"},
        )
    found = {(edge.importer, edge.imported) for edge in recorder.evidence(**_NOTHING).imports}
    assert ("fern.own", "fern.late") in found
    assert ("fern.compiled", "fern.unseen") in found


_NOTHING: dict[str, Any] = {"libraries": (), "operators": (), "schemas": (), "ran": True}


AGAIN = """
--- moss/__init__.py
--- moss/checks.py
import importlib.metadata
VERSION = importlib.metadata.version("safetensors")
def load(name):
    import importlib
    return importlib.import_module(name)
YAML = load("yaml")
--- moss/uses.py
import moss.checks
--- moss/first.py
try:
    import moss.uses
except Exception:
    moss = None
--- moss/second.py
try:
    from moss import checks
except ImportError:
    checks = None
--- moss/third.py
from moss import checks
"""


def test_what_a_module_needs_that_is_imported_again_where_nobody_handles_it(tmp_path: Path) -> None:
    recorder = Recorder()

    def found() -> tuple[tuple[str, ...], list[str]]:
        evidence = recorder.evidence(**_NOTHING)
        return evidence.checked, [d.imported for d in evidence.demands if d.importer == "moss.checks"]

    with importable(write_tree(tmp_path, AGAIN)), recorder.recording():
        for name in ("first", "second"):
            importlib.import_module(f"moss.{name}")
            assert found() == ((), [])
        importlib.import_module("moss.third")
    assert found() == (("safetensors",), ["yaml"])


@pytest.mark.parametrize("is_asked_for", [False, True], ids=["for Wardian only", "for the object, too"])
def test_what_wardian_imports_to_load_a_case_is_not_the_objects(is_asked_for: bool, tmp_path: Path) -> None:
    tree = "--- sage/__init__.py\nfrom . import leaf\n--- sage/leaf.py\n"
    recorder = Recorder()
    with importable(write_tree(tmp_path, tree)), recorder.recording():
        exec("import sage", {"__name__": "wardian.loading.importing.libraries"})
        if is_asked_for:
            exec("import sage", {"__name__": "wardian.live.garden_12345678.garden"})
        found = recorder.evidence(libraries=[], operators=[], schemas=[], ran=True)
    mine = [name for name in found.modules if name.startswith("sage")]
    assert mine == (["sage", "sage.leaf"] if is_asked_for else [])
    assert ("sage" in {edge.imported for edge in found.imports}) == is_asked_for


def test_no_frame_is_held_when_an_import_has_ended(tmp_path: Path) -> None:
    write_tree(tmp_path, "--- hedge.py\ndef ask():\n    import plum\n--- plum.py\n")
    recorder = Recorder()
    with importable(tmp_path) as load, recorder.recording():
        load("hedge").ask()
        assert recorder._seen.frames == {}
    assert [(demand.importer, demand.imported) for demand in recorder._demands] == [("hedge", "plum")]
