"""A reader of `torch.distributed.checkpoint` whose checkpoint is a case."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    StorageMeta,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import LoadItemType, LoadPlan, LoadPlanner
from torch.distributed.checkpoint.storage import StorageReader
from torch.futures import Future

import wardian

__all__ = ["CaseReader"]


class CaseReader(StorageReader):
    """Let `torch.distributed.checkpoint.load` read weights from a case. None of its code runs.

    Each rank copies the parts that its shards have, and no more. Names are those of the module that was
    packed: pass `model.state_dict()`, and not a dictionary around it.

    No state_dict has the buffers of `register_buffer(…, persistent=False)`, so `dcp.load` does not fill
    them: a warning names them. Quantised, sparse and nested tensors cannot be copied in parts: `dcp.load`
    refuses them by name. `wardian.load_into(model, path)` fills all.

    Args:
        path: The case: a path that each rank has, or a URL.
        name: The entry point; may be left out if there is one.
        verify: Check weights before their first use on this machine, as for `wardian.open`. One rank of a
            machine reads them all and checks them, the others wait for it.
        digest: The digest that the case must have, as for `wardian.open`.
        storage_options: For a URL, as for `wardian.open`.

    Raises:
        CaseError, EntryNotFoundError, OSError: when it is read, as for `wardian.open`.

    >>> import torch, wardian, wardian.distributed
    >>> report = wardian.pack(torch.nn.Linear(2, 1), "linear.case", prove=False)
    >>> reader = wardian.distributed.CaseReader("linear.case")  # dcp.load(state, storage_reader=reader)
    >>> sorted(reader.read_metadata().state_dict_metadata)
    ['bias', 'weight']
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        verify: bool = True,
        digest: str | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self._path = path
        self._name = name
        self._options: dict[str, Any] = {"verify": verify, "storage_options": storage_options}
        self._digest = digest
        self._opened: str | None = None
        """The digest of what the metadata are of."""
        self._prefix = ""
        self._transient: list[str] = []
        self._warns = False
        self.bytes_read = 0
        """Bytes that this rank has copied in the last `dcp.load`."""

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """Begin anew, with another case if *checkpoint_id* is one."""
        if checkpoint_id is not None:
            self._path = checkpoint_id
        self._opened = None
        self.bytes_read = 0

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """Return the names, dtypes and shapes of all tensors of the entry point."""
        tensors: dict[str, Any] = {}
        self._transient = []
        with wardian.open(self._path, digest=self._digest, **self._options) as case:
            self._opened = case.digest
            found = case.tensors
            self._prefix = self._prefix_in(case)
            for key in found:
                if not key.startswith(self._prefix):
                    continue
                entry, name = found.describe(key), key.removeprefix(self._prefix)
                if entry.kind == "transient":
                    self._transient.append(name)
                if entry.form is not None:
                    # Left out it would be said to be missing; planned so, it is refused by its name.
                    tensors[name] = BytesStorageMetadata()
                else:
                    size = torch.Size(entry.shape)
                    whole = ChunkStorageMetadata(offsets=torch.Size([0] * len(size)), sizes=size)
                    properties = TensorProperties(dtype=getattr(torch, entry.dtype))
                    tensors[name] = TensorStorageMetadata(properties, size, [whole])
        return Metadata(state_dict_metadata=tensors, storage_data={}, storage_meta=StorageMeta())

    def set_up_storage_reader(
        self, metadata: Metadata, is_coordinator: bool, *args: Any, **kwargs: Any
    ) -> None:
        """Let one rank warn."""
        self._warns = is_coordinator

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        """Refuse what has no parts that could be copied, and warn of buffers that are not in the plan.

        Raises:
            ValueError: if the plan has quantised, sparse or nested tensors, or some of a class of their own.
        """
        special = [item.storage_index.fqn for item in plan.items if item.type == LoadItemType.BYTE_IO]
        if special:
            raise ValueError(
                f"{self._path} has {_listed(special)}, which cannot be copied in parts (quantised, sparse,"
                f" nested, or of a class of its own): wardian.load_into(model, {str(self._path)!r}) fills"
                " what needs no code of the case"
            )
        planned = {item.storage_index.fqn for item in plan.items}
        left = [name for name in self._transient if name not in planned]
        if left and self._warns:
            warnings.warn(
                f"no state_dict has the buffers {_listed(left)}, so they are not filled: they stay as they"
                " are, which is well where the model has set them, and is not after to_empty();"
                f" wardian.load_into(model, {str(self._path)!r}) fills them, too",
                wardian.WardianWarning,
                stacklevel=2,
            )
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        """Return the plans as they are."""
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Copy what the plan asks for."""
        with wardian.open(self._path, digest=self._opened or self._digest, **self._options) as case:
            tensors = case.tensors
            tensors.check({self._prefix + item.storage_index.fqn for item in plan.items})
            for item in plan.items:
                bounds = zip(item.storage_offsets, item.lengths, strict=True)
                region = tuple(slice(start, start + length) for start, length in bounds)
                part = tensors.part(self._prefix + item.storage_index.fqn, region)
                target = planner.resolve_tensor(item).detach()
                target.copy_(part)
                planner.commit_tensor(item, target)
                self.bytes_read += part.nbytes
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def _prefix_in(self, case: wardian.Case) -> str:
        """Return what names of the tensors of the entry point begin with."""
        names = [entry.name for entry in case.entries]
        if self._name not in names and (self._name is not None or len(names) > 1):
            wanted = f"has no entry point {self._name!r}, only" if self._name else "has several entry points,"
            raise wardian.EntryNotFoundError(f"{self._path} {wanted} {names}: CaseReader(path, name=…)")
        return f"{self._name or names[0]}:" if len(case.manifest.entries) > 1 else ""

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        """Tell whether this is the name of a case."""
        return os.fspath(checkpoint_id).endswith(".case")


_SHOWN = 20
"""Names that a message lists."""


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if names[_SHOWN:] else "")
