"""The modules that packed code gets in place of Python's own, by name."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.resources
import importlib.util
import sys
import types
from collections.abc import Callable
from typing import Any

from wardian.loading.importing.mount import Mount
from wardian.loading.importing.shims.delegating import delegate, own_name
from wardian.loading.importing.shims.metadata import make_metadata
from wardian.loading.importing.shims.resources import make_pkgutil, make_resources
from wardian.loading.importing.shims.sys_modules import Sys

__all__ = ["make_shim"]


def _importlib(mount: Mount, _: str) -> types.ModuleType:
    def import_module(name: str, package: str | None = None) -> types.ModuleType:
        """Import a module; an absolute name of a packed module means the packed one."""
        if not name.startswith("."):
            name = own_name(mount, name, 1)
            if mount.contents.answers_for(name):
                return mount.import_packed(name)
            mount.check_external(name)
            mount.lacking.refuse(name)
        elif package is not None and mount.contents.answers_for(package):
            package = f"{mount.name}.{package}"
        return importlib.import_module(name, package)

    def __getattr__(attribute: str) -> Any:  # noqa: N807  PEP 562
        if attribute in ("util", "metadata", "resources"):
            return importlib.import_module(f"{mount.name}.importlib.{attribute}")
        return getattr(importlib, attribute)

    return delegate("importlib", importlib, import_module=import_module, __getattr__=__getattr__)


def _find_spec(name: str) -> Any:
    """Ask the finders for a spec. `importlib.util.find_spec` would import the packages above it."""
    finders = (finder for finder in sys.meta_path if hasattr(finder, "find_spec"))
    return next(filter(None, (finder.find_spec(name, None) for finder in finders)), None)


def _util(mount: Mount, _: str) -> types.ModuleType:
    def find_spec(name: str, package: str | None = None) -> Any:
        """Find the spec of a module; an absolute name of a packed module means the packed one."""
        if not name.startswith("."):
            if mount.contents.answers_for(name):
                name = f"{mount.name}.{name}"
            elif mount.contents.is_absent(name):
                return None
        return importlib.util.find_spec(name, package)

    def spec_from_file_location(name: str, location: Any = None, **kwargs: Any) -> Any:
        """Make the spec of a module in a file; a file of the case is loaded as the packed module it is."""
        module = None if location is None else mount.module_at(location)
        if module is not None and module == name:
            return _find_spec(mount.full_name(module))
        return importlib.util.spec_from_file_location(name, location, **kwargs)

    return delegate(
        "importlib.util", importlib.util, find_spec=find_spec, spec_from_file_location=spec_from_file_location
    )


_SHIMS: dict[str, Callable[[Mount, str], types.ModuleType]] = {
    "importlib": _importlib,
    "importlib.metadata": make_metadata,
    "importlib.resources": make_resources,
    "importlib.util": _util,
    "importlib_metadata": make_metadata,
    "importlib_resources": make_resources,
    "pkgutil": make_pkgutil,
    "sys": lambda mount, name: Sys(mount),
}
"""Module → what makes the mount's own version of it."""


def make_shim(mount: Mount, name: str) -> types.ModuleType | None:
    """Return the mount's own version of a module that takes module or distribution names as strings.

    Args:
        mount: The mount it serves.
        name: Its ordinary dotted name, such as `importlib.util`.

    Returns:
        The module; None if there is no such module.
    """
    make = _SHIMS.get(name)
    if make is not None:
        return make(mount, name)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None
