"""Every attack is refused soon and in little memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator

import pytest
import torch  # noqa: F401  no attack is measured with its import

import wardian.loading.case
import wardian.package  # noqa: F401


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    """A refusal takes less than five seconds of one core and 30 MB, the file aside."""
    start = time.process_time()
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - start < 5
    assert peak < 30 << 20
