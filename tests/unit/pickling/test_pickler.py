"""One object to one pickle: what is asked, and what is written without asking. No PyTorch is needed."""

from __future__ import annotations

from typing import Any

import pytest

from wardian.domain.names import PlainTensor
from wardian.pickling.pickler import NotPicklableError, PickledObject, pickle_object


class Weight:
    """Stands for a tensor."""


class Plain:
    """Knows all weights."""

    kind = Weight

    def describe(self, obj: Any) -> PlainTensor:
        return PlainTensor("0", "FloatStorage", 2, 0, (2,), (1,), requires_grad=False)


def _pickled(obj: Any, **options: Any) -> PickledObject:
    return pickle_object(obj, name="model", persistent_id=lambda part: None, **options)


_REBUILD = ("torch._utils", "_rebuild_tensor_v2")


def test_a_plain_tensor_is_written_without_asking_it() -> None:
    assert _REBUILD in _pickled([Weight()], tensors=Plain()).globals
    assert _REBUILD not in _pickled([Weight()]).globals


def test_tensors_are_asked_where_one_is_in_a_set() -> None:
    held = [Weight(), {Weight()}]
    assert _pickled(held, tensors=Plain()) == _pickled(held)


def test_all_that_cannot_be_pickled_is_told_with_its_place() -> None:
    with pytest.raises(NotPicklableError) as refused:
        _pickled({"heads": [(head for head in (1, 2)), memoryview(b"")]}, tensors=Plain())
    told = [problem.what for problem in refused.value.problems]
    assert [text.partition(" ")[0] for text in told] == ["model['heads'][0]", "model['heads'][1]"]
