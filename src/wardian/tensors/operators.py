"""Operators whose library does not fit this machine: declared, so that code can refer to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import torch

from wardian.forks import new_lock

__all__ = ["declare", "withdraw"]

_lock = new_lock()
_declared: dict[str, tuple[torch.library.Library, int]] = {}
"""Schema → the library object that holds it, and how many cases want it."""


def declare(schemas: Iterable[str], refuse: Callable[[str], Exception]) -> tuple[str, ...]:
    """Declare operators that nobody has registered.

    Python code of a library may refer to its operators when it is imported, to register how they are traced
    or differentiated, and never call one. A declared operator raises when it is called.

    Args:
        schemas: As `str(torch.FunctionSchema)` writes them: `mylib::relu(Tensor x) -> Tensor`.
        refuse: Returns the error for the qualified name of an operator that is called.

    Returns:
        The schemas that count as declared until they are given to `withdraw`.
    """
    mine: list[str] = []
    with _lock:
        # By schema: of an operator whose declaration is gone, Python's registrations may be left.
        existing = {(s.name, s.overload_name) for s in torch._C._jit_get_all_schemas()}
        for schema in schemas:
            if schema in _declared:
                library, users = _declared[schema]
                _declared[schema] = library, users + 1
                mine.append(schema)
                continue
            qualified = schema.partition("(")[0]
            base, _, overload = qualified.partition(".")
            if (base, overload) in existing:
                continue
            namespace, _, name = qualified.partition("::")
            made: Any = torch.library.Library(namespace, "FRAGMENT")  # type: ignore[no-untyped-call]
            made.define(schema.removeprefix(f"{namespace}::"))
            made.impl(name, _refusing(qualified, refuse), "CompositeExplicitAutograd")
            _declared[schema] = made, 1
            mine.append(schema)
    return tuple(mine)


def _refusing(qualified: str, refuse: Callable[[str], Exception]) -> Callable[..., NoReturn]:
    def operator(*args: Any, **kwargs: Any) -> NoReturn:
        raise refuse(qualified)

    return operator


def withdraw(schemas: Iterable[str]) -> None:
    """Undo one `declare`."""
    with _lock:
        for schema in schemas:
            library, users = _declared.pop(schema)
            if users > 1:
                _declared[schema] = library, users - 1
            else:
                library._destroy()  # type: ignore[no-untyped-call]
