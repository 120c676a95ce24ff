"""Where a name that a user gives becomes an open archive: a path, content in memory, or a URL.

What only URLs need is imported for them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from wardian.archive import ArchiveReader
from wardian.archive.remote import COPY
from wardian.archive.remote.urls import is_url, scheme_of, stem_of
from wardian.errors import DigestMismatchError

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

__all__ = ["ArchiveSource", "open_archive", "opened_anew"]

ArchiveSource = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""Types by which a user can name a case."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


def open_archive(
    source: ArchiveSource,
    *,
    digest: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    mapped: bool = True,
    ahead: bool = False,
) -> ArchiveReader:
    """Open a case, or an archive of torch.package, and check its structure.

    Args:
        source: A path, a URL, the content itself, or a binary file.
        digest: The digest that it must have: all 64 hexadecimal digits.
        storage_options: For a URL, what fsspec's file system for it takes.
        mapped: As for `ArchiveReader.open`.
        ahead: Of a URL, begin to read weights with the code, since all will be needed.

    Raises:
        ValueError: if *digest* is none.
        DigestMismatchError: if the file has another one.
        CaseError, OSError: as for `ArchiveReader.open`; a URL that cannot be read is a `RemoteError`.
    """
    if digest is not None and not _DIGEST.fullmatch(digest):
        raise ValueError(f"a digest has 64 hexadecimal digits in lower case; {digest!r:.80} is none")
    if is_url(source) and scheme_of(source) == "file":
        from urllib.request import url2pathname

        source = url2pathname(urlsplit(source).path)
    if is_url(source):
        archive = _open_remote(source, digest, storage_options or {}, mapped=mapped, ahead=ahead)
    elif storage_options:
        raise TypeError("storage_options are for a URL, and this is none")
    else:
        archive = _open_copy(source, mapped=mapped) or ArchiveReader.open(source, mapped=mapped)
    if digest is not None and archive.fingerprint != digest:
        found, label = archive.fingerprint, archive.label
        archive.close()
        raise DigestMismatchError(
            f"{label} is not the case that was asked for: its digest is {found}, not {digest}",
            path=label,
            expected=digest,
            found=found,
        )
    return archive


def _open_copy(source: ArchiveSource, *, mapped: bool) -> ArchiveReader | None:
    """Open a local copy of which something is missing, None if *source* is no path of such."""
    if not isinstance(source, (str, os.PathLike)) or os.path.basename(os.fsdecode(source)) != COPY:
        return None
    from wardian.archive.remote.copies import LocalCopy
    from wardian.archive.remote.opening import Opening, open_copy_at
    from wardian.environment.cache import Lock

    path = Path(os.fsdecode(source)).absolute()
    if not LocalCopy.is_partial(path):
        return None
    return open_copy_at(path, Opening(folder=path.parents[1], hold=Lock, mapped=mapped))


@contextmanager
def opened_anew(source: ArchiveSource) -> Iterator[ArchiveReader]:
    """Open what a URL leads to now, without a local copy; other sources as `open_archive` does.

    Args:
        source: As for `open_archive`.

    Raises:
        CaseError, OSError: as for `open_archive`.
    """
    if not is_url(source) or scheme_of(source) == "file":
        with open_archive(source) as archive:
            yield archive
        return
    import tempfile

    from wardian.environment.cache import cache_folder

    # Beside the copies, where there is room for large files.
    with (
        tempfile.TemporaryDirectory(prefix="verifying-", dir=cache_folder()) as folder,
        _open_remote(source, None, {}, mapped=True, ahead=False, folder=Path(folder)) as archive,
    ):
        yield archive


_temporary: list[TemporaryDirectory[str]] = []
"""Where copies go without a cache folder."""


def _open_remote(
    url: str,
    digest: str | None,
    options: Mapping[str, Any],
    *,
    mapped: bool,
    ahead: bool,
    folder: Path | None = None,
) -> ArchiveReader:
    import tempfile

    from wardian.archive.remote.copies import room_in
    from wardian.archive.remote.opening import Opening, open_remote
    from wardian.environment.cache import Lock, cache_folder, keep_within_bounds, make_private
    from wardian.reading.arriving import Arriving

    cache = cache_folder()
    if folder is not None:
        pass
    elif cache is None:
        # As long as the process runs: objects use what was mapped.
        _temporary.append(tempfile.TemporaryDirectory(prefix="wardian-"))
        folder = Path(_temporary[-1].name)
    else:
        keep_within_bounds(cache)
        folder = cache / "remote"
        with room_in(folder):
            make_private(folder)
    told = Arriving(stem_of(url))
    opening = Opening(
        folder=folder, hold=Lock, options=options, mapped=mapped, ahead=ahead, told=told, waiting=_waiting
    )
    return open_remote(url, digest, opening)


@contextmanager
def _waiting(label: str) -> Iterator[None]:
    """Say after two seconds what is waited for, if standard error is a terminal or a notebook's."""
    from wardian.reporters import reporting

    with reporting(None) as observer:
        observer.stage(f"waiting for {label}")
        yield
