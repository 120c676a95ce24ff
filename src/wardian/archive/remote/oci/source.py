"""Ranges of a case in a registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wardian.archive.remote.http import HttpSource
from wardian.archive.remote.oci.modelpack import Blob, find_case
from wardian.archive.remote.oci.registry import Registry
from wardian.archive.remote.sources import Download, Tail
from wardian.errors import NotACaseError

__all__ = ["OciSource"]


class OciSource:
    """A case in a registry; its version is the digest of the layer.

    Args:
        url: `oci://registry/name[:tag][@sha256:…]`.
        options: `storage_options`.
    """

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self._registry = Registry(url, options)
        self._found: tuple[Blob, HttpSource] | None = None

    def tail(self, size: int, known: str | None = None) -> Tail | None:
        """Return the last bytes of the file, as `Source.tail`."""
        self._found = None  # the tag may have moved
        blob, source = self._blob()
        if blob.digest == known:
            return None
        found = source.tail(size)
        assert found is not None
        return found._replace(version=blob.digest)

    def read(self, start: int, stop: int) -> bytes:
        """Return a range of bytes, as `Source.read`."""
        return self._blob()[1].read(start, stop)

    def download(self, take: Download) -> str | None:
        """Read the whole file, as `Source.download`."""
        blob, source = self._blob()
        source.download(take)
        return blob.digest

    def has_changed(self) -> bool:
        """Return False: what is asked for by its digest does not change."""
        return False

    def _blob(self) -> tuple[Blob, HttpSource]:
        """Find the layer; only the first time is the registry asked."""
        if self._found is None:
            registry = self._registry
            blob = find_case(registry.manifest()[1])
            if isinstance(blob, str):
                raise NotACaseError(f"{registry.shown} {registry.told(blob)}", path=registry.shown)
            source = HttpSource(
                registry.blob_url(blob.digest),
                {},
                login=registry.login,
                refused=registry.refused,
                label=registry.shown,
            )
            self._found = blob, source
        return self._found
