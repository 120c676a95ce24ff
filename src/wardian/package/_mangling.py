"""The names that modules of packages have in a process."""

from __future__ import annotations

import itertools

from wardian.domain.live_names import full_name, is_live, mount_of, split_live

__all__ = ["PackageMangler", "demangle", "get_mangle_prefix", "is_mangled"]

_numbers = itertools.count()


class PackageMangler:
    """The names of the modules of one package.

    Args:
        parent: The name below which they are; None makes one that nothing else has.

    >>> mangler = PackageMangler("wardian.live.resnet18_3f9a2c1b")
    >>> mangler.mangle("torchvision.ops")
    'wardian.live.resnet18_3f9a2c1b.torchvision.ops'
    """

    def __init__(self, parent: str | None = None) -> None:
        self._parent = parent or full_name(f"names_{next(_numbers)}")

    def mangle(self, name: str) -> str:
        """Return the full name of a module of this package."""
        if not name:
            raise AssertionError("the name of a module is not empty")
        return f"{self._parent}.{name}"

    def demangle(self, mangled: str) -> str:
        """Return the own name of a module of this package; other names are returned as they are."""
        return mangled.removeprefix(f"{self._parent}.")

    def parent_name(self) -> str:
        """Return the name below which the modules of this package are."""
        return self._parent


def is_mangled(name: str) -> bool:
    """Tell whether *name* is that of a package, or of a module of one.

    >>> is_mangled("wardian.live.resnet18_3f9a2c1b.torchvision"), is_mangled("torchvision")
    (True, False)
    """
    return is_live(name)


def demangle(name: str) -> str:
    """Return the name that a module had when it was exported; empty for the package itself."""
    return split_live(name)[1] if is_mangled(name) else name


def get_mangle_prefix(name: str) -> str:
    """Return the package that *name* is from; other names are returned as they are."""
    return full_name(mount_of(name)) if is_mangled(name) else name
