"""What is released: the same bytes twice, and a wheel that works where nothing else of the project is."""

from __future__ import annotations

import email
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

import wardian

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).parents[2]
_USER = """
import torch, wardian
from shop import Net

assert not wardian.__file__.startswith({root!r}), wardian.__file__
model, x = Net(), torch.ones(1, 2)
report = wardian.pack(model, "net.case", inputs=(x,))
assert report.manifest.proof == "passed"
assert torch.equal(wardian.load("net.case")(x), model(x))
"""
_SHOP = """
import torch
class Net(torch.nn.Linear):
    def __init__(self):
        super().__init__(2, 2)
    def forward(self, x):
        return super().forward(x) + 1
"""


def _run(*command: object, folder: Path, **variables: str) -> str:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "WARDIAN_CACHE") if name in os.environ}
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=kept | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def _build(source: Path, target: Path) -> dict[str, Path]:
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", target, folder=source)
    return {path.name: path for path in sorted(target.iterdir())}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return _build(_ROOT, tmp_path_factory.mktemp("dist"))


def test_the_same_bytes_come_out_elsewhere_and_later(built: dict[str, Path], tmp_path: Path) -> None:
    # A clone has other dates and modes than this tree, and lies elsewhere.
    copy = tmp_path / "elsewhere"
    with tarfile.open(next(path for name, path in built.items() if name.endswith(".tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
    next(tmp_path.glob("wardian-*")).rename(copy)
    (copy / "PKG-INFO").unlink()
    for path in copy.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(path.stat().st_mode | 0o020)
    again = _build(copy, tmp_path / "dist")
    assert {name: path.read_bytes() for name, path in again.items()} == {
        name: path.read_bytes() for name, path in built.items()
    }


def test_twine_finds_nothing_wrong(built: dict[str, Path]) -> None:
    _run(sys.executable, "-m", "twine", "check", "--strict", *built.values(), folder=_ROOT)


def test_the_wheel_has_what_it_needs_and_no_more(built: dict[str, Path]) -> None:
    wheel = next(path for name, path in built.items() if name.endswith(".whl"))
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = email.message_from_bytes(archive.read(f"wardian-{wardian.__version__}.dist-info/METADATA"))
    assert metadata["Version"] == wardian.__version__
    assert {name.partition("/")[0] for name in names} == {
        "wardian",
        f"wardian-{wardian.__version__}.dist-info",
    }
    source = _ROOT / "src"
    files = (path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert {path.relative_to(source).as_posix() for path in files} <= set(names)


def test_the_wheel_packs_and_loads_in_an_empty_environment(built: dict[str, Path], tmp_path: Path) -> None:
    wheel = next(path for name, path in built.items() if name.endswith(".whl"))
    _run(sys.executable, "-m", "venv", "--without-pip", "env", folder=tmp_path)
    python = tmp_path / "env" / "bin" / "python"
    _run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        wheel,
        folder=tmp_path,
    )
    # The requirements are those of this environment, so that nothing is downloaded. Python reads no .pth
    # files of a folder that a .pth file adds: the project itself, which is installed editable, is not there.
    installed = next((tmp_path / "env").glob("lib/python*/site-packages"))
    (installed / "requirements.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (tmp_path / "shop.py").write_text(_SHOP)
    (tmp_path / "user.py").write_text(_USER.format(root=str(_ROOT)))
    _run(python, "user.py", folder=tmp_path)
    told = _run(tmp_path / "env" / "bin" / "wardian", "info", "net.case", folder=tmp_path)
    assert "shop.Net" in told
    assert "fits here" in told.lower()
    shutil.rmtree(tmp_path / "env")


def test_all_say_the_same_version() -> None:
    assert f"\nversion: {wardian.__version__}\n" in (_ROOT / "CITATION.cff").read_text()
    assert f"## {wardian.__version__} (" in (_ROOT / "CHANGELOG.md").read_text()
    assert f"| {wardian.__version__.rpartition('.')[0]}.x | yes |" in (_ROOT / "SECURITY.md").read_text()
    assert list((_ROOT / "tests" / "compat" / "cases").glob(f"wardian-{wardian.__version__}-*.case"))


def test_every_fragment_of_news_has_a_kind() -> None:
    kinds = {"feature", "change", "fix", "removal"}
    names = [
        path.name
        for path in (_ROOT / "changes").iterdir()
        if path.name not in ("README.md", "template.md.j2")
    ]
    assert [name for name in names if name.split(".")[1:] not in [[kind, "md"] for kind in kinds]] == []
