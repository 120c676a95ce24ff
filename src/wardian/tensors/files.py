"""The command line's use of torch: arguments from a file or an expression, calls, results to a file."""

from __future__ import annotations

import io
import os
from typing import Any

import torch

from wardian.archive.replacing import ReplacingFile

__all__ = ["call", "evaluate", "is_module", "read_arguments", "save"]


def is_module(obj: object) -> bool:
    """Tell whether an object is a `torch.nn.Module`."""
    return isinstance(obj, torch.nn.Module)


def evaluate(expression: str) -> Any:
    """Return the value of a Python expression in which `torch` is there."""
    return eval(expression, {"torch": torch})  # noqa: S307  the user's own words, on the user's own command line


def read_arguments(path: str | os.PathLike[str]) -> Any:
    """Return what `torch.save` wrote, if it is tensors and plain data.

    Raises:
        pickle.UnpicklingError: if it is anything else.
    """
    return torch.load(path, map_location="cpu", weights_only=True)


def call(obj: Any, arguments: tuple[Any, ...] | dict[str, Any]) -> Any:
    """Call an object with a tuple of positional or a dictionary of keyword arguments, without gradients."""
    with torch.no_grad():
        return obj(**arguments) if isinstance(arguments, dict) else obj(*arguments)


def save(result: Any, path: str | os.PathLike[str]) -> None:
    """Write a result so that `torch.load` reads it.

    Raises:
        OSError: if it cannot be written; an existing file is as it was.
    """
    content = io.BytesIO()
    torch.save(result, content)
    with ReplacingFile(path) as file:
        file.write(content.getbuffer())
        file.publish()
