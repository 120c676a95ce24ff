"""Which modules a call uses."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

__all__ = ["trace_dependencies"]


def trace_dependencies(callable: Callable[..., Any], inputs: Iterable[tuple[Any, ...]]) -> list[str]:
    """Run *callable* and return the modules of the functions that were called.

    A profiler that is set is called as before, and is there again afterwards.

    Args:
        callable: What to run.
        inputs: The positional arguments of each run.

    Returns:
        Names of modules, in the order of first use.
    """
    used: dict[str, None] = {}
    before = sys.getprofile()

    def record(frame: FrameType, event: Any, arg: Any) -> None:
        if event == "call":
            module = frame.f_globals.get("__name__")
            if isinstance(module, str) and module != __name__:
                used[module] = None
        if before is not None:
            before(frame, event, arg)

    sys.setprofile(record)
    try:
        for arguments in inputs:
            callable(*arguments)
    finally:
        sys.setprofile(before)
    return list(used)
