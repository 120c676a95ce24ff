"""What a user names on the command line as Python objects: the target of `pack`, the arguments of a call."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

__all__ = ["find_arguments", "find_target"]


def find_target(target: str) -> Any:
    """Return what `module:name` or `script.py:name` names, called if it makes the object.

    A module is looked for as `python -m` does, in the current folder first.

    Raises:
        click.UsageError: if it names nothing.
    """
    place, colon, name = target.partition(":")
    if not colon or not name:
        raise click.UsageError(
            f"{target!r} must be module:name or script.py:name, such as torchvision.models:resnet18"
        )
    found = _script(place) if place.endswith(".py") else _module(place)
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise click.UsageError(f"{place} has no {name}") from None
    return found() if _makes_the_object(found) else found


def _script(path: str) -> Any:
    if not os.path.isfile(path):
        raise click.UsageError(f"there is no script {path}")
    folder, base = os.path.split(os.path.abspath(path))
    sys.path.insert(0, folder)
    return _module(base.removesuffix(".py"))


def _module(name: str) -> Any:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise click.UsageError(f"there is no module {name}") from None


def _makes_the_object(found: Any) -> bool:
    from wardian.tensors.files import is_module

    return callable(found) and not is_module(found)


def find_arguments(expression: str | None, file: str | None) -> Any:
    """Return the arguments that an expression gives, or that a .pt file holds; None without both.

    Args:
        expression: Python, in which `torch` is there.
        file: Path of a file that `torch.save` wrote, of plain data and tensors.

    Raises:
        click.UsageError: if both are given, or what they give is no tuple or dictionary.
    """
    if expression is None and file is None:
        return None
    if expression is not None and file is not None:
        raise click.UsageError("give --inputs or --inputs-from, not both")
    from wardian.tensors.files import evaluate, read_arguments

    try:
        found = evaluate(expression) if expression is not None else read_arguments(str(file))
    except Exception as error:  # whatever the expression of the user raises
        raise click.UsageError(f"the inputs cannot be read: {type(error).__name__}: {error}") from error
    if not isinstance(found, tuple | dict):
        raise click.UsageError(
            f"the inputs must be a tuple or a dictionary of arguments, not {type(found).__name__};"
            " for a single argument write '(x,)'"
        )
    return found
