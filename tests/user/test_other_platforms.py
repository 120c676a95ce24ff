"""What is packed on one platform names nothing that another one cannot make."""

from __future__ import annotations

import pathlib
import zipfile
from pathlib import Path

import pytest

import wardian.package
from tests.support import run_python

_SCRIPT = """
import dataclasses, functools, pathlib, torch, wardian
from typing import NamedTuple

Concrete = type(pathlib.Path())
CONFIG = {pathlib.Path("runs/a"): {pathlib.Path("runs/b")}}

class Folder(type(pathlib.Path())):
    def loud(self):
        return str(self).upper()

class Other(Concrete):
    pass

@dataclasses.dataclass
class Settings:
    root: pathlib.Path
    logs: pathlib.Path = pathlib.Path("logs/first")
    more: list = dataclasses.field(default_factory=lambda: [pathlib.Path("logs/more")])

class Pair(NamedTuple):
    one: pathlib.Path = pathlib.Path("pair/one")

def place(name, where=pathlib.Path("of/default"), *, keyword=pathlib.Path("of/keyword")):
    return where / keyword / name

class Net(torch.nn.Module):
    home = pathlib.Path("of/class")

    def __init__(self):
        super().__init__()
        local = pathlib.Path("of/closure")
        self.held = [
            pathlib.Path("a/b"), Folder("sub/class"), Other("other/class"), frozenset({pathlib.Path("c")}),
            Settings(pathlib.Path("d")), Pair(), lambda: local, functools.partial(place, where=self.home),
            {pathlib.Path("key"): Concrete}, pathlib.PurePath("pure") == pathlib.Path("pure"),
        ]

    def forward(self, x):
        held = self.held
        said = [held[1].loud(), held[2].name, held[6](), held[7]("x"), place("y"), self.home, CONFIG]
        return x + len(str(said))

wardian.pack(Net(), "net.case", inputs=(torch.ones(1),))
held = wardian.load("net.case").held
assert held[:1] + held[3:4] == Net().held[:1] + Net().held[3:4] and held[5] == Pair()
print(held[1].loud(), held[6](), held[7]("x"), held[4])
"""


@pytest.mark.slow
def test_paths_are_those_of_the_platform_where_they_are_loaded(tmp_path: Path) -> None:
    folder, logs, more = map(repr, (Path("d"), Path("logs/first"), Path("logs/more")))
    said = run_python(_SCRIPT, folder=tmp_path).strip()
    settings = f"Settings(root={folder}, logs={logs}, more=[{more}])"
    assert said == f"SUB/CLASS of/closure of/class/of/keyword/x {settings}"
    kind = type(tmp_path).__name__.encode()
    with zipfile.ZipFile(tmp_path / "net.case") as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    # The text that `dataclass` makes of the defaults has it, too, and means nothing.
    assert [name for name, data in contents.items() if kind in data.replace(kind + b"('", b"")] == []


def test_paths_in_packages_are_too(tmp_path: Path) -> None:
    held = {pathlib.Path("a/b"): [frozenset({tmp_path}), pathlib.PureWindowsPath("c:/d")]}
    with wardian.package.PackageExporter(tmp_path / "held.pt") as exporter:
        exporter.save_pickle("held", "held.pkl", held)
    importer = wardian.package.PackageImporter(tmp_path / "held.pt")
    assert importer.load_pickle("held", "held.pkl") == held
    assert type(tmp_path).__name__.encode() not in importer.load_binary("held", "held.pkl")
