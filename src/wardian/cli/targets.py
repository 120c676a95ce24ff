"""Python objects that a user names on the command line: the target of `pack`, the arguments of a call."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

import click

from wardian.cli.exits import running_code
from wardian.cli.output import near_to

__all__ = ["find_arguments", "find_target", "split_named"]


def find_target(target: str) -> Any:
    """Return what `module:name` or `script.py:name` names, called if it makes the object.

    A module is looked for as `python -m` does, in the current folder first.

    Raises:
        click.UsageError: if it names nothing, or what cannot be called without arguments.
    """
    place, colon, name = target.partition(":")
    if not colon or not name:
        raise click.UsageError(
            f"{target!r} must be module:name or script.py:name, such as torchvision.models:resnet18"
        )
    with running_code():
        found = _script(place) if place.endswith(".py") else _module(place)
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            near = near_to(part, [known for known in dir(found) if not known.startswith("_")])
            hint = f"; near to it: {', '.join(near)}" if near else ""
            raise click.UsageError(f"{place} has no {name}{hint}") from None
    if not _makes_the_object(found):
        return found
    _require_no_arguments(found, place, name)
    with running_code():
        return found()


def _script(path: str) -> Any:
    """Import a script, or a module of a package by its path."""
    if not os.path.isfile(path):
        raise click.UsageError(f"there is no script {path}")
    folder, base = os.path.split(os.path.abspath(path))
    parts = [base.removesuffix(".py")]
    # In a package it may import relatively, so it needs the name that it has there.
    while os.path.isfile(os.path.join(folder, "__init__.py")) and os.path.basename(folder).isidentifier():
        folder, package = os.path.split(folder)
        parts.insert(0, package)
    if len(parts) > 1 and parts[-1] == "__init__":
        parts.pop()
    sys.path.insert(0, folder)
    return _module(".".join(parts))


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


def _require_no_arguments(found: Any, place: str, name: str) -> None:
    """Refuse a class or function that has to be given something: a target has no way to say that.

    Raises:
        click.UsageError: with a function that makes the object, and how the target of that is written.
    """
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):  # it does not say what it takes
        return
    various = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [one for one in parameters if one.default is one.empty and one.kind not in various]
    if not needed:
        return
    given = ", ".join("..." if one.kind is one.POSITIONAL_ONLY else f"{one.name}=..." for one in needed)
    script = place if place.endswith(".py") else "make.py"
    kind = "class" if isinstance(found, type) else "function"
    imported = "" if script == place else f"from {place} import {name.partition('.')[0]}\n        "
    raise click.UsageError(
        f"{place}:{name}{_where(found)} is a {kind} that needs"
        f" {', '.join(one.name for one in needed)}, and it is called without arguments to make the object\n"
        f"  fix: name a function that needs none: {script}:make, with this in {script}:\n"
        f"        {imported}def make(): return {name}({given})"
    )


def _where(found: Any) -> str:
    """Return the file and the line where a class or function is defined; nothing if that is not known."""
    try:
        file, (_, line) = inspect.getsourcefile(found), inspect.getsourcelines(found)
    except (OSError, TypeError):
        return ""
    return f" ({file}, line {line})"


_NAMED = re.compile(r"(?P<name>[^\W\d]\w*)=(?P<rest>(?!=).+)", re.DOTALL)


def split_named(option: str, texts: Sequence[str]) -> dict[str, str]:
    """Return what stands after each `NAME=`.

    Raises:
        click.UsageError: if there is none, or one stands twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        parts = _NAMED.fullmatch(text)
        if parts is None:
            raise click.UsageError(f"with --entry write {option} NAME=…, and not {text!r}")
        if parts["name"] in found:
            raise click.UsageError(f"{option} names {parts['name']} twice")
        found[parts["name"]] = parts["rest"]
    return found


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
