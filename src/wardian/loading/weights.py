"""The tensors of an open case that its index names: no code is run for them."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wardian.errors import CodeNeededError
from wardian.loading.importing.mount import Mount

if TYPE_CHECKING:
    import torch

    from wardian.domain.manifest import TensorEntry
    from wardian.tensors.mapping import TensorMapping

__all__ = ["Weights"]


class Weights:
    """Read tensors of a mount.

    Args:
        path: The case, for messages.
        verify: Check what is read, unless that was done before.
        mmap: Map it from the file; else it is read.
    """

    def __init__(self, path: str, *, verify: bool, mmap: bool) -> None:
        self._path = path
        self._verify = verify
        self._mmap = mmap
        self._named: dict[str | None, dict[str, TensorEntry]] = {}

    def of(self, mount: Mount, entry: str | None = None, map_location: Any = None) -> TensorMapping:
        """Return the tensors of an entry point by name; without one, those of all.

        Raises:
            CodeNeededError: if the file is an archive of torch.package.
            CorruptCaseError: if the index of the tensors is damaged.
        """
        self._require_index(mount, entry)
        from wardian.tensors.mapping import TensorMapping, named_entries

        if entry not in self._named:  # whoever writes case.tensors[name] in a loop asks for each tensor
            self._named[entry] = named_entries(mount.manifest, entry, self._path)
        is_checked = self._verify and self._maps(mount)
        return TensorMapping(
            mount.archive,
            mount.manifest,
            self._named[entry],
            map_location=map_location,
            # Where each tensor is asked for by itself, none must hold a copy of the whole file.
            mapped=self._maps(mount) and not (entry is None and mount.archive.is_in_memory),
            verify=self._verify,
            check=mount.storages.check_those if is_checked else None,
            check_together=mount.storages.check_together if is_checked else None,
        )

    def prefetch(self, mount: Mount, patterns: Sequence[str]) -> int:
        """Bring tensors here whose names match a glob, in few large requests; without globs, all.

        Returns:
            How many match.

        Raises:
            KeyError: if a glob matches no name.
        """
        tensors = self.of(mount)
        chosen: dict[str, None] = {}
        for pattern in patterns or ("*",):
            found = fnmatch.filter(tensors, pattern)
            if not found and patterns:
                raise KeyError(f"{self._path} has no tensor {pattern!r}")
            chosen.update(dict.fromkeys(found))
        tensors.fetch(chosen)
        return len(chosen)

    def state_dict(
        self, mount: Mount, entry: str, map_location: Any, only: str | None
    ) -> dict[str, torch.Tensor]:
        """Return the state_dict of an entry point; with a glob, of it what matches."""
        tensors = self.of(mount, entry, map_location)
        matching = tensors if only is None else fnmatch.filter(tensors, only)
        names = [name for name in matching if tensors.describe(name).kind != "transient"]
        if mount.archive.absent():
            tensors.fetch(names)  # those of other entry points stay where they are
        elif self._verify and self._maps(mount):
            mount.storages.check_all()
        return tensors.read(names)

    def _maps(self, mount: Mount) -> bool:
        """Whether weights are mapped, or copied of what is in memory; else they are read from the file."""
        return self._mmap or mount.archive.is_in_memory

    def _require_index(self, mount: Mount, entry: str | None) -> None:
        """Refuse to look for tensors where only code tells which there are."""
        if mount.archive.kind == "torch.package":
            name = "" if entry is None else f", name={entry!r}"
            raise CodeNeededError(
                f"{self._path} is an archive of torch.package, which has no index of its tensors. Load the"
                f" object: wardian.load(path{name}).state_dict(), which runs its code; the command wardian"
                " weights writes what its modules hold without it. What wardian.pack makes has an index",
                path=self._path,
                tensor="",
            )
