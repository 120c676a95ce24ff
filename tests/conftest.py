"""What every test has: a cache folder of the session's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wardian.environment.cache import CACHE_VARIABLE


@pytest.fixture(scope="session", autouse=True)
def _own_cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    # For the child processes that packing starts, too: no test reads or writes the user's cache.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield
