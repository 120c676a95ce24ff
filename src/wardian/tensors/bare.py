"""The parts of PyTorch that make the tensors of a pickle; nothing else of it runs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import torch

from wardian.archive import ArchiveReader
from wardian.tensors.storages import StorageReader

__all__ = ["BareTensors"]


def _tensor(storage: Any, offset: int, size: Any, stride: Any, *rest: Any) -> torch.Tensor:
    made: torch.Tensor = torch._utils._rebuild_tensor_v2(storage, offset, size, stride, False, OrderedDict())  # type: ignore[no-untyped-call]
    return made


def _parameter(data: Any, *rest: Any) -> Any:
    return data


_MAKERS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch.nn.parameter", "Parameter"): _parameter,
}


class BareTensors:
    """Makes the plain tensors of a pickle from the storages of an archive.

    Args:
        archive: An open archive.
    """

    def __init__(self, archive: ArchiveReader) -> None:
        self._reader = StorageReader.of(archive, "cpu")
        self._kinds: dict[object, type] = {}

    def find_global(self, module: str, name: str) -> Any:
        """Return what stands for a global that makes tensors, None for every other.

        A pickle can set attributes of what it gets, so it gets nothing that this process uses.
        """
        maker = _MAKERS.get((module, name))
        if maker is not None:
            return lambda *arguments: maker(*arguments)  # noqa: PLW0108  another function for each pickle
        if module == "torch" and name.endswith("Storage"):
            kind = getattr(torch, name, None)
            if isinstance(kind, type):
                stand_in = type(name, (), {})
                self._kinds[stand_in] = kind
                return stand_in
        return {
            ("builtins", "set"): set,
            ("__builtin__", "set"): set,
            ("collections", "OrderedDict"): OrderedDict,
            ("torch", "Size"): torch.Size,
        }.get((module, name))

    def persistent_load(self, pid: Any) -> Any:
        """Return the storage that a persistent id names.

        Raises:
            ValueError: if it names none.
        """
        if isinstance(pid, tuple) and len(pid) == 5 and isinstance(pid[1], type):
            pid = (pid[0], self._kinds.get(pid[1], pid[1]), *pid[2:])
        return self._reader.persistent_load(pid)

    def check(self) -> None:
        """Check that no tensor reaches beyond its storage.

        Raises:
            ValueError: if one does.
        """
        self._reader.check_sizes()

    @staticmethod
    def is_tensor(value: object) -> bool:
        """Tell whether a value is a tensor."""
        return isinstance(value, torch.Tensor)
