"""Modules as they are where the library that they need is not installed."""

from __future__ import annotations

import importlib
import importlib.abc
import sys
from typing import Any

import pytest


class _Missing(importlib.abc.MetaPathFinder):
    def __init__(self, library: str) -> None:
        self._library = library

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        if fullname == self._library:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


def import_without(library: str, module: str, monkeypatch: pytest.MonkeyPatch) -> ModuleNotFoundError:
    """Import *module* anew where *library* cannot be imported; return the error."""
    for name in [name for name in sys.modules if name == library or name.startswith(f"{library}.")]:
        monkeypatch.delitem(sys.modules, name)
    for name in (module, f"wardian.integrations.{library}"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "meta_path", [_Missing(library), *sys.meta_path])
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module(module)
    assert module not in sys.modules
    return caught.value
