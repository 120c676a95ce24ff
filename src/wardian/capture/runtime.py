"""Code without a module of its own: what rebuilds functions and classes when a case is loaded.

A case holds this file as the package `captured`; it needs nothing but Python.
"""

from types import FunctionType
from typing import Any

__all__ = ["attach", "factory", "fill", "restore"]


def factory(namespace: dict[str, Any]) -> Any:
    """Turn a function that makes a function into one that takes the cells of its free variables.

    Args:
        namespace: The globals of what is made.
    """

    def decorate(outer: Any) -> Any:
        bound = FunctionType(outer.__code__, namespace, outer.__name__)

        def make(cells: dict[str, Any]) -> FunctionType:
            # The arguments only make the compiler see free variables.
            made = bound(*[None] * bound.__code__.co_argcount)
            for name in made.__code__.co_names:
                if name not in namespace:
                    attach(namespace, name)
            closure = tuple(cells[name] for name in made.__code__.co_freevars)
            return FunctionType(made.__code__, namespace, made.__name__, None, closure or None)

        return make

    return decorate


def attach(namespace: dict[str, Any], name: str) -> None:
    """Let a package whose `__init__` waits run, if it could define *name*."""
    import sys

    module = sys.modules.get(namespace.get("__name__", ""))
    if module is not None:
        getattr(module, name, None)


def fill(cell: Any, content: tuple[Any]) -> None:
    """Give a cell its content; a tuple, as None would mean that there is none."""
    cell.cell_contents = content[0]


def restore(made: Any, state: dict[str, Any]) -> None:
    """Give a function or class the attributes it had."""
    for name, value in state.items():
        setattr(made, name, value)
