"""Loggers of packed libraries that are named by the first part of a module's name.

A library configures all its loggers by one of that name: `logging.getLogger(__name__.split(".")[0])`. In a
case the first part is `wardian` for every module, and what one library sets would hold for all packed code of
the process. So packed code that asks for it gets the logger of its own library in its own case, above those
of the library's modules: `wardian.live.resnet18_3f9a2c1b.transformers`.
"""

from __future__ import annotations

import logging
import sys

from wardian.domain.names import LIVE_PREFIX

__all__ = ["install", "uninstall"]

_TOP = LIVE_PREFIX.partition(".")[0]


def install() -> None:
    """Let the manager of loggers look at who asks for `wardian`; as long as a case is open."""
    vars(logging.root.manager)["getLogger"] = _get_logger


def uninstall() -> None:
    """Undo `install`."""
    if vars(logging.root.manager).get("getLogger") is _get_logger:
        del vars(logging.root.manager)["getLogger"]


def _get_logger(name: str) -> logging.Logger:
    manager = logging.root.manager
    if isinstance(name, str) and name.partition(".")[0] == _TOP and not name.startswith(LIVE_PREFIX):
        frame = sys._getframe(1)  # noqa: SLF001
        while frame.f_back is not None and _module(frame.f_globals).partition(".")[0] == "logging":
            frame = frame.f_back
        caller = _module(frame.f_globals)
        if caller.startswith(LIVE_PREFIX) and caller.count(".") > 2:
            name = ".".join((*caller.split(".")[:4], *name.split(".")[1:]))
    return logging.Manager.getLogger(manager, name)


def _module(scope: dict[str, object]) -> str:
    name = scope.get("__name__")
    return name if isinstance(name, str) else ""
