"""Objects of logging libraries: what notes nothing takes their place."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from wardian.capture.homes import CAPTURED
from wardian.domain.live_names import original_name
from wardian.domain.names import LOGGING_LIBRARIES, top_level
from wardian.environment.modules import is_module
from wardian.pickling.reducers.row import Row

if TYPE_CHECKING:
    from wardian.capture.session import Capture

__all__ = ["ROWS", "silences"]


def silences(obj: Any) -> bool:
    """Tell whether an object is of a logging library, or is one: what notes nothing takes its place."""
    if is_module(obj):
        return _is_of_logging_library(original_name(obj.__name__))
    return _logs(type(obj)) or _is_silent(type(obj))


def _silent(capture: Capture, obj: Any) -> Any:
    """Return what takes the place of a run or a writer of a logging library: it notes nothing.

    Runs are those of the process that trains, and belong to servers, files and threads. What a model
    may read of one travels: its settings.
    """
    if _is_silent(type(obj)):
        return capture.helper("silent"), (obj.__dict__["_name"], obj.__dict__["_values"])
    name = obj.__name__ if is_module(obj) else type(obj).__qualname__
    values: dict[str, Any] = {}
    if not is_module(obj):
        with contextlib.suppress(Exception):  # whatever a library raises when it is asked
            settings = obj if hasattr(type(obj), "keys") else obj.config
            values = {str(key): settings[key] for key in settings.keys()}  # noqa: SIM118  not a dictionary
        if not all(capture.why_not(value) is None for value in values.values()):
            values = {}
        if not hasattr(type(obj), "keys"):
            values = {"config": values} if values else {}
    return capture.helper("silent"), (name, values)


def _is_of_logging_library(module: str) -> bool:
    return top_level(module) in LOGGING_LIBRARIES or module.startswith("torch.utils.tensorboard")


def _is_silent(kind: type) -> bool:
    """Tell whether a class is that of `capture.runtime` in a case that was loaded."""
    module = getattr(kind, "__module__", None)
    return (
        kind.__qualname__ == "Silent"
        and isinstance(module, str)
        and original_name(module) != module
        and original_name(module).partition("_")[0] == CAPTURED
    )


def _logs(kind: type) -> bool:
    module = getattr(kind, "__module__", None)
    return (
        isinstance(module, str)
        and _is_of_logging_library(module)
        and kind.__name__ in dir(sys.modules.get(module))  # installed, and no class of the user's
        and not issubclass(kind, BaseException)
    )


ROWS = (Row(silences, _silent),)
