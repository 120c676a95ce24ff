"""Licences of packed distributions travel with them, each text once, and are listed without running code."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import wardian
from tests.support import SOURCE, importable, run_python, write_tree
from wardian.inspection.model_cards import model_card
from wardian.inspection.summary import Summary
from wardian.reading.opening import open_archive

MIT = "Permission is hereby granted\n" * 20
TREE = f"""
--- alder/__init__.py
import birch, cedar
class Tree:
    pass
--- alder-1.0.dist-info/METADATA
Metadata-Version: 2.4
Name: alder
Version: 1.0
License-Expression: MIT
License-File: LICENSE
License-File: vendor/NOTICE.md
--- alder-1.0.dist-info/licenses/LICENSE
{MIT}
--- alder-1.0.dist-info/licenses/vendor/NOTICE.md
A notice
--- alder-1.0.dist-info/RECORD
alder/__init__.py,,
alder-1.0.dist-info/METADATA,,
alder-1.0.dist-info/licenses/LICENSE,,
alder-1.0.dist-info/licenses/vendor/NOTICE.md,,
alder-1.0.dist-info/RECORD,,
--- birch/__init__.py
--- birch-2.0.dist-info/METADATA
Metadata-Version: 2.1
Name: birch
Version: 2.0
Classifier: License :: OSI Approved :: MIT License
License-File: TERMS.txt
--- birch-2.0.dist-info/TERMS.txt
{MIT}
--- birch-2.0.dist-info/COPYING
{"x" * 300_000}
--- birch-2.0.dist-info/notes.txt
no licence
--- birch-2.0.dist-info/RECORD
birch/__init__.py,,
birch-2.0.dist-info/METADATA,,
birch-2.0.dist-info/TERMS.txt,,
birch-2.0.dist-info/COPYING,,
birch-2.0.dist-info/notes.txt,,
birch-2.0.dist-info/RECORD,,
--- cedar/__init__.py
--- cedar-3.0.dist-info/METADATA
Metadata-Version: 2.1
Name: cedar
Version: 3.0
--- cedar-3.0.dist-info/RECORD
cedar/__init__.py,,
cedar-3.0.dist-info/METADATA,,
cedar-3.0.dist-info/RECORD,,
"""
NAME = ".wardian/metadata"
assert torch.__version__, "it must be imported before a project is forgotten again"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    site = write_tree(tmp_path_factory.mktemp("site"), TREE)
    path = tmp_path_factory.mktemp("cases") / "alder.case"
    with importable(site) as load:
        report = wardian.pack(load("alder").Tree(), path, prove=False)
    return path, report


def test_they_are_listed(packed: tuple[Path, Any]) -> None:
    with wardian.open(packed[0]) as case:
        alder, birch, cedar = case.licences()
        assert (alder.distribution, alder.version, alder.expression) == ("alder", "1.0", "MIT")
        assert alder.files == {
            "LICENSE": f"{NAME}/alder/licenses/LICENSE",
            "vendor/NOTICE.md": f"{NAME}/alder/licenses/vendor/NOTICE.md",
        }
        assert case.read(str(alder.files["vendor/NOTICE.md"])).decode() == "A notice\n"
        assert birch.expression == "MIT License"
        assert birch.files == {"COPYING": None, "TERMS.txt": alder.files["LICENSE"]}, (
            "one text, one too large"
        )
        assert case.read(str(birch.files["TERMS.txt"])).decode().startswith("Permission is hereby granted")
        assert (cedar.expression, cedar.files) == (None, {})
    texts = [name for name in packed[1].manifest.records if "/licenses/" in name]
    assert len(texts) == 2


def test_a_model_card_has_them(packed: tuple[Path, Any]) -> None:
    with open_archive(packed[0]) as archive:
        card = model_card(Summary.of(archive, "alder.case"), "hf://me/alder/model.case")
    listed = card.partition("Packed code, and its licences:")[2].split()
    assert " ".join(listed).startswith(
        "- `alder 1.0`, MIT - `birch 2.0`, MIT License - `cedar 3.0`, its metadata name no licence ##"
    )


def test_they_are_packed_again(packed: tuple[Path, Any], tmp_path: Path) -> None:
    again = wardian.pack(wardian.load(packed[0]), tmp_path / "again.case", prove=False)
    assert again.digest == packed[1].digest


def test_code_is_as_it_was(packed: tuple[Path, Any], tmp_path: Path) -> None:
    bare = {name: text for name, text in _files().items() if "licenses/" not in name and "TERMS" not in name}
    for name, text in bare.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "birch-2.0.dist-info/COPYING").unlink()
    with importable(tmp_path) as load:
        report = wardian.pack(load("alder").Tree(), tmp_path / "bare.case", prove=False)
    assert not [name for name in report.manifest.records if "licen" in name]
    both = [
        {name: d for name, d in r.manifest.records.items() if not name.startswith(NAME)}
        for r in (report, packed[1])
    ]
    assert both[0] == both[1]


def _files() -> dict[str, str]:
    from tests.support import files_of

    return files_of(TREE)


def test_the_command_lists_them_and_packed_code_reads_them(packed: tuple[Path, Any], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wardian", "info", str(packed[0]), "--json"],
        env={"PYTHONPATH": str(SOURCE), "WARDIAN_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)["licences"]
    assert [(row["name"], row["version"], row["expression"]) for row in found] == [
        ("alder", "1.0", "MIT"),
        ("birch", "2.0", "MIT License"),
        ("cedar", "3.0", None),
    ]
    assert found[1]["files"] == {"COPYING": None, "TERMS.txt": f"{NAME}/alder/licenses/LICENSE"}
    page = run_python(
        "import sys; sys.argv[0] = 'wardian'; sys.argv[1:] = ['info', sys.argv[1]]\n"
        "from wardian.cli import main; main()",
        packed[0],
        folder=tmp_path,
    )
    assert "licences    MIT (1), MIT License (1), not stated (1)" in page


LINKED = """
--- elm/__init__.py
class Tree:
    pass
--- elm-1.0.dist-info/METADATA
Metadata-Version: 2.4
Name: elm
Version: 1.0
--- elm-1.0.dist-info/RECORD
elm/__init__.py,,
elm-1.0.dist-info/METADATA,,
elm-1.0.dist-info/licenses/PIPE,,
elm-1.0.dist-info/licenses/SECRET,,
elm-1.0.dist-info/licenses/OTHER,sha256=AAAA,1
elm-1.0.dist-info/licenses/STORED,sha256={digest},6
elm-1.0.dist-info/RECORD,,
"""


def test_only_files_that_were_installed_are_licences(tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("known\n")
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"known\n").digest()).rstrip(b"=").decode()
    site = write_tree(tmp_path / "site", LINKED.replace("{digest}", digest))
    folder = site / "elm-1.0.dist-info" / "licenses"
    folder.mkdir()
    os.mkfifo(folder / "PIPE")
    os.mkfifo(site / "elm" / "data.bin")
    for name in ("SECRET", "OTHER", "STORED"):
        (folder / name).symlink_to(tmp_path / "outside.txt")
    with importable(site) as load:
        wardian.pack(load("elm").Tree(), tmp_path / "elm.case", prove=False)
    with wardian.open(tmp_path / "elm.case") as case:
        (licences,) = case.licences()
    # A link of an installer leads to what was installed, by its digest.
    assert list(licences.files) == ["STORED"]
