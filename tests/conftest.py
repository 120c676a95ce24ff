"""What every test has: a cache folder of the session's own, and the usual umask."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from wardian.environment.cache import CACHE_VARIABLE


@pytest.fixture(scope="session", autouse=True)
def _usual_umask() -> Iterator[None]:
    # Policies that a group can write are refused, and tests write many.
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(scope="session", autouse=True)
def _own_cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    # For the child processes that packing starts, too: no test reads or writes the user's cache.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield
