"""The work of a clean process: take a question, call a function, leave the answer, end."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from wardian.processes import fence
from wardian.processes.ties import show_stack_when_asked

__all__ = ["limit_recursion", "work"]

_USUAL_LIMIT = sys.getrecursionlimit()
"""The limit of this interpreter, which has just begun."""


def work(question: str, become: Callable[[dict[str, Any]], None] | None = None) -> NoReturn:
    """Answer a question of `wardian.processes.clean`, and end this process.

    Args:
        question: Path of the file that it is in.
        become: Makes a copy of a template, which is made ready, what the question asks for.
    """
    request = json.loads(Path(question).read_text())
    show_stack_when_asked()
    if become is not None:
        become(request)
    limit_recursion(request)
    fence.put_up(request["allow"])
    try:
        if become is None and request["prepare"] is not None:
            prepare, arguments = request["prepare"]
            _find(prepare)(arguments)
        result = _find(request["work"])(request)
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever it is goes to the parent
        is_ours = not getattr(error, "child_is_users", False)
        told = traceback.format_exception(
            type(error), error, _without_own_frames(error.__traceback__, or_all=is_ours)
        )
        result = {"error": f"{type(error).__name__}: {error}", "traceback": "".join(told)}
        if (facts := getattr(error, "child_facts", None)) is not None:
            result["facts"] = facts
    result["refused"] = fence.refusals()
    Path(request["answer"]).write_text(json.dumps(result))
    sys.stdout.flush()
    sys.stderr.flush()
    # Interpreter shutdown of a process full of libraries takes long and can fail; the answer is written.
    os._exit(0)


def limit_recursion(request: Mapping[str, Any]) -> None:
    """Have the recursion limit that a question asks for: that of a new interpreter if it is None."""
    asked = request["recursion_limit"]
    sys.setrecursionlimit(_USUAL_LIMIT if asked is None else asked)


def _find(name: str) -> Callable[[dict[str, Any]], Any]:
    module, _, function = name.rpartition(".")
    found: Callable[[dict[str, Any]], Any] = getattr(importlib.import_module(module), function)
    return found


def _without_own_frames(trace: types.TracebackType | None, *, or_all: bool) -> types.TracebackType | None:
    """Return a traceback from the first frame that is not Wardian's.

    Args:
        trace: The traceback.
        or_all: Whether to return all of it if all frames are Wardian's: such an error is ours to find. Of one
            that is the user's they say nothing.
    """
    own = os.path.join(os.path.dirname(os.path.dirname(__file__)), "")
    inner = trace
    while inner is not None and inner.tb_frame.f_code.co_filename.startswith(own):
        inner = inner.tb_next
    return trace if inner is None and or_all else inner
