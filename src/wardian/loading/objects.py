"""One load of one pickle of an open archive."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from wardian.domain.names import RecordName
from wardian.errors import CaseError, CorruptCaseError
from wardian.loading.importing.mount import Mount
from wardian.pickling.listing import named_storages
from wardian.pickling.unpickler import calling_importer, unpickle

if TYPE_CHECKING:
    import types

    from wardian.tensors.storages import StorageReader

__all__ = ["Loading"]


class Loading:
    """Load one object; nothing is shared with other loads, so threads may load at once.

    It also is what functions of `__reduce_package__` get as their importer, where there is no other.

    Args:
        mount: The mount that serves the modules.
        map_location: As for `torch.load`.
        importer: What those functions get.
        verify: Check the weights, unless that was done before.
        mapped: Map them from the file; else they are read, and what is read is checked.
    """

    def __init__(
        self,
        mount: Mount,
        map_location: Any = None,
        importer: Any = None,
        *,
        verify: bool = True,
        mapped: bool = True,
    ) -> None:
        self._mount = mount
        self._verify = verify
        self._mapped = mapped or mount.archive.is_in_memory
        self._importer = importer  # Not this: what holds itself, and storages, waits for the collector.
        self._map_location = map_location

    @cached_property
    def last_map_location(self) -> Any:
        """Where objects of TorchScript go, which PyTorch asks for by this name."""
        from wardian.tensors.scripts import device_for_scripts

        return device_for_scripts(self._mount.archive, self._map_location)

    @cached_property
    def storages(self) -> StorageReader:
        """Makes the storages of this load."""
        from wardian.tensors.storages import StorageReader

        return StorageReader.of(
            self._mount.archive, self._map_location, mapped=self._mapped, verify=self._verify
        )

    def load(self, record: str) -> Any:
        """Return the object of a pickle.

        Raises:
            KeyError: if there is no such record.
            CorruptCaseError: if the pickle refers to storages that are not there, or to what no reader knows.
            CaseError: if PyTorch has no way to make a tensor on the meta device.
            UntrustedCaseError: if a policy refuses the code of the case.
        """
        self._mount.gate.require()
        from wardian.tensors.storages import is_meta, load_from_bytes, restoring

        data = self._mount.archive.read(RecordName(record))
        self._prepare_storages(data, is_meta=is_meta(self._map_location))

        def persistent_load(pid: Any) -> Any:
            try:
                return self.storages.persistent_load(pid)
            except CorruptCaseError:
                raise
            except (ValueError, KeyError) as error:
                raise corrupt(error) from None

        def corrupt(error: Exception) -> CorruptCaseError:
            path = self._mount.archive.label
            return CorruptCaseError(f"{path}: {record}: {error}", path=path, record=record)

        def find_global(module: str, qualname: str) -> Any:
            if (module, qualname) == ("torch.storage", "_load_from_bytes") and self._map_location is not None:
                return load_from_bytes(self._map_location)  # else they go where they were
            return self._mount.find_global(module, qualname)

        try:
            with restoring(self._map_location):
                loaded = unpickle(
                    data,
                    find_global=find_global,
                    persistent_load=calling_importer(
                        persistent_load, self if self._importer is None else self._importer
                    ),
                )
        except NotImplementedError as error:
            if not is_meta(self._map_location):
                raise
            path = self._mount.archive.label
            raise CaseError(
                f"{path}: PyTorch cannot make all of {record} on the meta device, which has no quantised and"
                f" no nested tensors: load it without map_location ({str(error).partition('. ')[0]})",
                path=path,
            ) from error
        try:
            self.storages.check_sizes()
        except ValueError as error:
            raise corrupt(error) from None
        return loaded

    def _prepare_storages(self, data: bytes, *, is_meta: bool) -> None:
        """Bring what a pickle uses here, and check what is not checked while it is read."""
        archive, checks = self._mount.archive, self._mount.storages
        is_partial = bool(archive.absent())
        if is_partial or archive.reads_ahead:
            # Only what this object uses comes here, all of it in one plan.
            named = () if is_meta else named_storages(data)
            used = [name for name in named if name in archive]
            archive.fetch(used)
            if is_partial and self._verify:
                checks.check_those(used)
        if not is_partial and self._verify and self._mapped and not is_meta:
            checks.check_all()

    def import_module(self, name: str) -> types.ModuleType:
        """Import a packed module by the dotted name it had when it was packed."""
        return self._mount.import_module(name)

    def load_binary(self, package: str, resource: str) -> bytes:
        """Return the content of a file that the object wrote."""
        return self._mount.archive.read(RecordName(f"{package.replace('.', '/')}/{resource}"))

    def load_text(self, package: str, resource: str, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the content of a text file that the object wrote."""
        return self.load_binary(package, resource).decode(encoding, errors)

    @cached_property
    def zip_reader(self) -> Any:
        """The archive as PyTorch's own reader, which loads objects of TorchScript."""
        from wardian.tensors.scripts import open_for_scripts

        self._mount.gate.require()
        if self._verify:  # PyTorch reads storages of TorchScript by itself
            self._mount.storages.check_all()
        return open_for_scripts(self._mount.archive)

    @property
    def storage_context(self) -> Any:
        """The table by which objects of TorchScript share storages with tensors of this load."""
        return self.storages.script_context
