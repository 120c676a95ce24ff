"""Modules of the environment that may register what a packed copy of them has registered in PyTorch."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import types
from typing import Any

from wardian.domain.names import top_level
from wardian.loading.registering.second_copies import sharing

__all__ = ["SecondCopyLoader", "may_be_second_copy", "note_registering"]

_registering: set[str] = set()
"""Top-level names of packed code that may have filled tables of PyTorch, in cases that were closed, too."""


def note_registering(top_level: str) -> None:
    """Note that packed code of this top-level name may have filled tables of PyTorch."""
    _registering.add(top_level)


def may_be_second_copy(name: str) -> bool:
    """Tell whether a packed copy of a module of the environment may have registered what it registers."""
    return top_level(name) in _registering


class SecondCopyLoader(importlib.abc.Loader):
    """Execute a module of the environment that may register what a packed copy has registered.

    The module is left with the loader that it has without this one.
    """

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        """Leave it to the loader of the module."""
        made: types.ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: types.ModuleType) -> None:
        """Leave it to the loader of the module."""
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        with sharing():
            self._loader.exec_module(module)
