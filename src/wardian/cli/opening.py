"""Where a name that a user gives becomes an open file: the one place that later learns of URLs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from wardian.archive import ArchiveReader
from wardian.live.foreign import read_manifest
from wardian.manifest import Manifest

__all__ = ["opened"]


@contextmanager
def opened(name: str) -> Iterator[tuple[ArchiveReader, Manifest]]:
    """Open a case, or an archive of torch.package, and read its manifest.

    Args:
        name: A path.

    Raises:
        OSError: if there is no such file.
        CaseError: if it is of another kind, damaged or newer than this Wardian.
    """
    with ArchiveReader.open(os.fspath(name)) as archive:
        yield archive, read_manifest(archive)
