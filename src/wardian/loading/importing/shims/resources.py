"""`importlib.resources` and `pkgutil`, which take names of packages as strings."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.resources
import importlib.util
import pkgutil
import re
import sys
import types
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from wardian.loading.importing.shims.delegating import delegate, own_name

if TYPE_CHECKING:
    from wardian.loading.importing.mount import Mount

__all__ = ["make_pkgutil", "make_resources"]


def make_resources(mount: Mount, name: str) -> types.ModuleType:
    """Return an `importlib.resources` that finds packed packages by their own names."""

    def anchor_in_mount(anchor: object) -> object:
        if not isinstance(anchor, str):
            return anchor
        anchor = own_name(mount, anchor, 2)
        return f"{mount.name}.{anchor}" if mount.contents.answers_for(anchor) else anchor

    def wrap(function_name: str) -> Callable[..., object]:
        function = getattr(importlib.resources, function_name)

        def wrapped(anchor: object = None, *args: object, **kwargs: object) -> object:
            if anchor is None:  # "the caller's module", which the original would look for one frame up
                anchor = sys._getframe(1).f_globals["__name__"]  # noqa: SLF001
            return function(anchor_in_mount(anchor), *args, **kwargs)

        return wrapped

    names: Iterable[str] = (
        "files",
        "open_text",
        "open_binary",
        "read_text",
        "read_binary",
        "path",
        "is_resource",
        "contents",
    )
    own = {n: wrap(n) for n in names if hasattr(importlib.resources, n)}
    return delegate(name, importlib.resources, **own)


def make_pkgutil(mount: Mount, _: str) -> types.ModuleType:
    """Return a `pkgutil` that finds packed packages by their own names."""

    def get_data(package: str, resource: str) -> bytes | None:
        """Read a data file of a package; a packed package is named as in the environment."""
        package = own_name(mount, package, 1)
        return pkgutil.get_data(
            f"{mount.name}.{package}" if mount.contents.answers_for(package) else package, resource
        )

    def walk_packages(path: Any = None, prefix: str = "", onerror: Any = None) -> Any:
        if prefix and mount.contents.answers_for(prefix.rstrip(".")):
            prefix = f"{mount.name}.{prefix}"
        return pkgutil.walk_packages(path, prefix, onerror)

    def resolve_name(name: str) -> object:
        """Return what a dotted name stands for; a packed module is named as in the environment."""
        top = re.split("[.:]", name, maxsplit=1)[0]
        return pkgutil.resolve_name(f"{mount.name}.{name}" if mount.contents.answers_for(top) else name)

    functions = {"get_data": get_data, "walk_packages": walk_packages, "resolve_name": resolve_name}
    return delegate("pkgutil", pkgutil, **functions)
