"""Tables of the process: an entry that is taken out and put back is where it was."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from wardian.loading.closing.tables import TABLES, forget_hooks, note_hooks


def _find(value: Any) -> Iterator[tuple[Any, Any, Any]]:
    for table in TABLES:
        for handle, found in table.entries():
            if found is value or (isinstance(found, tuple) and any(part is value for part in found)):
                yield table, handle, found


@contextmanager
def _in_list(values: list[Any], value: Any) -> Iterator[None]:
    values.insert(0, value)
    yield
    values.remove(value)


class _Warned(UserWarning):
    """Of a filter."""


@pytest.mark.parametrize("values", [sys.meta_path, logging.root.handlers, torch.library._keep_alive])
def test_entries_of_lists_keep_their_place(values: list[Any]) -> None:
    value = object()
    with _in_list(values, value):
        before = list(values)
        ((table, handle, found),) = _find(value)
        table.take_out(handle, found)
        assert value not in values
        table.put_back(handle, found)
        assert values == before


def test_filters_of_warnings_take_effect_at_once() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", _Warned)
        warnings.warn("ignored", _Warned, stacklevel=1)
        ((table, handle, found),) = _find(_Warned)
        table.take_out(handle, found)
        with pytest.raises(_Warned):
            warnings.warn("raised", _Warned, stacklevel=1)
        table.put_back(handle, found)
        warnings.warn("ignored", _Warned, stacklevel=1)


def test_a_hook_goes_back_to_what_was_there_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def hook(*raised: Any) -> None: ...

    hook.__module__ = "wardian.live.fern_00000000.fern"
    before = sys.excepthook
    monkeypatch.setattr(sys, "excepthook", before)  # whatever happens
    note_hooks("wardian.live.fern_00000000")
    sys.excepthook = hook
    ((table, handle, found),) = _find(hook)
    table.take_out(handle, found)
    assert sys.excepthook is before
    table.put_back(handle, found)
    assert sys.excepthook is hook
    forget_hooks(())
    assert not list(_find(hook))
