"""A model packed here returns the same, bit for bit, where its library is not installed."""

from __future__ import annotations

import pytest

from tests.models.conftest import Nursery
from tests.models.zoo import ZOO

pytestmark = pytest.mark.models


@pytest.mark.parametrize("name", ZOO)
def test_loads_without_its_library_and_returns_the_same(name: str, nursery: Nursery) -> None:
    nursery.packed(name)
    done = nursery.run("loader.py", str(nursery.folder), name)
    if done.returncode != 0:
        pytest.fail(f"{name} as loaded is not what was packed:\n{done.stdout}\n{done.stderr}", pytrace=False)
