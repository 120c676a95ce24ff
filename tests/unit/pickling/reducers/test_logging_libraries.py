"""What is of a logging library is written as what notes nothing, with the settings that a model may read."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from tests.unit.capture.transplant import transplant
from wardian.pickling.reducers.logging_libraries import silences

SOURCE = """
class Config:
    def __init__(self, **values): self._values = values
    def keys(self): return self._values.keys()
    def __getitem__(self, key): return self._values[key]
class Run:
    def __init__(self, **values):
        self.config = Config(**values)
        self.thread = (n for n in range(3))
class Broken:
    @property
    def config(self): raise RuntimeError
class RunError(Exception): pass
def log(): pass
"""


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Any:
    module: Any = types.ModuleType("wandb")
    exec(SOURCE, module.__dict__)
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def test_the_library_and_objects_of_its_classes_are_silenced(wandb: Any) -> None:
    assert silences(wandb)
    assert silences(wandb.Run())
    assert silences(types.ModuleType("torch.utils.tensorboard.writer"))
    for other in (sys, 3, wandb.RunError(), wandb.log, wandb.Run):
        assert not silences(other)


def test_a_class_of_the_user_s_that_says_to_be_of_the_library_is_not(wandb: Any) -> None:
    mine = type("Mine", (), {"__module__": "wandb"})
    assert not silences(mine())


def test_a_run_notes_nothing_and_keeps_its_settings(wandb: Any) -> None:
    run = transplant([wandb.Run(rate=0.5, names=["a"])])[0]
    assert (run.config["rate"], run.config.names) == (0.5, ["a"])
    assert run.log({"loss": 1}) is run.log or run.log({"loss": 1}) is run
    run.config["rate"] = 2
    settings = transplant([wandb.Config(rate=0.5)])[0]
    assert settings["rate"] == 0.5


def test_settings_that_cannot_be_read_or_packed_are_left_out(wandb: Any) -> None:
    unpackable = transplant([wandb.Run(rate=(n for n in range(3)))])[0]
    assert unpackable.config is unpackable
    assert transplant([wandb.Broken()])[0].log() is not None


def test_the_module_itself_and_a_second_packing(wandb: Any) -> None:
    module = transplant([wandb])[0]
    assert module.init(project="x").log(1) is not None
