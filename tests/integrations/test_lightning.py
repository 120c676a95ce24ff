"""Lightning trains on the CPU, and what it leaves are cases."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

import wardian
from tests.support import importable, run_python, write_tree
from wardian.lightning import CaseCheckpoint

PROJECT = """
--- course/__init__.py
--- course/net.py
import lightning
import torch

class Net(lightning.LightningModule):
    def __init__(self, width=8):
        super().__init__()
        self.save_hyperparameters()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(4, width), torch.nn.Dropout(0.5), torch.nn.Linear(width, 1)
        )
        self.example_input_array = torch.ones(2, 4)

    def forward(self, x):
        return self.layers(x)

    def training_step(self, batch, number):
        x, y = batch
        loss = torch.nn.functional.mse_loss(self(x), y)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, number):
        x, y = batch
        self.log("val_loss", torch.nn.functional.mse_loss(self(x), y))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 1e-2)
"""
X = torch.ones(2, 4)


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Any]:
    torch.manual_seed(0)
    with importable(write_tree(tmp_path / "project", PROJECT)) as load:
        yield load("course.net").Net()


def batches() -> Any:
    x = torch.randn(40, 4)
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, x.sum(1, keepdim=True)), 8)


def trainer(folder: Path, *callbacks: Any, epochs: int = 3, **options: Any) -> lightning.Trainer:
    return lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        default_root_dir=folder,
        callbacks=[*callbacks],
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        **options,
    )


def test_the_best_case_of_a_training_loads_where_neither_lightning_nor_the_project_is(
    net: Any, tmp_path: Path
) -> None:
    checkpoint = CaseCheckpoint(
        tmp_path / "cases", "{epoch}-{step}", monitor="val_loss", save_top_k=2, save_last=True
    )
    trainer(tmp_path, checkpoint).fit(net, batches(), batches())
    files = sorted((tmp_path / "cases").iterdir())
    assert {str(file) for file in files} == {*checkpoint.best_k_models, checkpoint.last_model_path}
    assert len(files) == 3
    assert all(file.suffix == ".case" for file in files)
    proofs = {}
    for file in files:
        with wardian.open(file) as case:
            proofs[str(file)] = case.manifest.proof
    proven = {path for path, proof in proofs.items() if proof == "passed"}
    assert proven == {checkpoint.best_model_path, checkpoint.last_model_path}
    assert net.training
    again = wardian.load(checkpoint.last_model_path)
    assert torch.equal(again(X), net.eval()(X))
    script = """
        import sys

        class Blocked:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in ("lightning", "pytorch_lightning", "torchmetrics", "course"):
                    raise ModuleNotFoundError(name, name=name)

        sys.meta_path.insert(0, Blocked())
        import torch, wardian

        net = wardian.load(sys.argv[1])
        print(net(torch.ones(2, 4)).tolist(), net.hparams.width, net.training)
    """
    with torch.no_grad():
        wanted = wardian.load(checkpoint.best_model_path)(X).tolist()
    told = run_python(script, checkpoint.best_model_path, folder=tmp_path, isolated=True)
    assert told.strip() == f"{wanted} 8 False"


def test_a_case_is_no_training_checkpoint(net: Any, tmp_path: Path) -> None:
    cases, ordinary = CaseCheckpoint(tmp_path, "net", prove=False), ModelCheckpoint(tmp_path, "net")
    trainer(tmp_path, cases, ordinary, epochs=1).fit(net, batches())
    with pytest.raises(RuntimeError) as caught:
        trainer(tmp_path, cases).fit(net, batches(), ckpt_path=cases.best_model_path)
    (note,) = caught.value.__notes__
    assert f"{cases.best_model_path} is a case, and no training checkpoint" in note
    assert f"trainer.test(wardian.load('{cases.best_model_path}'), …)" in note
    again = trainer(tmp_path, cases, ordinary, epochs=2)
    again.fit(net, batches(), ckpt_path=ordinary.best_model_path)
    assert again.current_epoch == 2


def test_each_file_is_proven_if_that_is_asked(net: Any, tmp_path: Path) -> None:
    checkpoint = CaseCheckpoint(tmp_path, inputs=(X,), prove=True, pack={"metadata": {"team": "vision"}})
    trainer(tmp_path, checkpoint, epochs=1).fit(net, batches())
    with wardian.open(checkpoint.best_model_path) as case:
        assert (case.manifest.proof, case.manifest.metadata) == ("passed", {"team": "vision"})
    with pytest.raises(ValueError, match="prove='first'"):
        CaseCheckpoint(prove="first")  # type: ignore[arg-type]


def test_modes_of_parts_are_kept(net: Any, tmp_path: Path) -> None:
    net.layers[1].eval()
    trainer(tmp_path, CaseCheckpoint(tmp_path, prove=False), epochs=1).fit(net, batches())
    assert (net.training, net.layers[0].training, net.layers[1].training) == (True, True, False)


def test_another_lightning_is_told(net: Any, tmp_path: Path) -> None:
    import pytorch_lightning

    other = pytorch_lightning.Trainer(default_root_dir=tmp_path, logger=False)
    with pytest.raises(TypeError, match="and the trainer is of pytorch_lightning: import that before"):
        CaseCheckpoint(tmp_path).setup(other, net, "fit")


def packed(module: Any, folder: Path) -> tuple[Any, wardian.PackReport]:
    report = wardian.pack(module, folder / "net.case", inputs=(X,), prove=False)
    return wardian.load(folder / "net.case"), report


def is_as_new(module: Any) -> bool:
    with pytest.raises(RuntimeError, match="not attached to a `Trainer`"):
        module.trainer  # noqa: B018  it is a property
    return module.fabric is None and not module._fabric_optimizers and module._current_fx_name is None


def test_a_trained_module_is_packed_as_a_new_one(net: Any, tmp_path: Path) -> None:
    before = wardian.pack(net.eval(), tmp_path / "new.case", inputs=(X,), prove=False)
    trainer(tmp_path, epochs=1, enable_checkpointing=False, limit_train_batches=0).fit(net, batches())
    again, report = packed(net.eval(), tmp_path)
    assert is_as_new(again)
    assert report.left_out == ()
    assert [e.type for e in report.manifest.entries] == [e.type for e in before.manifest.entries]
    with wardian.open(tmp_path / "new.case") as one, wardian.open(tmp_path / "net.case") as other:
        assert len(one.read("model/model.pkl")) == len(other.read("model/model.pkl"))


def test_what_leads_to_the_trainer_takes_none_of_it_along(net: Any, tmp_path: Path) -> None:
    running = trainer(tmp_path, epochs=1, enable_checkpointing=False)

    class Noting(lightning.Callback):  # type: ignore[misc]
        def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
            self.trainer = trainer

    noting = Noting()
    noting.on_fit_start(running, net)
    running.fit(net, batches())
    net.__dict__["held"] = {
        "attribute": running,
        "callback": noting,
        "closure": lambda: running.current_epoch,
        "method": running.fit,
        "optimizer": net.optimizers(),
        "proxy": weakref.proxy(running),
        "reference": weakref.ref(running),
    }
    again, report = packed(net.eval(), tmp_path)
    assert is_as_new(again)
    held = again.held
    assert (held["attribute"], held["callback"].trainer, held["method"], held["proxy"]) == (None,) * 4
    assert held["reference"]() is None
    assert report.left_out == ("a Trainer is None in the case: it belongs to the training here",)
    with wardian.open(tmp_path / "net.case") as case:
        pickled = case.read("model/model.pkl")
    assert b"TensorDataset" not in pickled
    assert b"trainer.trainer" not in pickled


def test_fabric_stays_here(net: Any, tmp_path: Path) -> None:
    fabric = lightning.Fabric(accelerator="cpu", devices=1)
    wrapped, _ = fabric.setup(net, net.configure_optimizers())
    assert net.fabric is fabric
    assert is_as_new(packed(net.eval(), tmp_path)[0])
    assert torch.equal(packed(wrapped, tmp_path)[0](X), net(X))


def test_a_trainer_is_told_to_be_nothing(tmp_path: Path) -> None:
    with pytest.warns(
        wardian.WardianWarning, match=r"Pack the module that it trains: trainer.lightning_module"
    ):
        wardian.pack(trainer(tmp_path), tmp_path / "trainer.case", prove=False)
