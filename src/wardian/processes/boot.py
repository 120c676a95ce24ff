"""The first thing that a clean process imports."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn

from wardian.processes.child import work
from wardian.processes.template_process import serve
from wardian.processes.ties import end_with_parent

__all__ = ["ROLES", "begin"]


def _work_for(argument: str) -> NoReturn:
    parent, _, question = argument.partition(":")
    end_with_parent(int(parent))
    work(question)


ROLES: dict[str, Callable[[str], NoReturn]] = {"serve": serve, "work": _work_for}
"""The roles that a clean process can have: by name, a function of the argument that it was started with."""


def begin(role: str, argument: str) -> NoReturn:
    """Be a clean process.

    Args:
        role: A key of `ROLES`.
        argument: What it takes.
    """
    sys.argv[1:] = []
    ROLES[role](argument)
    os._exit(0)
