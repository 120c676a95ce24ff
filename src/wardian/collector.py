"""The garbage collector waits where very many objects are made and none is garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collector_paused"]


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the garbage collector from running; also a decorator.

    It walks all objects again each time their number has grown by a quarter: for syntax trees, large pickles
    and manifests that is a third of the time or more, and it finds nothing.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
