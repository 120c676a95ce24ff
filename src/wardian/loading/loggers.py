"""Loggers of packed libraries that are named by the first part of a module's name.

A library configures all its loggers by one of that name: `logging.getLogger(__name__.split(".")[0])`. In a
case the first part is `wardian` for every module, and what one library sets would hold for all packed code of
the process. So packed code that asks for it gets the logger of its own library in its own case, above those
of the library's modules: `wardian.live.resnet18_3f9a2c1b.transformers`.
"""

from __future__ import annotations

import logging
import sys

from wardian.domain.live_names import LIVE_PREFIX, full_name, is_live, split_live
from wardian.domain.names import top_level

__all__ = ["install", "uninstall"]

_TOP = top_level(LIVE_PREFIX)


def install() -> None:
    """Let the manager of loggers look at who asks for `wardian`; as long as a case is open."""
    vars(logging.root.manager)["getLogger"] = _get_logger


def uninstall() -> None:
    """Undo `install`."""
    if vars(logging.root.manager).get("getLogger") is _get_logger:
        del vars(logging.root.manager)["getLogger"]


def _get_logger(name: str) -> logging.Logger:
    manager = logging.root.manager
    if isinstance(name, str) and top_level(name) == _TOP and not is_live(name):
        frame = sys._getframe(1)  # noqa: SLF001
        while frame.f_back is not None and top_level(_module(frame.f_globals)) == "logging":
            frame = frame.f_back
        caller = _module(frame.f_globals)
        mount, module = split_live(caller)
        if is_live(caller) and module:
            name = full_name(mount, top_level(module) + name.removeprefix(_TOP))
    return logging.Manager.getLogger(manager, name)


def _module(scope: dict[str, object]) -> str:
    name = scope.get("__name__")
    return name if isinstance(name, str) else ""
