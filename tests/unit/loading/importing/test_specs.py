"""Each kind of name below an open case has one loader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import wardian
from tests.support import write_case
from wardian.domain.manifest import Extern
from wardian.loading.importing.loaders import AliasLoader, CaseLoader, FolderLoader, MountLoader
from wardian.loading.importing.mount import Mount
from wardian.loading.importing.specs import find_spec
from wardian.loading.stand_ins.mocked import MockLoader


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    path = write_case(
        tmp_path / "yew.case",
        "--- yew/__init__.py\n--- yew/seeds/red.txt\n--- yew/bark.py\n",
        mocks=("ash",),
        externs=(Extern(modules=("json",), distribution=None, version=None, names=(), soft=False),),
    )
    with wardian.open(path) as case:
        yield case.mount


@pytest.mark.parametrize(
    ("name", "loader"),
    [
        ("", MountLoader),
        ("yew", CaseLoader),
        ("yew.bark", CaseLoader),
        ("yew.seeds", FolderLoader),
        ("ash", MockLoader),
        ("json.tool", AliasLoader),  # installed
        ("importlib.metadata", AliasLoader),  # made for the mount
    ],
)
def test_a_name_has_its_loader(mount: Mount, name: str, loader: type) -> None:
    spec = find_spec(mount, name)
    assert spec is not None
    assert type(spec.loader) is loader
    assert spec.name == mount.full_name(name)


def test_what_the_case_does_not_have_has_no_spec(mount: Mount) -> None:
    assert find_spec(mount, "yew.leaf") is None
    assert find_spec(mount, "cedar") is None
