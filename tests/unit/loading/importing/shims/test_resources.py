"""`importlib.resources` and `pkgutil` find packed packages by their own names."""

from __future__ import annotations

import importlib.resources
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wardian
from tests.support import write_case
from wardian.loading.importing.mount import Mount
from wardian.loading.importing.shims.resources import make_pkgutil, make_resources

SAGE = """
--- sage/__init__.py
--- sage/leaf.py
COLOUR = "grey"
--- sage/soil.txt
peat
--- sage/roots/__init__.py
"""


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    with wardian.open(write_case(tmp_path / "sage.case", SAGE)) as case:
        yield case.mount


def called_from(module: str, expression: str, **names: Any) -> Any:
    """What an expression in a module of this name gives."""
    scope: dict[str, Any] = {"__name__": module, **names}
    exec(f"def ask(): return {expression}\nfound = ask()", scope)
    return scope["found"]


@pytest.mark.filterwarnings("ignore:is_resource is deprecated")
def test_an_anchor_is_a_packed_package_a_module_or_who_asks(mount: Mount) -> None:
    resources: Any = make_resources(mount, "importlib.resources")
    sage = mount.import_module("sage")
    assert resources.files("sage").joinpath("soil.txt").read_text() == "peat\n"
    assert resources.files(sage).joinpath("soil.txt").read_text() == "peat\n"
    for anchor in ("", "__name__", "__name__.split('.')[0]"):
        asked = called_from(f"{mount.name}.sage", f"resources.files({anchor})", resources=resources)
        assert asked.joinpath("soil.txt").read_text() == "peat\n"
    assert resources.files("json").joinpath("decoder.py").is_file()
    assert resources.is_resource("sage", "soil.txt")
    assert not resources.is_resource("sage", "none.txt")
    assert resources.as_file is importlib.resources.as_file
    with pytest.raises(ModuleNotFoundError):
        resources.files("sage.none")


def test_files_of_packages_are_read_through_pkgutil(mount: Mount) -> None:
    own: Any = make_pkgutil(mount, "pkgutil")
    assert own.get_data("sage", "soil.txt") == b"peat\n"
    assert called_from(f"{mount.name}.sage", "own.get_data(__name__, 'soil.txt')", own=own) == b"peat\n"
    assert own.get_data("json", "decoder.py") == pkgutil.get_data("json", "decoder.py")


def test_modules_are_walked_by_the_prefix_that_code_gives(mount: Mount) -> None:
    own: Any = make_pkgutil(mount, "pkgutil")
    sage = mount.import_module("sage")
    walked = [module.name for module in own.walk_packages(sage.__path__, "sage.")]
    assert walked == [f"{mount.name}.sage.leaf", f"{mount.name}.sage.roots"]
    assert [module.name for module in own.walk_packages(sage.__path__)] == ["leaf", "roots"]


@pytest.mark.parametrize("name", ["sage.leaf:COLOUR", "sage.leaf.COLOUR"])
def test_a_dotted_name_leads_into_the_case(mount: Mount, name: str) -> None:
    own: Any = make_pkgutil(mount, "pkgutil")
    assert own.resolve_name(name) == "grey"
    assert own.resolve_name("json:dumps").__module__ == "json"
