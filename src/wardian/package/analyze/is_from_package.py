"""Whether an object was loaded from a package."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from wardian.domain.live_names import is_live, original_name

__all__ = ["is_from_package"]


def is_from_package(obj: Any) -> bool:
    """Tell whether *obj* is a module of a package or an object whose class is from one.

    Args:
        obj: Any object. What a package takes from the environment is not from the package.

    >>> is_from_package(print)
    False
    """
    name = obj.__name__ if isinstance(obj, ModuleType) else type(obj).__module__
    return is_live(name) and original_name(name) != name
