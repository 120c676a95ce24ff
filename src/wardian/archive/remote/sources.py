"""Sources of ranges of bytes of one file that lies elsewhere."""

from __future__ import annotations

from typing import NamedTuple, Protocol

__all__ = ["ChangedError", "Download", "NoRangesError", "Source", "Tail"]


class Tail(NamedTuple):
    """The end of a file."""

    size: int
    """Size of the file in bytes."""
    version: str | None
    """Tells the content from an earlier or later one of the same URL; None where the server gives nothing."""
    data: bytes
    """The last bytes of the file."""


class Download(Protocol):
    """Takes the whole of a file in parts, in order; called with an offset of 0 it begins anew."""

    def __call__(self, offset: int, part: bytes, total: int | None, /) -> None:
        """Take a part: where it begins, its bytes, and the size of the file if it is known."""


class NoRangesError(Exception):
    """The server sends all of the file whatever range is asked for; nothing of it was read."""


class ChangedError(Exception):
    """The file is another one than when its end was read."""


class Source(Protocol):
    """One file that lies elsewhere; many threads read it at once.

    An implementation repeats what may pass (a broken connection, a short body, a busy server), and raises
    `FileNotFoundError`, `PermissionError` or `RemoteError`, without the secrets of the URL.
    """

    def tail(self, size: int, known: str | None = None) -> Tail | None:
        """Return the last bytes of the file; what is read afterwards must be of this very file.

        Args:
            size: How many bytes.
            known: The version that the caller has.

        Returns:
            None if that is still the version.

        Raises:
            NoRangesError: if the server gives no parts.
        """

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from *start* to *stop*, no fewer.

        Raises:
            NoRangesError: as for `tail`.
            ChangedError: if the file is another one by now.
        """

    def download(self, take: Download) -> str | None:
        """Read the whole file; return its version."""

    def has_changed(self) -> bool:
        """Tell whether the file is another one by now, as far as `read` cannot see that."""
