"""A case to a registry: its layer, the configuration, and last the manifest, with which all is there."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlencode, urljoin, urlsplit

import urllib3

from wardian.archive.remote.copies import Told
from wardian.archive.remote.exchange import Body
from wardian.archive.remote.oci.modelpack import MANIFEST_TYPE, Blob, PackFacts, config_of, manifest_of
from wardian.archive.remote.oci.registry import Registry

__all__ = ["upload"]

_CHUNK = 64 << 20
"""Bytes that go in one request. What is larger goes in several, which many proxies ask for, and of which only
the last is lost if the line breaks."""
_PART = 1 << 20
_LEAST = re.compile(r"\d{1,18}")
_RANGE = re.compile(r"(?:bytes=)?0-(\d{1,18})")


def upload(path: str, url: str, facts: PackFacts, options: Mapping[str, Any], told: Told) -> str:
    """Put a case into a registry.

    Args:
        path: The file.
        url: `oci://registry/name[:tag]`.
        facts: What the documents say about it.
        options: `storage_options`.
        told: Called with the bytes that went.

    Returns:
        The URL with the digest of the manifest.

    Raises:
        PermissionError: if the registry wants somebody else.
        RemoteError: if it cannot be written.
    """
    registry = Registry(url, options, "pull,push")
    size = os.stat(path).st_size
    with Path(path).open("rb") as file:
        case = Blob(f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}", size)
        try:
            _put_blob(registry, case, lambda start, stop: _part(file, start, stop), told)
        finally:
            told(0, 0)
    config = config_of(facts, case)
    config_blob = Blob(f"sha256:{hashlib.sha256(config).hexdigest()}", len(config))
    _put_blob(registry, config_blob, lambda start, stop: config[start:stop], lambda done, total: None)
    manifest = manifest_of(facts, config_blob, case)
    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    if registry.reference.digest not in (None, digest):
        raise registry.error(f"what is pushed has the digest {digest}")

    def take(response: urllib3.BaseHTTPResponse) -> None:
        registry.refuse(response, 201)

    registry.ask(
        take,
        method="PUT",
        url=f"{registry.reference.base}/manifests/{registry.reference.digest or registry.reference.wanted}",
        headers={"Content-Type": MANIFEST_TYPE},
        body=lambda: manifest,
    )
    return registry.reference.pinned(digest)


_Read = Callable[[int, int], bytes]


def _part(file: BinaryIO, start: int, stop: int) -> bytes:
    file.seek(start)
    return file.read(stop - start)


def _put_blob(registry: Registry, blob: Blob, read: _Read, told: Told) -> None:
    def is_there(response: urllib3.BaseHTTPResponse) -> bool:
        if response.status != 404:
            registry.refuse(response, 200)
        return response.status == 200

    if registry.ask(is_there, method="HEAD", url=registry.blob_url(blob.digest)):
        return
    if blob.size > _CHUNK and _put_in_chunks(registry, blob, read, told):
        return
    _finish(registry, _begin(registry)[0], blob, lambda: _parts(blob.size, read, told), blob.size)


def _begin(registry: Registry) -> tuple[str, int]:
    """Begin an upload; return where it goes, and how large a chunk must be."""

    def take(response: urllib3.BaseHTTPResponse) -> tuple[str, int]:
        registry.refuse(response, 202)
        least = response.headers.get("OCI-Chunk-Min-Length", "")
        return _location(registry, response), int(least) if _LEAST.fullmatch(least) else 0

    url = f"{registry.reference.base}/blobs/uploads/"
    return registry.ask(take, method="POST", url=url, headers={"Content-Length": "0"})


def _location(registry: Registry, response: urllib3.BaseHTTPResponse) -> str:
    found = response.headers.get("Location")
    if not found:
        raise registry.error("the registry does not say where an upload goes")
    try:
        return urljoin(f"{registry.reference.base}/blobs/uploads/", found)
    except ValueError:
        raise registry.error("the registry does not say where an upload goes") from None


def _finish(
    registry: Registry,
    place: str,
    blob: Blob,
    body: Body,
    size: int,
) -> None:
    def take(response: urllib3.BaseHTTPResponse) -> None:
        registry.refuse(response, 201)

    query = "&".join(part for part in (urlsplit(place).query, urlencode({"digest": blob.digest})) if part)
    registry.ask(
        take,
        method="PUT",
        url=urlsplit(place)._replace(query=query).geturl(),
        headers={"Content-Type": "application/octet-stream", "Content-Length": str(size)},
        body=body,
    )


def _put_in_chunks(registry: Registry, blob: Blob, read: _Read, told: Told) -> bool:
    """Upload in several requests; return whether the registry takes that."""
    place, least = _begin(registry)
    chunk = max(_CHUNK, least)
    start = 0
    while start < blob.size:
        went = _put_chunk(registry, place, start, read(start, min(blob.size, start + chunk)))
        if went is None:
            return False
        place, so_far = went
        if so_far <= start:
            raise registry.error(f"the registry keeps no more than {start:,} bytes of {blob.size:,}")
        start = so_far
        told(start, blob.size)
    _finish(registry, place, blob, lambda: b"", 0)
    return True


def _put_chunk(registry: Registry, place: str, start: int, content: bytes) -> tuple[str, int] | None:
    """Send one chunk; return where the next one goes, and how much the registry has.

    None if it is the first one, and the registry takes only one request with all of it.
    """

    def take(response: urllib3.BaseHTTPResponse) -> tuple[str, int] | None:
        if response.status == 416:  # it has another part than we know, because an answer was lost
            return place, _so_far(registry, place)
        if start == 0 and response.status not in (202, 401, 403):
            return None
        registry.refuse(response, 202)
        return _location(registry, response), _end(response, start + len(content))

    return registry.ask(
        take,
        method="PATCH",
        url=place,
        headers={
            "Content-Type": "application/octet-stream",
            "Content-Length": str(len(content)),
            "Content-Range": f"{start}-{start + len(content) - 1}",
        },
        body=lambda: content,
    )


def _end(response: urllib3.BaseHTTPResponse, otherwise: int) -> int:
    found = _RANGE.fullmatch(response.headers.get("Range", ""))
    return int(found[1]) + 1 if found else otherwise


def _so_far(registry: Registry, place: str) -> int:
    """Ask how much of an upload the registry has."""

    def take(response: urllib3.BaseHTTPResponse) -> int:
        registry.refuse(response, 204)
        return _end(response, 0)

    return registry.ask(take, url=place)


def _parts(size: int, read: _Read, told: Told) -> Iterator[bytes]:
    """Return the parts of a file as they are sent, and tell of each."""
    for start in range(0, size, _PART):
        stop = min(size, start + _PART)
        yield read(start, stop)
        told(stop, size)
