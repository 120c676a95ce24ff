"""A class that actors of Ray Data make once, and call with each batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import ray  # noqa: F401  who has it not is told what to install
import torch

import wardian

__all__ = ["Predictor"]


class Predictor:
    """Add what a model of a case answers to batches, in actors of Ray Data.

    Actors of one node map one file: its weights are in memory once, however many there are.

    Args:
        path: The case: a path that each node has, or a URL.
        input_column: The column that the model is called with, as a tensor; a list of them, in the order of
            arguments.
        output_column: Where the answer goes. If the model answers with a dictionary, its names follow this
            one: `output.logits`; if with a tuple, the numbers of its parts: `output.0`.
        batch_format: That of `map_batches`.
        device: Where the model and its inputs go; without it, a GPU if the actor has one.
        **options: As for `wardian.load`.

    Raises:
        ValueError: if *batch_format* is another one.
        CaseError, EnvironmentMismatchError: as for `wardian.load`.

    >>> import tempfile, numpy, torch, wardian, wardian.ray
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = wardian.pack(torch.nn.Flatten(), f"{folder}/flatten.case", prove=False)
    ...     predict = wardian.ray.Predictor(f"{folder}/flatten.case", input_column="x", output_column="y")
    >>> predict({"x": numpy.ones((2, 3, 4))})["y"].shape
    (2, 12)
    """

    def __init__(
        self,
        path: str,
        *,
        input_column: str | list[str],
        output_column: str = "output",
        batch_format: Literal["numpy", "pandas", "pyarrow"] = "numpy",
        device: str | None = None,
        **options: Any,
    ) -> None:
        if batch_format not in _READ:
            raise ValueError(f"batch_format={batch_format!r}: it is one of {', '.join(map(repr, _READ))}")
        self._read, self._write = _READ[batch_format], _WRITE[batch_format]
        self._columns = [input_column] if isinstance(input_column, str) else list(input_column)
        self._output = output_column
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._model = wardian.load(path, map_location=self._device, **options)
        if isinstance(self._model, torch.nn.Module):
            self._model.eval()

    def __call__(self, batch: Any) -> Any:
        """Return the batch with the answer in it."""
        arrays = (np.require(self._read(batch, name), requirements=["C", "W"]) for name in self._columns)
        with torch.inference_mode():
            found = self._model(*(torch.as_tensor(array, device=self._device) for array in arrays))
        if isinstance(found, tuple):  # a list may have an item for each row
            found = dict(enumerate(found))
        if isinstance(found, Mapping):
            answers = {f"{self._output}.{name}": _array(value) for name, value in found.items()}
        else:
            answers = {self._output: _array(found)}
        return self._write(batch, answers)


def _array(value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    try:
        return value.numpy(force=True)
    except TypeError:  # NumPy has not all types of PyTorch: bfloat16
        return value.float().numpy(force=True)


def _stacked(values: Any) -> Any:
    """Return a column whose items are arrays as one array."""
    array = np.asarray(values)
    return np.stack([np.asarray(item) for item in array]) if array.dtype == object else array


def _to_pandas(batch: Any, answers: dict[str, Any]) -> Any:
    return batch.assign(**{name: list(value) if value.ndim > 1 else value for name, value in answers.items()})


def _to_arrow(batch: Any, answers: dict[str, Any]) -> Any:
    for name, value in answers.items():
        batch = batch.append_column(name, [value.tolist()])
    return batch


_READ: dict[str, Any] = {
    "numpy": lambda batch, name: _stacked(batch[name]),
    "pandas": lambda batch, name: _stacked(batch[name].to_numpy()),
    "pyarrow": lambda batch, name: _stacked(batch.column(name).to_numpy(zero_copy_only=False)),
}
_WRITE: dict[str, Any] = {
    "numpy": lambda batch, answers: {**batch, **answers},
    "pandas": _to_pandas,
    "pyarrow": _to_arrow,
}
"""Functions that read a column of a batch, and functions that add columns to one, by the format."""
