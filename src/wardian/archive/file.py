"""The file of an archive: which one it is, and its bytes."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from wardian.archive.content import Content, FileParts
from wardian.archive.digests import digest_of
from wardian.archive.refusals import Refusals

__all__ = ["ArchiveFile"]


class ArchiveFile:
    """The file that was opened, whatever its path leads to by now; a context manager.

    Args:
        content: Its bytes, which are closed with it.
        label: What messages call it, if it is not its path.

    Attributes:
        path: The file as an absolute path; None if it was read from memory.
        label: What messages call it: the path, `<memory>`, or a URL.
    """

    path: Path | None
    label: str
    _block = 32 << 20
    """Bytes that are read at once of what is not mapped."""

    def __init__(self, content: Content, label: str | None = None) -> None:
        self.path = content.path
        self.label = label or str(content.path or "<memory>")
        self._refusals = Refusals(content.path, label)
        self._content = content
        self._closed = False
        self._view = memoryview(content.data) if not isinstance(content.data, FileParts) else None

    def sha256(self) -> str:
        """Return the SHA-256 of the whole file, in hexadecimal digits; it is read to its end."""
        self._require_opened()
        hasher = hashlib.sha256()
        for start in range(0, self._content.size, self._block):
            hasher.update(self._part(start, min(start + self._block, self._content.size)))
        return hasher.hexdigest()

    def is_unchanged(self) -> bool:
        """Say whether `path` still leads to the file that was opened."""
        return self._content.is_at_path()

    def find_place(self) -> str | None:
        """Return a path by which another process can open the very file; None if there is none.

        Where the file was removed, or another has its name by now, Linux shows what this process holds.
        """
        if self.is_unchanged():
            return str(self.path)
        if self.descriptor is None or not sys.platform.startswith("linux"):
            return None
        return f"/proc/{os.getpid()}/fd/{self.descriptor}"

    @property
    def stem(self) -> str:
        """The name of the file without its ending, which names of packages begin with."""
        return "memory" if self.path is None else self.path.stem

    @property
    def descriptor(self) -> int | None:
        """The file that was opened, to be read or mapped; None if there was none."""
        return self._content.descriptor

    def held(self) -> tuple[int, int] | None:
        """Return device and inode of the file that was opened; None if there was none."""
        status = self._content.status()
        return None if status is None else (status.st_dev, status.st_ino)

    def stamp(self) -> str | None:
        """Return what tells the file from others, and from itself after a change; None if it is in memory."""
        now = self._content.identity(at_path=True)
        return None if now is None else ":".join(map(str, now))

    def identity(self) -> str | None:
        """Return the same of the open file as it is by now, wherever its path leads."""
        now = self._content.identity()
        return None if now is None else ":".join(map(str, now))

    @property
    def is_in_memory(self) -> bool:
        """Whether all was read when it was opened: what happens to the file does not change it."""
        return isinstance(self._content.data, bytes)

    def reload(self) -> None:
        """Take what the file holds by now, if it was read when it was opened; its structure stays.

        Raises:
            CorruptCaseError: if it was cut short.
        """
        if not self._content.reload():
            raise self._refusals.corrupt("it was cut short since it was opened")
        if isinstance(self._content.data, bytes):
            self._view = memoryview(self._content.data)

    @property
    def content_digest(self) -> str:
        """The BLAKE3 of all that was read of a file that is in memory."""
        assert isinstance(self._content.data, bytes)
        return digest_of(self._content.data, "blake3").hex

    def whole(self) -> bytes | memoryview:
        """Return the content of the archive; without copying it where it is mapped or in memory."""
        self._require_opened()
        return self._part(0, self._content.size)

    def part(self, start: int, stop: int) -> bytes | memoryview:
        """Return what lies at these places of the archive, unchecked; as `whole`."""
        self._require_opened()
        return self._part(start, stop)

    def require_whole(self) -> None:
        """Check that the file is as long as it was: to use what is mapped behind its end kills the process.

        Raises:
            CorruptCaseError: if it was cut short.
        """
        if self._content.is_cut():
            raise self._refusals.corrupt("it was cut short since it was opened")

    def __len__(self) -> int:
        """Return the size of the archive in bytes."""
        return self._content.size

    def close(self) -> None:
        """Let the file go; every other method then raises `ClosedCaseError`.

        A view that is in use all the same stays valid and keeps the file mapped.
        """
        self._closed = True
        self._view = None
        self._content.close()

    def __enter__(self) -> Self:
        self._require_opened()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _require_opened(self) -> None:
        if self._closed:
            raise self._refusals.closed()

    def _part(self, start: int, stop: int) -> bytes | memoryview:
        """Return what lies at these places of the archive."""
        return self._raw_part(start, stop)

    def _raw_part(self, start: int, stop: int) -> bytes | memoryview:
        """Return it as it is in the file."""
        # Threads hold the view they were given; one that is closed meanwhile still works to the end.
        view, data = self._view, self._content.data
        if view is not None:
            return view[start:stop]
        self._require_opened()
        assert isinstance(data, FileParts)
        return data[start:stop]
