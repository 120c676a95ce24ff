"""While another process works, sources that are likely to be packed are read, and no others."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from tests.support import importable, write_tree
from wardian.archive import batches
from wardian.domain.names import ModuleName
from wardian.packing.tracing import ahead
from wardian.packing.tracing.ahead import reading_ahead
from wardian.packing.writing.bytecode import compiled
from wardian.source import remembered
from wardian.source.rewriting import compile_module

PROJECT = """
--- sedge/__init__.py
--- sedge/leaf.py
import json
OPEN = "\\d"
--- sedge/broken.py
--- rush/__init__.py
import sedge.leaf
"""


def _wait_for_the_thread() -> None:
    for thread in threading.enumerate():
        if thread.name == "wardian-ahead":
            thread.join()


def test_what_is_read_ahead_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[str] = []

    def compile_noted(source: bytes, module: ModuleName, **options: Any) -> CodeType:
        noted.append(module)
        return compile_module(source, module, **options)

    monkeypatch.setattr(remembered, "compile_module", compile_noted)
    with importable(write_tree(tmp_path, PROJECT)) as load:
        with warnings.catch_warnings(action="ignore"):
            load("sedge.leaf")
        for name in ("sedge.broken", "rush"):
            load(name)
        (tmp_path / "sedge" / "broken.py").write_text("def")
        with reading_ahead({"sedge.leaf", "torch.nn"}):
            _wait_for_the_thread()
        assert [name for name in noted if name.startswith(("sedge", "rush"))] == [
            "sedge",
            "sedge.leaf",
            "rush",
        ]
        noted.clear()
        source = (tmp_path / "rush" / "__init__.py").read_bytes()
        roots = frozenset({"rush", "sedge", "importlib", "something_that_it_does_not_mention"})
        for _ in range(2):
            remembered.compile_once(
                source,
                ModuleName("rush"),
                is_package=True,
                filename="rush/__init__.py",
                roots=roots,
                columns=True,
            )
        assert noted == []


def test_what_is_read_ahead_is_deflated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deflated: list[bytes] = []

    def deflate_noted(data: bytes) -> bytes:
        deflated.append(data)
        return data

    monkeypatch.setattr(batches, "deflate_small", deflate_noted)
    with importable(write_tree(tmp_path, "--- tansy/__init__.py\n--- tansy/leaf.py\nTEETH = 12\n")) as load:
        load("tansy.leaf")
        with reading_ahead({"tansy.leaf"}):
            _wait_for_the_thread()
        source = (tmp_path / "tansy" / "leaf.py").read_bytes()
        name, record = ModuleName("tansy.leaf"), "tansy/leaf.py"
        code = compiled(source, name, record, frozenset({"tansy"}), of_distribution=False)
        assert {source, code} <= set(deflated)
        deflated.clear()
        again = compiled(source, name, record, frozenset({"tansy", "unmentioned"}), of_distribution=False)
        for data in (source, again):
            batches.pack_lasting(data)
        assert deflated == []


def test_what_was_made_ready_is_read_again_only_when_it_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed: list[bytes] = []
    monkeypatch.setattr(ahead, "pack_lasting", packed.append)
    module = tmp_path / "sorrel" / "leaf.py"
    with importable(write_tree(tmp_path, "--- sorrel/__init__.py\n--- sorrel/leaf.py\nLOBES = 3\n")) as load:
        load("sorrel.leaf")
        for _ in range(2):
            with reading_ahead({"sorrel.leaf"}):
                _wait_for_the_thread()
            assert packed.count(b"LOBES = 3\n") == 1
        packed.clear()
        module.write_text("LOBES = 2001\n")
        with reading_ahead({"sorrel.leaf"}):
            _wait_for_the_thread()
        assert [len(packed), packed[0]] == [2, b"LOBES = 2001\n"]  # with its bytecode


def test_a_library_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed: list[bytes] = []
    monkeypatch.setattr(ahead, "MOST_LASTING", 5)
    for name, content in {"large.so": b"123456", "small.so": b"12345"}.items():
        (tmp_path / name).write_bytes(content)
        assert ahead._make_ready(str(tmp_path / name), packed.append) == (name == "small.so")
    assert not ahead._make_ready(str(tmp_path / "removed.so"), packed.append)
    assert packed == [b"12345"]


def test_what_is_read_ahead_is_what_the_case_wants_of_a_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = """
--- fern/__init__.py
FRONDS = 12
--- fern-1.0.dist-info/METADATA
Name: fern
Version: 1.0
"""
    with importable(write_tree(tmp_path, site)) as load:
        load("fern")
        with reading_ahead({"fern"}):
            _wait_for_the_thread()
        monkeypatch.setattr(remembered, "compile_module", None)
        source = (tmp_path / "fern" / "__init__.py").read_bytes()
        fern = ModuleName("fern"), "fern/__init__.py", frozenset({"fern"})
        assert compiled(source, *fern, of_distribution=True)
        with pytest.raises(TypeError, match="not callable"):
            compiled(source, *fern, of_distribution=False)


@pytest.mark.parametrize("folder", ["site", "project"])
def test_only_facts_of_installed_distributions_are_for_other_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    noted: dict[str, str | None] = {}

    def note(_: bytes, module: str, *, library: str | None, **__: object) -> None:
        noted[module] = library

    monkeypatch.setattr(ahead, "scan_once", note)
    # The user's own package has the name of one that is installed.
    site = """
--- site/reed-1.0.dist-info/METADATA
Name: reed
Version: 1.0
--- site/reed/__init__.py
--- project/reed/__init__.py
"""
    root = write_tree(tmp_path, site)
    with importable(root / "site"), importable(root / folder) as load:
        load("reed")
        with reading_ahead({"reed"}):
            _wait_for_the_thread()
    assert noted["reed"] == ("reed" if folder == "site" else None)


def test_nothing_is_read_for_an_object_of_torch_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "compile_module", None)
    before = dict(remembered._facts._values)
    with reading_ahead({"torch.nn.modules.linear", "collections"}):
        _wait_for_the_thread()
    assert before == remembered._facts._values


def test_who_waits_is_told_when_all_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(ahead, "pack_lasting", told.append)
    with importable(write_tree(tmp_path, "--- sorrel/__init__.py\n--- sorrel/root.py\nDEPTH = 3\n")) as load:
        load("sorrel.root")
        with reading_ahead({"sorrel.root"}, lambda: told.append("ready")):
            _wait_for_the_thread()
    assert told[-1] == "ready"
    assert told.count("ready") == 1
    assert b"DEPTH = 3\n" in told


def test_the_thread_ends_with_the_context(tmp_path: Path) -> None:
    modules = "".join(f"--- reed/m{number}.py\nx = {number}\n" for number in range(200))
    with importable(write_tree(tmp_path, f"--- reed/__init__.py\n{modules}")) as load:
        for number in range(200):
            load(f"reed.m{number}")
        told: list[object] = []
        with pytest.raises(KeyError), reading_ahead({"reed.m1"}, lambda: told.append("ready")):
            raise KeyError("the process failed")
        assert told == []
        assert not any(thread.name == "wardian-ahead" for thread in threading.enumerate())
