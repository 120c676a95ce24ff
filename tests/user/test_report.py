"""The report of a file, opened in a browser as a reader would."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser, Page, sync_playwright

import wardian
from tests.support import MANIFEST, SOURCE, write_case
from wardian.cli.app import run
from wardian.domain.manifest import Extern, PackedDistribution

EVIL = "<script>alert(1)</script>"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: .ci/run installs it")

SOURCES = {
    "elm/__init__.py": "",
    "elm/leaf.py": "from elm import twig\nimport numpy\nclass Leaf:\n    def f(self):\n        open('x')\n",
    "elm/twig.py": "import subprocess\nsubprocess.run('x')\n",
    f"{EVIL}.py": "x = 1\n",
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case all of whose names are markup, where the format lets them be."""
    evil = EVIL.encode()
    pickle = (
        b"\x80\x04\x8c\x08elm.leaf\x8c\x04Leaf\x93\x8c" + bytes([len(evil)]) + evil + b"\x8c\x01x\x93\x86."
    )
    numpy = Extern(distribution="numpy", version="1.0", modules=("numpy",), names=(), soft=True)
    lost = Extern(distribution="unobtainium", version="3", modules=("unobtainium",), names=(), soft=False)
    entry = MANIFEST.entries[0]
    return write_case(
        tmp_path_factory.mktemp("report") / "<b>&.case",
        SOURCES,
        pickle=pickle,
        externs=(numpy, lost),
        mocks=(EVIL,),
        absent=("<i>apex</i>",),
        metadata={"<b>note</b>": f"'\"{EVIL}"},
        entries=(type(entry)(name="model", record=entry.record, type=EVIL, test=None, outputs=False),),
        distributions=(PackedDistribution(name=EVIL, version="<u>1</u>", roots=("elm",)),),
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # The sandbox needs a user who is not root; the page is ours.
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class _Visit:
    """A page that was opened, with what it asked for and what went wrong."""

    def __init__(self, page: Page, report: Path) -> None:
        self.page = page
        self.requests: list[str] = []
        self.wrong: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.wrong.append(message.text))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("dialog", lambda dialog: self.wrong.append(dialog.message))
        page.goto(report.as_uri())
        assert self.requests == [report.as_uri()]


def _report(case: Path, folder: Path) -> Path:
    report = folder / "report.html"
    assert run(["report", str(case), "-o", str(report)]) == 0
    return report


def test_it_is_one_small_file_that_names_no_other(tmp_path: Path, capsys: Any) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    model[1].weight = model[0].weight
    wardian.pack(model, tmp_path / "small.case", inputs=(torch.ones(2),))
    text = _report(tmp_path / "small.case", tmp_path).read_text()
    assert len(text) < 30_000
    assert "default-src &#39;none&#39;" in text
    assert not re.search(r"""(?:src|href)=["'](?!#)|url\((?!#)|@import|https?:""", text)
    assert "shared by several tensors" in text
    assert "the object was loaded and called, outputs equal" in text
    before = text
    assert _report(tmp_path / "small.case", tmp_path).read_text() == before


@in_browser
@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_without_a_request_an_error_or_an_overflow(
    width: int, scheme: Any, hostile: Path, browser: Browser, tmp_path: Path
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    visit = _Visit(page, _report(hostile, tmp_path))
    assert page.evaluate("document.documentElement.scrollWidth") == width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground))) > 3 * 128) == (scheme == "light")
    assert visit.wrong == []
    page.close()


@in_browser
def test_every_name_is_text(hostile: Path, browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page()
    visit = _Visit(page, _report(hostile, tmp_path))
    assert page.locator("script").count() == 1
    assert page.locator("u").count() == 0
    heading = page.locator("h1").text_content()
    assert heading is not None
    assert "script>" in heading
    for name in (EVIL, "<b>note</b>", f"'\"{EVIL}", "<i>apex</i>", "<u>1</u>", "<b>&.case"):
        assert page.get_by_text(name, exact=False).count() > 0
    assert visit.wrong == []
    page.close()


@in_browser
def test_search_filters_and_chains_open(hostile: Path, browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page()
    visit = _Visit(page, _report(hostile, tmp_path))
    rows = page.locator("ul.rows > li")
    everything = rows.count()
    page.fill("#search", "ELM twig")
    shown = [row for row in rows.all() if row.is_visible()]
    assert [row.locator("b").first.text_content() for row in shown] == ["elm.twig"]
    assert page.locator("#shown").text_content() == f"1 of {everything} shown"
    shown[0].get_by_role("button").click()
    assert shown[0].locator("ol li").all_text_contents() == [
        "elm.twig: imported by elm.leaf, line 1",
        "elm.leaf: the pickle of model names elm.leaf.Leaf",
    ]
    page.fill("#search", "")
    assert all(row.is_visible() for row in rows.all())
    assert visit.wrong == []
    page.close()


def test_what_does_not_fit_here_is_told_and_the_report_is_written_all_the_same(
    hostile: Path, tmp_path: Path
) -> None:
    text = _report(hostile, tmp_path).read_text()
    assert "does not fit" in text
    assert "pip install unobtainium==3" in text
    assert "start programs" in text


def test_without_jinja2_it_says_what_to_install(hostile: Path, tmp_path: Path) -> None:
    (tmp_path / "jinja2.py").write_text("raise ModuleNotFoundError('no jinja2', name='jinja2')\n")
    done = subprocess.run(
        [sys.executable, "-m", "wardian", "report", hostile, "-o", tmp_path / "report.html"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{SOURCE}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "error: jinja2 is not installed\n  fix: pip install 'wardian[cli]'\n"
    assert not (tmp_path / "report.html").exists()
