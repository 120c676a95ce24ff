"""Which texts are URLs, and how a URL is shown: without what may be a secret."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, TypeGuard
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from wardian.wording import printable

__all__ = ["is_url", "redact", "scheme_of", "shown", "stem_of", "url_key"]

# At least two letters, so that a drive of Windows is none.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(?:://|::)")
_CHAIN = re.compile(r"::(?=[A-Za-z][A-Za-z0-9+.-]+(?:://|::|$))")
"""The joint between the URLs of a chain; a password may have two colons as well."""
_SHORTEST_SECRET = 6
_LONGEST_TOLD = 500
"""Characters of what a server says."""

_BUCKET = re.compile(r"[^/@:?#]*/")
_HOST = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+/")
_AT_IN_PATH = {
    "hf": re.compile(r"[^/@:?#]+/[^@?#]+@"),  # here it begins a revision
    "oci": re.compile(r"[^@?#]+@sha256:[0-9a-f]*$"),
    "http": _HOST,
    "https": _HOST,
}
"""Scheme → how what follows `://` begins if an @ in its path is no end of a user and a password. All others
have a bucket there."""


def is_url(source: object) -> TypeGuard[str]:
    """Tell whether what a user names as a case is a URL, rather than a path.

    >>> is_url("s3://models/resnet18.case"), is_url("C:/models/resnet18.case"), is_url("resnet18.case")
    (True, False, False)
    """
    return isinstance(source, str) and _URL.match(source) is not None


def scheme_of(url: str) -> str:
    """Return the scheme of a URL in lower case: of a chain (`simplecache::s3://…`) the first."""
    return re.split("::|://", url, maxsplit=1)[0].lower()


def shown(url: str) -> str:
    """Return a URL for messages: without user, password, query and fragment, which may hold secrets.

    A password may have characters that should have been escaped. What may be one is left out, to the last @.

    >>> shown("https://me:word@models.example:8443/resnet18.case?X-Amz-Signature=abc")
    'https://models.example:8443/resnet18.case'
    >>> shown("https://me:pass/word@models.example/resnet18.case")
    'https://…@models.example/resnet18.case'
    """
    return "::".join(_shown_part(part) for part in _CHAIN.split(url))


def _shown_part(url: str) -> str:
    start, user, rest = _split_user(url)
    try:
        parts = urlsplit(start + rest)
    except ValueError:  # a bracket in the host
        return scheme_of(url) + "://…"
    mark = "…@" if re.search("[/?#]", user) else ""
    return urlunsplit(parts._replace(netloc=mark + parts.netloc, query="", fragment=""))


def _split_user(url: str) -> tuple[str, str, str]:
    """Return a URL in three parts: up to `://`, what may be a user and a password, and what follows the @."""
    scheme, slashes, rest = url.partition("://")
    how = _AT_IN_PATH.get(scheme.lower(), _BUCKET)
    at = -1 if how.match(rest) else rest.rfind("@")
    return scheme + slashes, rest[: max(at, 0)], rest[at + 1 :]


def stem_of(url: str) -> str:
    """Return the name of the file that a URL names, without its ending.

    >>> stem_of("https://models.example/resnet18.case?download=1")
    'resnet18'
    >>> stem_of("oci://registry.example/models/resnet18:v1.2")
    'resnet18'
    """
    name = PurePosixPath(shown(url).rpartition("://")[2]).name
    if scheme_of(url) == "oci":  # here it is the repository that has a name
        return re.split("[:@]", name, maxsplit=1)[0] or "remote"
    return PurePosixPath(name).stem or "remote"


def url_key(url: str) -> str:
    """Return a name for what is known of a URL: a SHA-256, because the URL may hold a secret."""
    try:
        parts = [urlsplit(part) for part in url.split("::")]
        plain = "::".join(urlunsplit(part._replace(fragment="")) for part in parts)
    except ValueError:  # a bracket in the host; whoever connects tells it
        plain = url
    return hashlib.sha256(plain.encode()).hexdigest()


def redact(text: str, url: str, options: Mapping[str, Any]) -> str:
    """Return what another library says, without the secrets that a URL or options hold.

    Args:
        text: The text.
        url: The URL.
        options: `storage_options`, and headers; every text in it may be a secret.

    Returns:
        One line, of which a terminal obeys nothing.
    """
    text = text.replace(url, shown(url))
    for secret in sorted({*_secrets_of(url), *_texts(options)}, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "…")
    text = re.sub(r"https?://[^\s'\"]+", lambda found: shown(found[0]), text)
    text = printable(" ".join(text.split()))
    return text if len(text) <= _LONGEST_TOLD else f"{text[:_LONGEST_TOLD]}…"


def _secrets_of(url: str) -> list[str]:
    start, user, rest = _split_user(url)
    try:
        query = urlsplit(start + rest).query
    except ValueError:
        query = ""
    found = [
        user,
        *user.split(":", 1),
        *re.split("[:/?#@]", user),
        query,
        *(value for _, value in parse_qsl(query)),
    ]
    return [*found, *map(unquote, found)]


def _texts(value: Any) -> list[str]:
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        return [value, *_credentials(value)]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list | tuple | set | frozenset):
        return [text for item in value for text in _texts(item)]
    return []


def _credentials(header: str) -> list[str]:
    """Return what follows the scheme in a value of `Authorization`, and what is in it."""
    scheme, _, rest = header.partition(" ")
    found = [rest.strip()]
    if scheme.lower() == "basic":
        try:
            plain = base64.b64decode(rest).decode("latin-1")
        except binascii.Error:
            return found
        found += [plain, *plain.split(":", 1)]
    return found
