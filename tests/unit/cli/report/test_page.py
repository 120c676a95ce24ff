"""The report as one HTML page that asks for nothing and obeys nothing of what it shows."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from tests.archives import Forged, forge
from tests.support import write_case
from wardian.archive import ArchiveReader
from wardian.cli.report import page
from wardian.cli.report.page import report_page
from wardian.domain.manifest import Extern, PackedDistribution
from wardian.reading.foreign import read_manifest

EVIL = "<script>alert('&')</script>"
SOURCES = {
    "elm/__init__.py": "",
    "elm/leaf.py": "from elm import twig\nimport numpy\n",
    "elm/twig.py": "import subprocess\nsubprocess.run('x')\nsubprocess.run('y')\n",
    "elm/notes.txt": "x",
}


def report(folder: Path, path: str = "elm.case", sources: dict[str, str] = SOURCES, **facts: Any) -> str:
    case = write_case(folder / "elm.case", sources, **facts)
    with ArchiveReader.open(case) as archive:
        return report_page(archive, read_manifest(archive), path)


def test_only_its_own_style_and_script_may_run(tmp_path: Path) -> None:
    html = report(tmp_path)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy"\s+content="([^"]*)"', html)
    allowed = re.findall(r"sha256-([\w+/=]+)", policy)
    blocks = re.findall(r"<(style|script)>(.*?)</\1>", html, re.DOTALL)
    assert [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for _, text in blocks
    ] == allowed
    assert [name for name, _ in blocks] == ["style", "script"]
    assert policy.startswith("default-src &#39;none&#39;;")
    assert re.findall(r'(?:src|href)="(?!#)[^"]*"', html) == []


def test_names_of_a_stranger_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    html = report(
        tmp_path,
        f"shelf\\{EVIL}.case",
        {**SOURCES, "x<b>.txt": "x"},
        distributions=(PackedDistribution(name=EVIL, version="<u>1</u>", roots=("elm",)),),
        absent=("<i>apex</i>",),
        metadata={"<b>note</b>": EVIL},
    )
    assert html.count("<script>") == 1
    for markup in (EVIL, "<u>1</u>", "<i>apex</i>", "<b>note</b>", "x<b>.txt"):
        assert markup not in html
    assert "&lt;i&gt;apex&lt;/i&gt;" in html
    assert "&lt;script&gt;alert(&#39;&amp;&#39;)" in html


def test_the_summary_is_for_who_decides(tmp_path: Path) -> None:
    needed = Extern(distribution="unobtainium", version="1", modules=("unobtainium",), names=(), soft=False)
    html = " ".join(report(tmp_path, externs=(needed,)).split())
    assert "The file holds NoneType, and no weights." in html
    assert "Inside: code of its own." in html
    assert "To be installed: 1 distribution." in html
    assert "Beside computing, its code has ways to start programs." in html  # when it is imported
    plain = " ".join(report(tmp_path, sources={"elm.py": "x = 1"}, externs=()).split())
    assert "Nothing else is needed." in plain
    assert "No code that can run was seen to do anything beside computing." in plain


def test_what_the_object_reaches_is_told_with_its_lines(tmp_path: Path) -> None:
    pickle = b"\x80\x04\x8c\x08elm.twig\x8c\x04Twig\x93."
    html = " ".join(report(tmp_path, pickle=pickle).split())
    assert "its code has ways to start programs" in html
    assert "2*, 3*" in html  # as the module is imported


def test_of_much_the_first_is_listed_and_the_rest_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"elm/data/{number}.txt": "x" for number in range(5)}
    monkeypatch.setattr(page, "_MOST", 2)
    html = report(tmp_path, sources={"elm/__init__.py": "", **files})
    assert "elm/data/1.txt" in html
    assert "elm/data/2.txt" not in html
    monkeypatch.setattr(page, "_MOST", 5)
    assert "elm/data/4.txt" in report(tmp_path, sources={"elm/__init__.py": "", **files})


def test_code_and_pickles_are_no_data_files(tmp_path: Path) -> None:
    case = write_case(tmp_path / "elm.case", {**SOURCES, "byteorder": "little"})
    with ArchiveReader.open(case) as archive:
        assert page._data_files(archive, read_manifest(archive)) == [("elm/notes.txt", 1)]


def test_an_archive_of_torch_package_has_a_page_too() -> None:
    records = {".data/extern_modules": b"torch\n", "elm/leaf.py": b"x = 1", "model/model.pkl": b"\x80\x02N."}
    data = forge([Forged(f"p/{name}".encode(), content) for name, content in records.items()], sealed=False)
    with ArchiveReader.open(data) as archive:
        html = report_page(archive, read_manifest(archive), "elm.pt")
    assert "elm.leaf" in html
