"""Objects of TorchScript in an archive: PyTorch's serializer makes their records, Wardian writes them.

PyTorch writes TorchScript only through its own ZIP writer. Here that writer writes to a sink that takes the
records out of the stream as they come, so that storages go straight into the archive and are numbered,
and shared, together with those of tensors.
"""

from __future__ import annotations

import io
import os
import pickletools
import re
import zipfile
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import IO, Any, cast

import torch
from torch.storage import UntypedStorage

from wardian.archive import ArchiveReader, FolderReader
from wardian.archive.layout import DEFLATED, LOCAL, LOCAL_SIGNATURE
from wardian.archive.writer import ArchiveWriter
from wardian.domain.names import RecordName, record_name
from wardian.domain.record_names import BYTE_ORDER, OF_PYTORCH, SCRIPTS, is_storage, storage_record
from wardian.tensors.script_pickles import in_one_form
from wardian.tensors.storages import StorageWriter, device_by

__all__ = ["ScriptingStorageWriter", "device_for_scripts", "open_draft_for_scripts", "open_for_scripts"]

_DESCRIPTOR = b"PK\x07\x08"
_HAS_DESCRIPTOR = 0x08
_READ_BY_PYTORCH = (BYTE_ORDER, "version", ".format_version")
"""Records outside of `.data` that its reader looks at."""
_DIRECTORY = (b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06")


def open_for_scripts(archive: ArchiveReader | FolderReader) -> torch._C.PyTorchFileReader:
    """Open *archive* with PyTorch's own reader, which knows CRC-32, no digests, and no folders.

    A folder is put together in memory.

    Raises:
        CorruptCaseError: if one of the records that it reads by itself was damaged or altered. Storages are
            checked where they are loaded.
    """
    if isinstance(archive, FolderReader):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as zipped:
            for name in archive.names:
                zipped.writestr(f"archive/{name}", archive.read(name))
        buffer.seek(0)
        return torch._C.PyTorchFileReader(buffer)
    for name in archive.names:
        if name in _READ_BY_PYTORCH or (name.startswith(OF_PYTORCH) and not is_storage(name)):
            archive.verify(name)
    return torch._C.PyTorchFileReader(cast("IO[bytes]", _Opened(archive)))


class _Opened(io.RawIOBase):
    """The file that was opened and checked, for PyTorch's reader: a path may lead to another by now."""

    def __init__(self, archive: ArchiveReader) -> None:
        self._archive = archive
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        starts = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: len(self._archive)}
        self._position = max(0, starts[whence] + offset)
        return self._position

    def readinto(self, target: Any) -> int:
        self._archive.require_whole()
        part = self._archive.part(self._position, self._position + memoryview(target).nbytes)
        memoryview(target).cast("B")[: len(part)] = part
        self._position += len(part)
        return len(part)


def device_for_scripts(archive: ArchiveReader | FolderReader, map_location: Any) -> Any:
    """Return what PyTorch is told where objects of TorchScript go: it takes one device, or None for theirs.

    Args:
        archive: Where they are.
        map_location: As for `torch.load`.

    Raises:
        ValueError: if a dictionary or function sends them to several devices.
    """
    if map_location is None or isinstance(map_location, str | torch.device):
        return map_location
    locations = {
        argument
        for name in archive.names
        if _SCRIPT_PICKLE.fullmatch(name)
        for _, argument, _ in pickletools.genops(archive.read(name))
        if isinstance(argument, str) and _LOCATION.fullmatch(argument)
    }
    placed = device_by(map_location)
    devices = {str(placed(location)) for location in locations}
    if len(devices) > 1:
        raise ValueError(
            "objects of TorchScript go to one device, and map_location sends them to"
            f" {', '.join(sorted(devices))}"
        )
    return next(iter(devices), None)


_SCRIPT_PICKLE = re.compile(rf"{re.escape(SCRIPTS)}[0-9]+/data\.pkl")
_LOCATION = re.compile(r"(?:cpu|cuda|xpu|mps|mtia|hpu|meta|privateuseone)(?::[0-9]+)?")
"""How TorchScript writes where a storage was; a text of the user's that looks so does no harm."""


def open_draft_for_scripts(path: Path) -> torch._C.PyTorchFileReader:
    """Open a file that is not a case yet, but holds all records of TorchScript."""
    return torch._C.PyTorchFileReader(str(path))


class _Sink:
    """A file that is written to as a ZIP archive, and keeps the records.

    PyTorch's writer makes one call for each part of a record: header, name, extra field, content (several
    if it is deflated), and a data descriptor that says how long the content was.
    """

    def __init__(self, archive: ArchiveWriter) -> None:
        self._archive = archive
        self._parts = self._read()
        next(self._parts)
        self.records: dict[RecordName, bytes] = {}
        self.storages = 0
        """Number of storages in the archive."""
        self.offsets: dict[str, tuple[int, int]] = {}
        """Places of the storages that came through here: number → (offset in the file, size in bytes)."""

    def write(self, part: memoryview) -> int:
        size = len(part)
        if size:
            self._parts.send(part)
        return size

    def flush(self) -> None:
        """Do nothing."""

    def _read(self) -> Generator[None, memoryview]:
        part = yield
        while True:
            if bytes(part[:4]) in _DIRECTORY:
                while True:  # the rest repeats what is known
                    yield
            if len(part) != LOCAL.size or bytes(part[:4]) != LOCAL_SIGNATURE:
                raise _unexpected()
            header = LOCAL.unpack(part)
            flags, method, name_length, extra_length = header[2], header[3], header[-2], header[-1]
            part = yield
            name = record_name(bytes(part).decode().partition("/")[2])
            if len(part) != name_length:
                raise _unexpected()
            if extra_length:
                part = yield
                if len(part) != extra_length:
                    raise _unexpected()
            part = yield
            written = 0
            kept: list[bytes] = []
            # miniz writes no descriptor of a record that is empty.
            while flags & _HAS_DESCRIPTOR and not (
                bytes(part[:4]) == _DESCRIPTOR and _describes(part, written)
            ):
                written += len(part)
                if is_storage(name) and method != DEFLATED:
                    if kept or name != storage_record(self.storages):
                        raise _unexpected()
                    # The part is PyTorch's own memory, gone when this call returns.
                    self._add(part)
                    kept.append(b"")
                else:
                    kept.append(bytes(part))
                part = yield
            content = b"".join(kept)
            if is_storage(name):
                if not kept:
                    self._add(b"")
            else:
                self.records[name] = (
                    zlib.decompress(content, -zlib.MAX_WBITS) if method == DEFLATED else content
                )
            if flags & _HAS_DESCRIPTOR:
                part = yield

    def _add(self, content: bytes | memoryview) -> None:
        offset = self._archive.add_storage(content, len(content))
        self.offsets[str(self.storages)] = offset, len(content)
        self.storages += 1


def _describes(part: memoryview, written: int) -> bool:
    """Tell whether *part* is the data descriptor after *written* bytes."""
    width = {16: 4, 24: 8}.get(len(part))
    return width is not None and int.from_bytes(part[8 : 8 + width], "little") == written


def _unexpected() -> RuntimeError:
    return RuntimeError(
        f"torch {torch.__version__} writes TorchScript in a way that is not known; please report it"
    )


class ScriptingStorageWriter(StorageWriter):
    """A writer of storages that shares them, and their numbers, with TorchScript.

    Args:
        archive: Where storages go.
    """

    def __init__(self, archive: ArchiveWriter) -> None:
        super().__init__(archive)
        self._sink: _Sink | None = None
        self._serializer: Any = None
        self._context: Any = None
        self._finished = False

    @property
    def serializer(self) -> Any:
        """PyTorch's serializer of TorchScript; made, with what is known so far, when it is first needed."""
        if self._finished:
            raise TypeError("objects of TorchScript must be part of what is packed first")
        if self._serializer is None:
            self._sink = _Sink(self._archive)
            self._zip = torch._C.PyTorchFileWriter(self._sink)  # type: ignore[call-overload]
            self._serializer = torch._C.ScriptModuleSerializer(self._zip)
            self._context = self._serializer.storage_context()
            for _, storage in self._known.values():
                self._context.get_or_add_storage(storage)
            self._sink.storages = len(self._known)
            self._sink.offsets = self.offsets
        return self._serializer

    def _number(self, storage: UntypedStorage) -> str:
        if self._sink is None:
            return super()._number(storage)
        return str(self._context.get_or_add_storage(storage))

    def add(self, storage: UntypedStorage) -> str:
        """Write *storage* unless it, or TorchScript, was written with it before; return its number."""
        if self._sink is None or storage._cdata in self._known:
            return super().add(storage)
        if self._context.has_storage(storage):  # TorchScript brought it
            key = self._number(storage)
            self._known[storage._cdata] = (key, storage)
            return key
        key = super().add(storage)
        self._sink.storages += 1
        return key

    def key_of(self, tensor: torch.Tensor) -> str | None:
        """Return the number of the storage of *tensor*, or None if it was not written."""
        key = super().key_of(tensor)
        if key is not None or self._sink is None:
            return key
        storage = tensor.untyped_storage()
        return self._number(storage) if self._context.has_storage(storage) else None

    def finish_scripts(self) -> dict[RecordName, bytes]:
        """Return the records that TorchScript makes beside its storages. No more TorchScript can follow."""
        if self._sink is None:
            return {}
        if not self._finished:
            self._finished = True
            self._serializer.write_files()
            self._zip.write_end_of_file()
        records = self._sink.records
        return in_one_form({name: data for name, data in records.items() if name.startswith(SCRIPTS)})
