"""What belongs to a training stays here, and a module is written as it was before it."""

from __future__ import annotations

import types
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.capture.transplant import take, transplant
from wardian.pickling.reducers.training import as_before, is_nothing

# Lightning's names; its own classes take seconds to import, and are not in every environment.
SOURCE = """
class Trainer:
    def __init__(self):
        self.data = (n for n in range(3))  # which nothing can pickle
    def fit(self): pass
class LightningModule:
    def __init__(self):
        self.size, self._trainer, self._fabric, self._fabric_optimizers = 3, None, None, []
        self._current_fx_name = None
"""


@pytest.fixture(params=["lightning.pytorch", "pytorch_lightning"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    found = types.SimpleNamespace()
    for module, kind in (("trainer.trainer", "Trainer"), ("core.module", "LightningModule")):
        scope: dict[str, Any] = {"__name__": f"{request.param}.{module}"}
        exec(SOURCE, scope)
        setattr(found, kind, scope[kind])
    return found


def test_a_trainer_and_what_leads_to_it_is_nothing(library: Any) -> None:
    class Mine(library.Trainer):  # type: ignore[misc]
        pass

    trainer = Mine()
    assert is_nothing(trainer)
    assert is_nothing(library.Trainer())
    assert not is_nothing(library.LightningModule())
    assert not is_nothing(Mine)
    found = transplant([trainer, trainer.fit, weakref.proxy(trainer), weakref.ref(trainer)])
    assert found[:3] == [None] * 3
    assert found[3]() is None


def test_it_is_noted_that_a_trainer_was_left_out(library: Any) -> None:
    _, capture = take({"a": library.Trainer()})
    assert any("a Trainer is None in the case" in note for note in capture.left_out)


def trained(library: Any) -> Any:
    module = library.LightningModule()
    module._trainer, module._current_fx_name = library.Trainer(), "training_step"
    module._fabric_optimizers = [1]
    return module


def test_attributes_that_a_training_sets_are_as_in_a_new_module(library: Any) -> None:
    module = trained(library)
    _, _, state = as_before(module, NotImplemented)[:3]
    assert state == vars(library.LightningModule())
    assert list(state) == list(vars(module))
    assert vars(module)["_fabric_optimizers"] == [1]  # the module itself stays as it is
    assert as_before(module, None)[2] is not as_before(module, None)[2]


def test_an_answer_of_another_row_keeps_all_but_the_state(library: Any) -> None:
    module = trained(library)
    answer = (list, (), dict(vars(module)), None, None, len)
    assert as_before(module, answer) == (list, (), vars(library.LightningModule()), None, None, len)
    slots = {"slot": 1}
    with_slots = (list, (), (dict(vars(module)), slots), None)
    assert as_before(module, with_slots)[2] == (vars(library.LightningModule()), slots)
    for other in ((list, ()), (list, (), [1]), "name"):
        assert as_before(module, other) is other


def test_nothing_is_changed_of_what_is_no_such_module() -> None:
    for answer in (None, NotImplemented, (list, (), {"_trainer": 1})):
        assert as_before(object(), answer) is answer
