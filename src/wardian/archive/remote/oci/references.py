"""References to a case in a registry: the parts of an `oci://` URL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from wardian.archive.remote.exchange import is_loopback
from wardian.archive.remote.urls import shown
from wardian.errors import RemoteError

__all__ = ["OPTIONS", "Reference"]

# https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_OCI = re.compile(
    rf"oci://(?P<host>[A-Za-z0-9._-]+(?::\d+)?|\[[0-9a-fA-F:]+\](?::\d+)?)/(?P<name>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_API_HOSTS = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
"""Registries whose requests go to another host than their name says."""

OPTIONS = frozenset({"username", "password", "token", "plain_http"})
"""Keys that `storage_options` may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An artifact in a registry."""

    host: str
    """With its port, as the URL has it."""
    name: str
    """Name of the repository: `user/resnet18`."""
    tag: str | None
    digest: str | None
    """Digest of the manifest: `sha256:` and 64 digits."""
    base: str
    """Where the repository is, as an HTTP URL."""

    @classmethod
    def of(cls, url: str, options: Mapping[str, Any]) -> Reference:
        """Return what a URL names.

        Args:
            url: `oci://registry/name[:tag][@sha256:…]`.
            options: `storage_options`; with `plain_http` the registry is asked without TLS, which is so by
                itself on this machine only.

        Raises:
            RemoteError: if it is no such URL.
            TypeError: if there are other options.
        """
        unknown = options.keys() - OPTIONS
        if unknown:
            raise TypeError(
                f"storage_options of oci:// are {', '.join(sorted(OPTIONS))}, not"
                f" {', '.join(sorted(unknown))}"
            )
        found = _OCI.fullmatch(url)
        if found is None:
            raise RemoteError(
                f"{shown(url)} is no URL of a registry; it must be oci://registry/name:tag, or"
                " oci://registry/name@sha256:…, the name in lower case",
                path=shown(url),
            )
        host = found["host"]
        plain = options.get("plain_http", is_loopback(urlsplit(f"//{host}").hostname))
        base = f"{'http' if plain else 'https'}://{_API_HOSTS.get(host, host)}/v2/{found['name']}"
        return cls(host=host, name=found["name"], tag=found["tag"], digest=found["digest"], base=base)

    @property
    def wanted(self) -> str:
        """Return the digest, else the tag; without both the tag is `latest`."""
        return self.digest or self.tag or "latest"

    def pinned(self, digest: str) -> str:
        """Return the URL of one manifest, whatever the tag is later."""
        tag = "" if self.tag is None else f":{self.tag}"
        return f"oci://{self.host}/{self.name}{tag}@{digest}"
