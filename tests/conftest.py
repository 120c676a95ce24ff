"""What every test has: a cache folder of the session's own, and the process that it runs in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.models.zoo import ZOO
from wardian.live.files import CACHE_VARIABLE


@pytest.fixture(scope="session", autouse=True)
def _own_cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    # For the child processes that packing starts, too: no test reads or writes the user's cache.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield


_GROUPS: dict[str, Callable[[str, dict[str, Any]], str]] = {
    "herbarium": lambda test, of: "herbarium",
    "nursery": lambda test, of: f"models of {ZOO[of['name']].blocked[0]}",
    "run_theme": lambda test, of: f"{test} {of['theme']}",
}
"""Session fixture → the group of a test that uses it, from the test's name and parameters.

Tests of one group share work that takes seconds or minutes, so they run in one process of pytest-xdist.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not isinstance(item, pytest.Function):  # a block of a page, or an example: they share names
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
        elif hasattr(item, "callspec"):
            for fixture in _GROUPS.keys() & set(item.fixturenames):
                group = _GROUPS[fixture](item.originalname, item.callspec.params)
                item.add_marker(pytest.mark.xdist_group(group))
