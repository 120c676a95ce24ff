"""Files on the Hugging Face Hub: its client finds the file and the commit, the bytes come by HTTP ranges."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from wardian.archive.remote.filesystems import missing
from wardian.archive.remote.http import HttpSource
from wardian.archive.remote.urls import redact, shown
from wardian.errors import RemoteError

__all__ = ["HubFile", "hub_source", "parse_hub_url"]

_HUB = re.compile(
    r"hf://(?:(?P<kind>datasets|spaces|models)/)?(?P<repo>[^/@]+/[^/@]+)"
    r"(?:@(?P<revision>refs/(?:pr|convert)/[^/]+|[^/]+))?(?:/(?P<path>.*))?"
)


class HubFile(NamedTuple):
    """A file of a repository on the Hub."""

    repo: str
    """`user/name`."""
    kind: str | None
    """None for a model, `dataset` or `space`."""
    revision: str | None
    path: str
    """Empty if the URL names the repository."""


def parse_hub_url(url: str) -> HubFile:
    """Return what an `hf://` URL names, as `huggingface_hub.HfFileSystem` reads it.

    Raises:
        RemoteError: if it is none.

    >>> parse_hub_url("hf://me/resnet@v1.0/model.case")
    HubFile(repo='me/resnet', kind=None, revision='v1.0', path='model.case')
    """
    found = _HUB.fullmatch(url)
    if found is None:
        raise RemoteError(
            f"{shown(url)} is no URL of the Hub; it must be hf://user/repository[@revision]/path",
            path=shown(url),
        )
    kind = found["kind"]
    revision = found["revision"]
    return HubFile(
        found["repo"],
        None if kind in (None, "models") else kind.removesuffix("s"),
        None if revision is None else unquote(revision),
        (found["path"] or "").strip("/"),
    )


def hub_source(url: str, options: Mapping[str, Any]) -> HttpSource:
    """Return the source of a file on the Hub, at the commit that its revision is now.

    Args:
        url: `hf://user/repository[@revision]/path`; without a path, its `model.case`.
        options: `token` and `endpoint`, as `huggingface_hub.HfFileSystem` takes them.

    Raises:
        FileNotFoundError: if there is no such file.
        PermissionError: if it is not for everybody, and the token does not open it.
        RemoteError: if the client is not installed, or the Hub cannot be reached.
    """
    unknown = options.keys() - {"token", "endpoint"}
    if unknown:
        raise TypeError(f"storage_options of hf:// are token and endpoint, not {', '.join(sorted(unknown))}")
    place = parse_hub_url(url)
    try:
        from huggingface_hub import get_hf_file_metadata, hf_hub_url
        from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]
    except ImportError as error:
        raise missing(url, error) from None

    def address(revision: str | None) -> str:
        return hf_hub_url(
            place.repo,
            place.path or "model.case",
            repo_type=place.kind,
            revision=revision,
            endpoint=options.get("endpoint"),
        )

    def ask(*, patiently: bool) -> Any:
        return get_hf_file_metadata(
            address(place.revision),
            token=options.get("token"),
            endpoint=options.get("endpoint"),
            retry_on_errors=patiently,
        )

    try:
        try:
            facts = ask(patiently=False)
        except (EntryNotFoundError, RevisionNotFoundError, RepositoryNotFoundError):
            raise
        except Exception as error:  # noqa: BLE001  whatever its HTTP client raises
            # Patience is half a minute, too long for a host that nobody knows.
            facts = ask(patiently=not _is_unknown_host(error))
        headers = build_hf_headers(token=options.get("token"), library_name="wardian")
        return HttpSource(
            address(facts.commit_hash), headers, refused="hf auth login, or storage_options with a token"
        )
    except Exception as error:  # noqa: BLE001  whatever its HTTP client raises
        problem = _problem_of(error, url, options)
    raise problem from None


def _problem_of(error: Exception, url: str, options: Mapping[str, Any]) -> Exception:
    """Return what to raise for an error of the Hub's client."""
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    match error:
        case GatedRepoError():
            return PermissionError(
                13, "the Hub asks to accept the terms of this repository first", shown(url)
            )
        case EntryNotFoundError() | RevisionNotFoundError():
            return FileNotFoundError(2, "there is no such file, or no such revision, on the Hub", shown(url))
        case RepositoryNotFoundError():
            return FileNotFoundError(
                2, "there is no such repository on the Hub, or the token does not open it", shown(url)
            )
    words = redact(str(error) or type(error).__name__, url, options)
    return RemoteError(f"{shown(url)} cannot be read: {words}", path=shown(url))


def _is_unknown_host(error: BaseException | None) -> bool:
    """Tell whether what the client raises comes from a name that nobody resolves."""
    while error is not None and not isinstance(error, socket.gaierror):
        error = error.__cause__ or error.__context__
    return error is not None
