"""A model packed here returns the same, bit for bit, where its library is not installed."""

from __future__ import annotations

import pytest

from tests.models.conftest import Nursery
from tests.models.zoo import ZOO

pytestmark = pytest.mark.models
_NEW_INTERPRETER = ("resnet18", "bert", "greenhouse")
"""Loaded where not even Wardian was imported before: of a library that imports all at once, of one that
imports what is asked for, and of first-party code."""


@pytest.mark.parametrize("name", ZOO)
def test_loads_without_its_library_and_returns_the_same(name: str, nursery: Nursery) -> None:
    nursery.packed(name)
    done = nursery.run("loader.py", str(nursery.folder), name, isolated=name in _NEW_INTERPRETER)
    if done.returncode != 0:
        pytest.fail(f"{name} as loaded is not what was packed:\n{done.stdout}\n{done.stderr}", pytrace=False)


def test_no_process_begins_with_a_library_of_a_model(nursery: Nursery) -> None:
    done = nursery.run("-c", "import sys; print(*sys.modules)")
    assert done.returncode == 0, done.stderr
    imported = {name.partition(".")[0] for name in done.stdout.split()}
    assert "sys" in imported
    assert not imported & {package for entry in ZOO.values() for package in entry.blocked}
