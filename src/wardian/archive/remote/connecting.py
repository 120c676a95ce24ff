"""Which source serves a URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wardian.archive.remote.sources import Source
from wardian.archive.remote.urls import scheme_of

__all__ = ["connect"]


def connect(url: str, options: Mapping[str, Any]) -> Source:
    """Return the source of a URL. No request is made yet.

    Args:
        url: The URL.
        options: `storage_options`, in the words of fsspec's file system for the scheme.

    Raises:
        RemoteError: if what the scheme needs is not installed, or nothing knows it.
    """
    scheme = scheme_of(url)
    if scheme in ("http", "https"):
        from wardian.archive.remote.http import HttpSource

        return HttpSource.of_options(url, options)
    if scheme == "hf":
        from wardian.archive.remote.hub import hub_source

        return hub_source(url, options)
    if scheme == "oci":
        from wardian.archive.remote.oci.source import OciSource

        return OciSource(url, options)
    from wardian.archive.remote.filesystems import FileSystemSource

    return FileSystemSource(url, options)
