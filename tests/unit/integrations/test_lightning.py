"""The callback by itself, on a stand-in for Lightning; `make integrations` trains with the real one."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import wardian


class _Checkpoint:
    def __init__(self, dirpath: Any = None, filename: Any = None, **options: Any) -> None:
        self.options = options

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        self.was_set_up = True

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self.seen = exception


class _Trainer:
    is_global_zero = True
    global_step = 7
    loggers: tuple[Any, ...] = ()
    ckpt_path = None
    strategy = types.SimpleNamespace(barrier=lambda: None)
    lightning_module: Any = None


class Net(nn.Sequential):
    example_input_array = None
    device = "cpu"


def stand_in(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put something under the names that the callback takes from one of Lightning's distributions."""
    utilities = "lightning.fabric.utilities" if "." in name else "lightning_fabric.utilities"
    top: Any = types.ModuleType(name)
    top.callbacks, top.Trainer = types.SimpleNamespace(ModelCheckpoint=_Checkpoint), _Trainer
    moving: Any = types.ModuleType(utilities)
    moving.move_data_to_device = lambda data, device: data
    for module in (top, moving):
        parent = module.__name__.rpartition(".")[0]
        while parent:
            monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
            parent = parent.rpartition(".")[0]
    monkeypatch.setitem(sys.modules, name, top)
    monkeypatch.setitem(sys.modules, utilities, moving)
    return top


def callback_module(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delitem(sys.modules, "wardian.integrations.lightning", raising=False)
    found = importlib.import_module("wardian.integrations.lightning")
    monkeypatch.delitem(sys.modules, "wardian.integrations.lightning")
    return found


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in [name for name in sys.modules if name.split(".")[0] in ("lightning", "pytorch_lightning")]:
        monkeypatch.delitem(sys.modules, name)
    stand_in("lightning.pytorch", monkeypatch)
    return callback_module(monkeypatch)


def test_the_distribution_that_the_program_uses_is_taken(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert module._lightning.__name__ == "lightning.pytorch"
    monkeypatch.delitem(sys.modules, "lightning.pytorch")
    stand_in("pytorch_lightning", monkeypatch)
    other = callback_module(monkeypatch)
    assert other._lightning.__name__ == "pytorch_lightning"

    class OfOther:
        __module__ = "lightning.pytorch.trainer.trainer"

    with pytest.raises(
        TypeError, match=r"is for pytorch_lightning, and the trainer is of lightning\.pytorch"
    ):
        other.CaseCheckpoint().setup(OfOther(), None, "fit")
    kept = other.CaseCheckpoint()
    kept.setup(_Trainer(), None, "fit")
    assert kept.was_set_up


def test_prove_is_one_of_three(module: Any) -> None:
    for prove in (True, False, "last"):
        module.CaseCheckpoint(prove=prove, monitor="loss")
    with pytest.raises(ValueError, match="prove='first': it is True, False or \"last\""):
        module.CaseCheckpoint(prove="first")


def test_a_file_is_the_module_in_evaluation_and_training_goes_on(module: Any, tmp_path: Path) -> None:
    net = Net(nn.Dropout(), nn.Linear(2, 2))
    net[1].eval()
    trainer = _Trainer()
    trainer.lightning_module = net
    path = tmp_path / "new" / "epoch=1.case"
    checkpoint = module.CaseCheckpoint(
        inputs=(torch.ones(1, 2),), prove=False, pack={"metadata": {"by": "test"}}
    )
    checkpoint._save_checkpoint(trainer, str(path))
    assert [part.training for part in net.modules()] == [True, True, False]
    with wardian.open(path) as case:
        assert not any(part.training for part in case.load().modules())
        assert case.manifest.metadata["by"] == "test"
    assert (checkpoint._last_global_step_saved, checkpoint._last_checkpoint_saved) == (7, str(path))


def test_another_process_writes_nothing(module: Any, tmp_path: Path) -> None:
    trainer = _Trainer()
    trainer.is_global_zero = False
    module.CaseCheckpoint()._save_checkpoint(trainer, str(tmp_path / "x.case"))
    assert list(tmp_path.iterdir()) == []


def test_who_takes_a_case_for_a_checkpoint_is_told(module: Any) -> None:
    trainer: Any = _Trainer()
    for path, told in (("best.case", True), ("best.ckpt", False), (None, False)):
        trainer.ckpt_path = path
        error, checkpoint = RuntimeError(), module.CaseCheckpoint()
        checkpoint.on_exception(trainer, None, error)
        assert checkpoint.seen is error
        assert (
            any("is a case, and no training checkpoint" in note for note in getattr(error, "__notes__", ()))
            is told
        )
