"""The site is built without a warning, its links lead somewhere, and a browser fetches nothing else."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from playwright.sync_api import sync_playwright

_ROOT = Path(__file__).parents[2]
_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_URL_IN_STYLE = re.compile(r"""url\(\s*["']?(?P<target>[^"')]+)|@import\s+["'](?P<imported>[^"']+)""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it. A page that no other page lists is a warning, too."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", str(folder)],
        cwd=_ROOT,
        env=os.environ | {"PYTHONPATH": str(_ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return folder


class _Elements(HTMLParser):
    """What an HTML page has: ids, links, and what a browser fetches for it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.fetched: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.ids.update(filter(None, [values.get("id"), values.get("name") if tag == "a" else None]))
        if tag == "a" and "href" in values:
            self.links.add(values["href"])
        if tag == "link" and values.get("rel") not in ("canonical", "index", "search", "next", "prev"):
            self.fetched.add(values["href"])
        if "src" in values:
            self.fetched.add(values["src"])


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, _Elements]:
    return {page: _Elements(page) for page in sorted(site.rglob("*.html"))}


def test_every_link_leads_to_a_page_and_a_place_in_it(pages: dict[Path, _Elements], site: Path) -> None:
    broken = []
    for page, elements in pages.items():
        for link in elements.links:
            if urlsplit(link).scheme:
                continue
            target, anchor = urldefrag(unquote(link))
            there = (page.parent / target).resolve() if target else page
            if not there.is_file() or (anchor and there in pages and anchor not in pages[there].ids):
                broken.append(f"{page.relative_to(site)} -> {link}")
    assert broken == []


def test_nothing_is_fetched_from_elsewhere(pages: dict[Path, _Elements], site: Path) -> None:
    fetched = {target for elements in pages.values() for target in elements.fetched}
    for style in site.rglob("*.css"):
        for found in _URL_IN_STYLE.finditer(style.read_text(encoding="utf-8")):
            fetched.add(found["target"] or found["imported"])
    for picture in (*site.rglob("*.svg"), *_ROOT.glob("docs/**/*.svg")):
        fetched.update(
            re.findall(r"""(?:href=|url\()["']?((?!#)[^"')]+)""", picture.read_text(encoding="utf-8"))
        )
    assert [target for target in sorted(fetched) if urlsplit(target).scheme not in ("", "data")] == []


_PUBLIC = {
    "wardian": ("__init__.py", "reference/api.html", "reference/errors.html"),
    "wardian.package": ("package/__init__.py", "reference/torch-package.html"),
    "wardian.package.analyze": ("package/analyze/__init__.py", "reference/torch-package.html"),
    "wardian.distributed": ("distributed.py", "reference/api.html"),
    "wardian.lightning": ("lightning.py", "reference/integrations.html"),
    "wardian.mlflow": ("mlflow.py", "reference/integrations.html"),
    "wardian.ray": ("ray.py", "reference/integrations.html"),
}
"""What people import: its file, which may need what is not installed here, and the pages that describe it."""


@pytest.mark.parametrize("module", _PUBLIC)
def test_the_interface_is_complete(site: Path, module: str) -> None:
    file, *described = _PUBLIC[module]
    tree = ast.parse((_ROOT / "src" / "wardian" / file).read_text(encoding="utf-8"))
    (public,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    places = {place for page in described for place in _Elements(site / page).ids}
    missing = [
        name
        for name in public
        if f"{module}.{name}" not in places and f"module-{module}.{name}" not in places
    ]
    assert missing == ([] if module != "wardian.package" else ["analyze"])  # a module, which is above


def test_every_public_module_is_among_them() -> None:
    modules = {
        path.relative_to(_ROOT / "src").with_suffix("").as_posix().replace("/", ".")
        for path in (_ROOT / "src" / "wardian").glob("*.py")
    }
    # What they have for users is in `wardian` itself.
    names = ("collector", "errors", "forks", "keywords", "memory", "pushing", "reporters", "wording")
    inner = {"__init__", "__main__", *names}
    inner = {f"wardian.{name}" for name in inner}
    assert modules - inner == {name for name in _PUBLIC if name.count(".") == 1} - {"wardian.package"}


@pytest.mark.skipif(_CHROMIUM is None, reason="there is no chromium: .ci/run installs it")
@pytest.mark.parametrize("width", [400, 1280])
def test_a_browser_shows_every_page(site: Path, width: int) -> None:
    requests: set[str] = set()
    errors: list[str] = []
    wider: list[str] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": width, "height": 900})
        page.on("request", lambda request: requests.add(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        for name in sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html")):
            page.goto((site / name).as_uri())
            if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                wider.append(name)
        chromium.close()
    assert {url for url in requests if not url.startswith("file:")} == set()
    assert errors == []
    assert wider == []
