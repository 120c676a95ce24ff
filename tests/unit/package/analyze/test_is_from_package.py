"""What was loaded from a package is told from what it takes from the environment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import wardian
from tests.support import write_case
from wardian.package.analyze.is_from_package import is_from_package


@pytest.fixture
def door(tmp_path: Path) -> Iterator[ModuleType]:
    source = "--- door.py\nimport json\nclass Door: pass\ndef make(): return json.JSONDecoder()\n"
    with wardian.open(write_case(tmp_path / "shed.case", source)) as case:
        yield case.import_module("door")


def test_modules_and_instances_are_of_the_package_that_has_their_class(door: Any) -> None:
    assert is_from_package(door)
    assert is_from_package(door.Door())


def test_what_is_of_the_environment_is_not(door: Any) -> None:
    for obj in (door.json, door.make(), json, 3, door.Door):  # the class of a class is type
        assert not is_from_package(obj)
