"""Files that lie beside a case, at its name with an ending: on the disk, or at a URL."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit, urlunsplit

from wardian.archive.remote.urls import is_url, scheme_of

if TYPE_CHECKING:
    from wardian.reading.opening import ArchiveSource

__all__ = ["SUFFIX", "name_beside", "read_signature_file"]

SUFFIX = ".sig"
_LARGEST = 1 << 20
"""Bytes of a file of signatures; that of an RSA key of 16,384 bits takes 6 KB."""


def name_beside(source: ArchiveSource, suffix: str = SUFFIX) -> str | None:
    """Return the path or URL of what lies beside a case; None if that was read from memory.

    >>> name_beside("resnet18.case"), name_beside("https://models.example/resnet18.case?token=abc")
    ('resnet18.case.sig', 'https://models.example/resnet18.case.sig?token=abc')
    """
    if is_url(source):
        *chain, last = source.split("::")
        parts = urlsplit(last)
        return "::".join([*chain, urlunsplit(parts._replace(path=parts.path + suffix))])
    if isinstance(source, str | os.PathLike):
        return os.fsdecode(source) + suffix
    name = getattr(source, "name", None)
    return name + suffix if isinstance(name, str) else None


def read_signature_file(
    source: ArchiveSource,
    signature: str | os.PathLike[str] | bytes | None,
    options: Mapping[str, Any],
    suffix: str = SUFFIX,
) -> bytes:
    """Return the content of the file of signatures of a case.

    Args:
        source: What the case was opened by.
        signature: Where the file is, or its content; None for beside the case.
        options: For a URL, what fsspec's file system for it takes.
        suffix: The ending of the file beside the case.

    Raises:
        FileNotFoundError: if there is none.
        OSError: if it cannot be read, or is larger than any such file.
    """
    if isinstance(signature, bytes):
        return signature
    place = name_beside(source, suffix) if signature is None else os.fspath(signature)
    if place is None:
        what = "content in memory has no file of signatures beside it; pass signature="
        raise FileNotFoundError(errno.ENOENT, what, "<memory>" + suffix)
    if not is_url(place):
        return _read_file(Path(place))
    if scheme_of(place) == "file":
        from urllib.request import url2pathname

        return _read_file(Path(url2pathname(urlsplit(place).path)))
    return _read_url(place, options)


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return _read_bounded(file, str(path))


def _read_bounded(file: BinaryIO, name: str) -> bytes:
    content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise _too_large(name)
    return content


def _too_large(name: str) -> OSError:
    return OSError(errno.EFBIG, f"more than {_LARGEST >> 20} MiB: it is no file of signatures", name)


def _read_url(url: str, options: Mapping[str, Any]) -> bytes:
    from wardian.archive.remote.connecting import connect
    from wardian.archive.remote.sources import NoRangesError
    from wardian.archive.remote.urls import shown

    source = connect(url, options)
    try:
        tail = source.tail(_LARGEST + 1)
        parts = [b"" if tail is None else tail.data]
    except NoRangesError:
        parts = []

        def take(offset: int, part: bytes, total: int | None) -> None:
            if not offset:
                parts.clear()
            if max(total or 0, offset + len(part)) > _LARGEST:
                raise _too_large(shown(url)) from None
            parts.append(part)

        source.download(take)
    content = b"".join(parts)
    if len(content) > _LARGEST:
        raise _too_large(shown(url))
    return content
