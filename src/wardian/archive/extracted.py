"""The reader of archives that were extracted to a folder, to look at them or to edit them.

It has the methods of `ArchiveReader`. Nothing is checked against digests: who extracts an archive may mean
to change it. For the same reason bytecode is left out, which would hide what was edited.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, Self

from wardian.archive.content import open_regular, read_regular
from wardian.domain.digests import RecordDigest
from wardian.domain.names import RecordName, record_name
from wardian.domain.record_names import BYTECODE, EXTERN_MODULES, MANIFEST
from wardian.errors import NotACaseError

__all__ = ["FolderReader"]


class FolderReader:
    """Read an extracted archive.

    Args:
        folder: The folder that holds `.data`.

    Attributes:
        kind: `"case"`, or `"torch.package"`.
        path: The folder as an absolute path.
        label: What messages call it: the path.
        names: The records, sorted.
        digest: None: the content may change.
        manifest: The bytes of the manifest; empty for torch.package.

    Raises:
        NotADirectoryError: if *folder* is no folder.
        NotACaseError: if it does not hold an extracted archive, or has a file that no record can be.
    """

    kind: Literal["case", "torch.package"]
    path: Path
    names: tuple[RecordName, ...]
    digest: None = None
    is_in_memory = False
    reads_ahead = False
    manifest: bytes

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.path = Path(folder).absolute()
        self.label = str(self.path)
        try:
            self.names = tuple(sorted(_records(self.path)))
        except ValueError as error:
            raise self._refusal(str(error)) from None
        self._known = frozenset(self.names)
        if EXTERN_MODULES not in self._known:
            raise self._refusal(f"it has no {EXTERN_MODULES}")
        self.kind = "case" if MANIFEST in self._known else "torch.package"
        self.manifest = self.read(MANIFEST) if self.kind == "case" else b""

    @property
    def fingerprint(self) -> str:
        """Names the folder in this process."""
        return hashlib.sha256(os.fsencode(self.path)).hexdigest()

    @property
    def outline(self) -> str:
        """The same."""
        return self.fingerprint

    def expect(self, digests: Mapping[RecordName, RecordDigest]) -> None:
        """Do nothing: the content may change."""

    def __contains__(self, name: object) -> bool:
        """Say whether there is a record of this name."""
        return name in self._known

    def size(self, name: RecordName) -> int:
        """Return the size of a record in bytes.

        Raises:
            KeyError: if there is no such record.
        """
        return self._file(name).stat().st_size

    def read(self, name: RecordName) -> bytes:
        """Return the content of a record.

        Raises:
            KeyError: if there is no such record.
            NotACaseError: if it is a device, FIFO or socket by now.
        """
        return read_regular(self._file(name))

    def absent(self) -> frozenset[RecordName]:
        """Return the records that are not here: none."""
        return frozenset()

    def fetch(self, names: Iterable[RecordName]) -> None:
        """Do nothing: all records are here."""

    def location(self, name: RecordName) -> tuple[int, int]:
        """Return 0 and the size: every record is a file of its own.

        Raises:
            KeyError: if there is no such record.
        """
        return 0, self.size(name)

    def begins(self, name: RecordName, size: int) -> bytes:
        """Return the first *size* bytes of a record, or all that it has.

        Raises:
            KeyError: if there is no such record.
        """
        with os.fdopen(open_regular(self._file(name)), "rb") as file:
            return file.read(size)

    def is_unchanged(self) -> bool:
        """Return False: records have no place in one file."""
        return False

    def held(self) -> None:
        """Return None: no file is held open."""

    def close(self) -> None:
        """Do nothing: no file is held open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _refusal(self, reason: str) -> NotACaseError:
        return NotACaseError(
            f"'{self.path}' is a folder, but not an extracted archive: {reason}", path=str(self.path)
        )

    def _file(self, name: RecordName) -> Path:
        if name not in self._known:
            raise KeyError(name)
        return self.path / name


def _records(folder: Path) -> Iterator[RecordName]:
    if not folder.is_dir():
        raise NotADirectoryError(f"'{folder}' is not a folder")
    for place, _, files in os.walk(folder):
        relative = os.path.relpath(place, folder).replace(os.sep, "/")
        for file in files:
            name = file if relative == "." else f"{relative}/{file}"
            if not name.startswith(BYTECODE):
                yield record_name(name)
