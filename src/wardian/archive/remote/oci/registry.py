"""Requests to a registry: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import urllib3

from wardian.archive.remote.exchange import Body, Exchange
from wardian.archive.remote.oci.credentials import find_credentials
from wardian.archive.remote.oci.documents import read_json
from wardian.archive.remote.oci.login import RegistryLogin
from wardian.archive.remote.oci.modelpack import MANIFEST_TYPE
from wardian.archive.remote.oci.references import Reference
from wardian.archive.remote.urls import shown
from wardian.errors import RemoteError

__all__ = ["Registry"]

_Result = TypeVar("_Result")
_INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
_LARGEST_MANIFEST = 4 << 20
"""Bytes that registries must take (distribution-spec, "Pushing Manifests"), and need not exceed."""


class Registry:
    """A repository in a registry.

    Args:
        url: `oci://registry/name[:tag][@sha256:…]`.
        options: `storage_options`.
        actions: What is wanted: `pull`, or `pull,push`.
    """

    def __init__(self, url: str, options: Mapping[str, Any], actions: str = "pull") -> None:
        self.reference = Reference.of(url, options)
        self.shown = shown(url)
        self._failing = "cannot be read" if actions == "pull" else "cannot be written"
        self.login = RegistryLogin(
            lambda: find_credentials(self.reference.host, options),
            f"repository:{self.reference.name}:{actions}",
            plain=bool(options.get("plain_http")),
        )
        self.refused = (
            f"docker login {self.reference.host}, or storage_options with username and password, or a token"
        )
        self._exchange = Exchange(
            self.reference.base,
            {},
            self.login,
            failing=self._failing,
            label=self.shown,
            secrets=options,
        )

    def manifest(self) -> tuple[str, Any]:
        """Return the digest of the manifest that the reference leads to, and the document.

        Raises:
            FileNotFoundError: if there is none.
            PermissionError: if the registry wants somebody else.
            RemoteError: if it cannot be read, or is not that of the digest.
        """

        def take(response: urllib3.BaseHTTPResponse) -> bytes:
            self.refuse(response, 200)
            return response.read(_LARGEST_MANIFEST + 1)

        url = f"{self.reference.base}/manifests/{self.reference.wanted}"
        body = self.ask(take, url=url, headers={"Accept": f"{MANIFEST_TYPE}, {_INDEX_TYPE}"})
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        if self.reference.digest not in (None, digest):
            raise self.error(f"the registry sends a manifest with the digest {digest}")
        try:
            return digest, read_json(body)
        except ValueError:
            raise self.error("the registry sends a manifest that is no JSON") from None

    def blob_url(self, digest: str) -> str:
        """Return where a blob is."""
        return f"{self.reference.base}/blobs/{digest}"

    def ask(
        self,
        take: Callable[[urllib3.BaseHTTPResponse], _Result],
        *,
        method: str = "GET",
        url: str,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
    ) -> _Result:
        """Make a request, as `Exchange.ask`."""
        return self._exchange.ask(take, method=method, url=url, headers=headers, body=body)

    def refuse(self, response: urllib3.BaseHTTPResponse, *fine: int) -> None:
        """Raise if an answer has none of the statuses that are fine.

        Raises:
            FileNotFoundError, PermissionError, RemoteError: as the status says.
        """
        status = response.status
        if status in fine:
            return
        if status == 404:
            raise FileNotFoundError(
                errno.ENOENT, "there is no such artifact in the registry (HTTP 404)", self.shown
            )
        if status in (401, 403):
            raise PermissionError(
                errno.EACCES, f"the registry refuses (HTTP {status}); {self.refused}", self.shown
            )
        words = self.told(_words(response))
        raise self.error(f"the registry answers {status} {words}".rstrip())

    def told(self, text: str) -> str:
        """Return what the registry says for a message, as `Exchange.told`."""
        return self._exchange.told(text)

    def error(self, reason: str) -> RemoteError:
        """Return what is raised if something is wrong."""
        return RemoteError(f"{self.shown} {self._failing}: {reason}", path=self.shown)


def _words(response: urllib3.BaseHTTPResponse) -> str:
    """Return what the registry says of its refusal."""
    try:
        first = read_json(response.read(_LARGEST_MANIFEST))["errors"][0]
        return f"({first['code']}: {first['message']})"
    except (ValueError, LookupError, TypeError):
        return ""
