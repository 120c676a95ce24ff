"""Where a name that a user gives becomes an open file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from wardian.archive import ArchiveReader
from wardian.archive.remote.urls import is_url, shown
from wardian.domain.manifest import Manifest
from wardian.reading.foreign import read_manifest
from wardian.reading.opening import open_archive, opened_anew

__all__ = ["name_of", "opened"]


def name_of(source: str) -> str:
    """Return a path as it is, and of a URL what may be shown."""
    return shown(source) if is_url(source) else source


@contextmanager
def opened(name: str, *, anew: bool = False) -> Iterator[tuple[ArchiveReader, Manifest]]:
    """Open a case, or an archive of torch.package, and read its manifest.

    Args:
        name: A path, or a URL.
        anew: Use no local copy of what is at a URL.

    Raises:
        OSError: if there is no such file, or a URL cannot be read.
        CaseError: if it is of another kind, damaged or newer than this Wardian.
    """
    with (opened_anew if anew else open_archive)(name) as archive:
        yield archive, read_manifest(archive)
