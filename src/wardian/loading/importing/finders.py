"""Finders of packed modules: by their full name, and in the folders of their packages."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import threading
import types
from collections.abc import Callable, Iterator, Sequence

from wardian.domain.live_names import MountName, full_name, is_live, split_live
from wardian.errors import ModuleNotInCaseError
from wardian.loading.importing.loaders import AliasLoader
from wardian.loading.importing.mount import Mount
from wardian.loading.importing.specs import find_spec
from wardian.loading.registering.installed_modules import SecondCopyLoader, may_be_second_copy
from wardian.processes.starting import CASES_VARIABLE

__all__ = ["CaseFinder", "FolderFinder"]


class CaseFinder(importlib.abc.MetaPathFinder):
    """Find modules below `wardian.live` in the open cases.

    Of modules of the environment it answers for those of which a packed copy may have registered something
    in PyTorch: they are found as without it, and may register the same again while they are executed.

    Args:
        find_mount: Returns the open mount of a name, None if there is none.
    """

    def __init__(self, find_mount: Callable[[str], Mount | None]) -> None:
        self._find_mount = find_mount
        self._thread = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find a module below the mount of an open case, or of which there is a packed copy; else None.

        Raises:
            ModuleNotInCaseError: if its case is not open.
        """
        if not is_live(fullname):
            is_copied = may_be_second_copy(fullname)
            return self._find_second_copy(fullname, path, target) if is_copied else None
        mount_name, module = split_live(fullname)
        if not MountName.parse(mount_name).has_digest:  # a module of this package itself
            return None
        mount = self._find_mount(mount_name)
        if mount is None:
            raise _not_open(fullname, MountName.parse(mount_name))
        own = f"{mount.name}.{module}".rstrip(".")
        if own != fullname:  # the file had another name when somebody wrote this one down
            mount.aliases.add(full_name(mount_name))
            return importlib.machinery.ModuleSpec(fullname, AliasLoader(importlib.import_module(own)))
        return find_spec(mount, module)

    def _find_second_copy(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None
    ) -> importlib.machinery.ModuleSpec | None:
        if getattr(self._thread, "looks", False):  # asked by another, which may stand around this one
            return None
        self._thread.looks = True
        try:
            for finder in sys.meta_path:
                find = getattr(finder, "find_spec", None)
                spec: importlib.machinery.ModuleSpec | None = find and find(fullname, path, target)
                if spec is not None:
                    if hasattr(spec.loader, "exec_module"):
                        spec.loader = SecondCopyLoader(spec.loader)
                    return spec
            return None
        finally:
            self._thread.looks = False

    def invalidate_caches(self) -> None:
        """Do nothing: a case does not change while it is open."""


def _not_open(module: str, mount: MountName) -> ModuleNotInCaseError:
    stem = mount.case
    call = f"load('{stem}.case', share=True)" if mount.is_shared else f"open('{stem}.case')"
    return ModuleNotInCaseError(
        f"{module} is part of the case {stem!r} whose digest begins with {mount.digest}, which is not open in"
        f" this process; open it first, whatever its file is called by now: wardian.{call}; or, for workers"
        f" that others start, set it in their environment before they start:"
        f" {CASES_VARIABLE}=/path/or/url/{stem}.case",
        name=module,
    )


class FolderFinder:
    """Find modules in a folder of a case, for code that walks the `__path__` of its package.

    `pkgutil.walk_packages` hands the finder of a folder out, and a loader it gets from there must be ours:
    Python's own would read the file and run it with imports of the environment.
    """

    def __init__(self, mount: Mount, package: str, find_mount: Callable[[str], Mount | None]) -> None:
        self._mount = mount
        self._package = package
        self._find_mount = find_mount

    def find_spec(
        self, fullname: str, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find a module of the folder by its full name below `wardian.live`."""
        if not is_live(fullname):
            return None
        # Two mounts may share a folder: the same file, opened with and without sharing.
        mount_name, module = split_live(fullname)
        mount = self._find_mount(mount_name)
        return None if mount is None else find_spec(mount, module)

    def iter_modules(self, prefix: str = "") -> Iterator[tuple[str, bool]]:
        """Yield (name, whether it is a package) of the modules in the folder, as `pkgutil` asks."""
        for name, is_package in self._mount.contents.children(self._package):
            yield prefix + name, is_package

    def invalidate_caches(self) -> None:
        """Do nothing: a case does not change while it is open."""
