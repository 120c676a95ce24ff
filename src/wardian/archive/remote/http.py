"""Files on HTTP servers, by ranges.

fsspec reads HTTP, too, but returns the whole body, silently, where a server ignores the range, and shows
neither status nor headers. What tells a change, and a refused range, is in those.
"""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError

from wardian.archive.remote.exchange import Exchange, Login
from wardian.archive.remote.netrc import login_of
from wardian.archive.remote.ranges import Span
from wardian.archive.remote.sources import ChangedError, Download, NoRangesError, Tail
from wardian.archive.remote.urls import shown
from wardian.errors import RemoteError

__all__ = ["HttpSource"]

_Result = TypeVar("_Result")
_Take = Callable[[urllib3.BaseHTTPResponse], _Result]

_PART = 1 << 20
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_COMPRESSIONS = frozenset({"gzip", "x-gzip", "deflate", "compress", "x-compress", "br", "zstd", "dcb", "dcz"})
"""https://www.iana.org/assignments/http-parameters. What else is named there leaves the bytes as they are."""


class HttpSource:
    """A file on an HTTP server.

    Args:
        url: Its URL; a user and a password in it are sent as basic authentication.
        headers: Sent with each request, and to no other host than that of the URL.
        login: What answers when the server asks who it is; None takes that as a refusal.
        refused: What helps if the server refuses, as a line for a message.
        label: What messages call it, if not the URL.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        login: Login | None = None,
        refused: str | None = None,
        label: str | None = None,
    ) -> None:
        self._shown = label or shown(url)
        self._version: str | None = None
        self._size: int | None = None
        self._end: tuple[int, bytes] | None = None
        """How many bytes of the end were read, and their SHA-256."""
        try:
            parsed = urllib3.util.parse_url(url)
        except LocationParseError:
            hint = (
                "; in a user and a password, / is written %2F, # %23, ? %3F and @ %40" if "@" in url else ""
            )
            raise RemoteError(f"{self._shown} is no URL that can be read{hint}", path=self._shown) from None
        if parsed.auth is not None:
            headers = {
                **headers,
                **urllib3.util.make_headers(basic_auth=unquote_to_bytes(parsed.auth).decode("latin-1")),
            }
            url = parsed._replace(auth=None).url
        self._refused = refused or (
            f"a user and a password for {parsed.host} go in ~/.netrc, and in Python other headers in"
            ' storage_options={"headers": {"Authorization": "…"}}'
        )
        self._exchange = Exchange(url, headers, login, label=label)

    @classmethod
    def of_options(cls, url: str, options: Mapping[str, Any]) -> HttpSource:
        """Return the source of a URL.

        Args:
            url: The URL.
            options: `headers`, or `client_kwargs` with `headers` in it, as fsspec has them.

        Raises:
            TypeError: if there are other options.
        """
        client = options.get("client_kwargs", {})
        unknown = [*(options.keys() - {"headers", "client_kwargs"}), *(client.keys() - {"headers"})]
        if unknown:
            raise TypeError(f"storage_options of http(s) are headers, and not {', '.join(sorted(unknown))}")
        headers = {**client.get("headers", {}), **options.get("headers", {})}
        if not any(name.lower() == "authorization" for name in headers):
            headers = {**login_of(url), **headers}
        return cls(url, headers)

    def tail(self, size: int, known: str | None = None) -> Tail | None:
        """Return the last bytes of the file, as `Source.tail`."""
        headers = {"Range": f"bytes=-{size}"} | ({"If-None-Match": known} if known else {})

        def take(response: urllib3.BaseHTTPResponse) -> Tail | int | None:
            if response.status == 304 and known is not None:
                return None
            total = _length(response)
            if response.status == 416 and response.headers.get("Content-Range") == "bytes */0":
                return Tail(0, response.headers.get("ETag"), b"")
            if response.status == 200 and total is not None and total > size:
                return total  # some servers know no range that counts from the end
            self._refuse(response, 200, 206)
            if response.status == 206:
                part, total = self._content_range(response)
                self._require_part(part, Span(max(0, total - size), total), f"the last {size} bytes")
            elif total is None:
                raise NoRangesError
            return Tail(total, response.headers.get("ETag"), self._body(response, min(size, total)))

        found = self._get(headers, take)
        if isinstance(found, int):
            self._size = found
            data = self.read(found - size, found)
            found = Tail(found, self._version, data)
        if found is None:
            self._version = known
        else:
            self._version, self._size = found.version, found.size
            self._end = len(found.data), hashlib.sha256(found.data).digest()
        return found

    def read(self, start: int, stop: int) -> bytes:
        """Return a range of bytes, as `Source.read`."""
        headers = {"Range": f"bytes={start}-{stop - 1}"}
        if self._version is not None and not self._version.startswith("W/"):
            headers["If-Match"] = self._version

        def take(response: urllib3.BaseHTTPResponse) -> bytes:
            if response.status in (412, 416):
                raise ChangedError
            if response.status == 200:
                self._require_version(response)
                raise NoRangesError
            self._refuse(response, 206)
            self._require_version(response)
            part, total = self._content_range(response)
            if self._size is not None and total != self._size:
                raise ChangedError
            self._require_part(part, Span(start, stop), f"the bytes {start} to {stop - 1}")
            self._size = total
            return self._body(response, stop - start)

        return self._get(headers, take)

    def download(self, take: Download) -> str | None:
        """Read the whole file, as `Source.download`."""

        def take_all(response: urllib3.BaseHTTPResponse) -> str | None:
            self._refuse(response, 200)
            total, offset = _length(response), 0
            for part in response.stream(_PART):
                take(offset, part, total)
                offset += len(part)
            return response.headers.get("ETag")

        self._version = self._get({}, take_all)
        return self._version

    def has_changed(self) -> bool:
        """Tell whether the end is another one, as `Source.has_changed`.

        If the server gives versions, every answer was compared.
        """
        if self._version is not None or self._end is None:
            return False
        size, digest = self._end
        try:
            found = self.tail(size)
        except NoRangesError:
            return False
        return found is not None and hashlib.sha256(found.data).digest() != digest

    def _get(self, headers: Mapping[str, str], take: _Take[_Result]) -> _Result:
        def take_plain(response: urllib3.BaseHTTPResponse) -> _Result:
            self._require_plain(response)
            return take(response)

        return self._exchange.ask(take_plain, headers=headers)

    def _require_plain(self, response: urllib3.BaseHTTPResponse) -> None:
        """Refuse what is compressed on the way: its sizes and parts are not those of the file."""
        named = response.headers.get("Content-Encoding", "")
        found = [name for each in named.split(",") if (name := each.strip().lower()) in _COMPRESSIONS]
        if found and response.status in (200, 206):
            raise RemoteError(
                f"{self._shown}: the server compresses what it sends ({found[0]}), though it was asked not"
                " to, so that no part of the file can be read; let it send .case files as they are",
                path=self._shown,
            )

    def _refuse(self, response: urllib3.BaseHTTPResponse, *fine: int) -> None:
        status = response.status
        if status in fine:
            return
        if status in (404, 410):
            raise FileNotFoundError(errno.ENOENT, f"there is no such file (HTTP {status})", self._shown)
        if status in (401, 403):
            raise PermissionError(
                errno.EACCES,
                f"the server refuses (HTTP {status}); {self._refused}",
                self._shown,
            )
        raise RemoteError(f"{self._shown} cannot be read: the server answers {status}", path=self._shown)

    def _require_version(self, response: urllib3.BaseHTTPResponse) -> None:
        version = response.headers.get("ETag")
        if self._version is None:
            self._version = version
        elif version is not None and version != self._version:
            raise ChangedError

    def _content_range(self, response: urllib3.BaseHTTPResponse) -> tuple[Span, int]:
        """Return which part an answer has, and the size of the file."""
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None:
            raise RemoteError(
                f"{self._shown}: the server sends a part and does not say which", path=self._shown
            )
        first, last, total = map(int, found.groups())
        return Span(first, last + 1), total

    def _require_part(self, part: Span, wanted: Span, words: str) -> None:
        if part != wanted:
            raise RemoteError(
                f"{self._shown}: the server was asked for {words} and sends {part.start} to {part.stop - 1}",
                path=self._shown,
            )

    def _body(self, response: urllib3.BaseHTTPResponse, size: int) -> bytes:
        """Read a body, whose size is known.

        Raises:
            HTTPError: if it has fewer bytes, which may be better the next time.
        """
        body = bytearray()
        for part in response.stream(_PART):
            body += part
            if len(body) > size:
                break
        if len(body) != size:
            raise HTTPError(f"{len(body):,} bytes came, and {size:,} were announced")
        return bytes(body)


def _length(response: urllib3.BaseHTTPResponse) -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isascii() and length.isdigit() and len(length) <= 18 else None
