"""State that a forked process must not share with its parent: other threads, and their unfinished work.

State of the process lies in the modules that it belongs to. Each says here what must not be copied; the
rest may be (`tests/unit/test_forks.py` has a reason for each).
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from threading import RLock as ReentrantLock

__all__ = ["after_fork", "new_lock", "new_reentrant_lock"]

_locks: weakref.WeakSet[Any] = weakref.WeakSet()
_acts: list[Callable[[], None]] = []


def new_lock() -> threading.Lock:
    """Return a lock that is free in a forked process, whose thread that holds it is not there."""
    lock = threading.Lock()
    _locks.add(lock)
    return lock


def new_reentrant_lock() -> ReentrantLock:
    """Return a reentrant lock that only the thread that has forked can have in the forked process."""
    lock = threading.RLock()
    _locks.add(lock)
    return lock


def after_fork(act: Callable[[], None]) -> Callable[[], None]:
    """Call *act* in every process that is forked from this one, before it goes on; a decorator."""
    _acts.append(act)
    return act


def _go_on() -> None:
    for lock in list(_locks):
        if not (hasattr(lock, "_is_owned") and lock._is_owned()):  # noqa: SLF001
            lock._at_fork_reinit()  # noqa: SLF001  as CPython's Lib/logging/__init__.py does
    for act in _acts:
        act()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_go_on)
