"""Every public function says what it takes, and shows a call that is run."""

from __future__ import annotations

import inspect
import operator
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import wardian
from wardian import package


def _drop_in() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield what takes arguments in `wardian.package`; a class is described where it is made."""
    for name in (*package.__all__, *(f"analyze.{name}" for name in package.analyze.__all__)):
        found = operator.attrgetter(name)(package)
        if inspect.isfunction(found):
            yield name, found
        elif inspect.isclass(found):
            if not issubclass(found, BaseException) and not inspect.isabstract(found):
                yield name, found
            for member, value in vars(found).items():
                if not member.startswith("_") and inspect.isfunction(value):
                    yield f"{name}.{member}", value


def _public() -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in wardian.__all__:
        found = getattr(wardian, name)
        if not inspect.isclass(found):
            yield name, found
        elif not issubclass(found, BaseException):
            for member, value in vars(found).items():
                if not member.startswith("_") and callable(getattr(found, member)):
                    yield f"{name}.{member}", getattr(found, member, value)


# They need keys, files of policies, or a cage: docs/how-to/sign.md, trust-policy.md and sandbox.md have them.
_ON_PAGES = {"sign", "verify_signatures", "Signature.by", "Trust.from_file"}
_ON_PAGES |= {"load_sandboxed", "SandboxedObject.call", "SandboxedObject.close"}
# `wardian.open` and `with` are what one writes.
_ON_PAGES |= {"Case.open", "Case.close"}

each_function = pytest.mark.parametrize(
    ("name", "function"), [pytest.param(*found, id=found[0]) for found in _public()]
)


each_in_either = pytest.mark.parametrize(
    ("name", "function"),
    [pytest.param(*found, id=found[0]) for found in (*_public(), *_drop_in())],
)


@each_in_either
def test_every_argument_is_explained(name: str, function: Callable[..., Any]) -> None:
    text = inspect.getdoc(function) or ""
    explained = set(re.findall(r"^    \*{0,2}(\w+): ", text.partition("Args:")[2], re.MULTILINE))
    taken = [
        argument for argument in inspect.signature(function).parameters if argument not in ("self", "cls")
    ]
    # One argument is explained in words, if its name stands there.
    missing = [argument for argument in taken if argument not in explained and f"*{argument}*" not in text]
    assert missing == []


@each_function
def test_there_is_an_example(name: str, function: Callable[..., Any]) -> None:
    assert name in _ON_PAGES or ">>> " in (inspect.getdoc(function) or "")
