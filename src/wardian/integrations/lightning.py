"""A checkpoint callback of Lightning whose files are cases."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal
from weakref import proxy

import torch

import wardian

__all__ = ["CaseCheckpoint"]

_PACKAGES = {
    "lightning.pytorch": "lightning.fabric.utilities",
    "pytorch_lightning": "lightning_fabric.utilities",
}
"""Lightning is in two distributions, and a callback of one is none for a trainer of the other."""


def _find_lightning() -> Any:
    """Return the package that the program uses, as far as it is imported by now."""
    for name in _PACKAGES:
        if name in sys.modules:
            return sys.modules[name]
    first, second = _PACKAGES
    try:
        return importlib.import_module(first)
    except ModuleNotFoundError:
        if importlib.util.find_spec(second) is None:
            raise
        return importlib.import_module(second)


_lightning = _find_lightning()
_ModelCheckpoint: Any = _lightning.callbacks.ModelCheckpoint
_utilities = importlib.import_module(_PACKAGES[_lightning.__name__])


class CaseCheckpoint(_ModelCheckpoint):  # type: ignore[misc]  # mypy does not follow the library
    """Write the module as a case where `ModelCheckpoint` writes a checkpoint, by the same rules.

    A case has the module with its code and weights, in evaluation mode, without the trainer. It is no
    training checkpoint: it has neither optimizers nor the state of loops, so that training cannot be resumed
    from it. For that, give the trainer an ordinary `ModelCheckpoint` beside this one.

    Args:
        dirpath: As for `ModelCheckpoint`; a URL, too.
        filename: As for `ModelCheckpoint`; the files end with `.case`.
        inputs: What the module is called with, as for `wardian.pack`; without it, the module's
            `example_input_array`, if it has one.
        prove: "last" proves, when training ends, the files that are then the best and the last one, and none
            before. True proves each file when it is written, False none.
        pack: Further arguments of `wardian.pack`, such as `{"policy": …}`.
        **options: As for `ModelCheckpoint`: `monitor`, `mode`, `save_top_k`, `save_last`, …

    Raises:
        ValueError: if *prove* is none of these.

    >>> import wardian.lightning
    >>> checkpoint = wardian.lightning.CaseCheckpoint(monitor="val_loss", save_top_k=2, filename="{epoch}")
    >>> checkpoint.format_checkpoint_name({"epoch": 3})
    'epoch=3.case'
    """

    FILE_EXTENSION = ".case"

    def __init__(
        self,
        dirpath: str | os.PathLike[str] | None = None,
        filename: str | None = None,
        *,
        inputs: tuple[Any, ...] | Mapping[str, Any] | None = None,
        prove: bool | Literal["last"] = "last",
        pack: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(dirpath, filename, **options)
        if prove not in (True, False, "last"):
            raise ValueError(f'prove={prove!r}: it is True, False or "last"')
        self._inputs = inputs
        self._prove = prove
        self._pack = dict(pack or {})

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Refuse a trainer that would take this for no checkpoint callback."""
        if not isinstance(trainer, _lightning.Trainer):
            raise TypeError(
                f"this CaseCheckpoint is for {_lightning.__name__}, and the trainer is of"
                f" {type(trainer).__module__.partition('.trainer')[0]}: import that before wardian.lightning"
            )
        super().setup(trainer, pl_module, stage)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Say what went wrong if a case was taken for a training checkpoint."""
        path = os.fspath(trainer.ckpt_path or "")
        if path.endswith(self.FILE_EXTENSION):
            exception.add_note(
                f"{path} is a case, and no training checkpoint: it has no optimizers and no state of loops."
                f" To test or predict with it, leave ckpt_path out: trainer.test(wardian.load({path!r}), …)."
                " To resume training, have an ordinary ModelCheckpoint, too, and pass the path of its file"
            )
        super().on_exception(trainer, pl_module, exception)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Prove what is left, once."""
        super().on_train_end(trainer, pl_module)
        if self._prove == "last" and trainer.is_global_zero:
            for path in dict.fromkeys((self.best_model_path, self.last_model_path)):
                if path and not os.path.islink(path):
                    with wardian.open(path) as case:
                        self._write(case.load(), path, prove=True)
        trainer.strategy.barrier()

    def _save_checkpoint(self, trainer: Any, filepath: str) -> None:
        """Write a file: what the rules of `ModelCheckpoint` call."""
        if trainer.is_global_zero:
            module = trainer.lightning_module
            with _in_evaluation(module):
                self._write(module, filepath, prove=self._prove is True)
        trainer.strategy.barrier()
        self._last_global_step_saved = trainer.global_step
        self._last_checkpoint_saved = filepath
        if trainer.is_global_zero:
            for logger in trainer.loggers:
                logger.after_save_checkpoint(proxy(self))

    def _write(self, module: Any, path: str, *, prove: bool) -> None:
        inputs = module.example_input_array if self._inputs is None else self._inputs
        inputs = (inputs,) if isinstance(inputs, torch.Tensor) else inputs
        if inputs is not None:
            inputs = _utilities.move_data_to_device(inputs, module.device)
        options = {**self._pack, "inputs": inputs, "prove": prove}
        if "://" in path:
            wardian.push(module, path, **options)
        else:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            wardian.pack(module, path, **options)


@contextmanager
def _in_evaluation(module: torch.nn.Module) -> Iterator[None]:
    """Put a module, and each part of it, into evaluation mode for a while."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True
