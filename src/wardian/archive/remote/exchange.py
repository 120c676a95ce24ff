"""Requests over HTTP: repeated while what goes wrong may pass, and told without secrets."""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import (
    HTTPError,
    LocationValueError,
    MaxRetryError,
    NameResolutionError,
    ResponseError,
)

from wardian.archive.remote.pace import TooSlowError, pace
from wardian.archive.remote.redirects import NowhereError
from wardian.archive.remote.urls import redact, shown
from wardian.errors import RemoteError
from wardian.forks import new_lock

__all__ = ["Body", "Exchange", "Login", "is_loopback"]

Body = Callable[[], bytes | Iterable[bytes]]
"""Returns what a request sends, from its start."""

_Result = TypeVar("_Result")

_BUSY = frozenset({408, 429, 500, 502, 503, 504})
_LONGEST_WAIT = 30.0
_AT_ONCE = 8
_TRIES = 6


class _Retry(urllib3.Retry):
    """Waits no longer than half a minute, whatever a server asks for."""

    def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
        try:
            wanted = super().get_retry_after(response)
        except (HTTPError, ValueError, OverflowError):
            return None  # what is no time says nothing
        return None if wanted is None else min(wanted, _LONGEST_WAIT)


class Login(Protocol):
    """Knows what a server wants that answers 401."""

    def answer(self, challenges: list[str]) -> str | None:
        """Return the value of `Authorization`, None if there is none that would help.

        Args:
            challenges: The values of `WWW-Authenticate`.
        """


class Exchange:
    """Requests to one server, from many threads.

    Args:
        url: What is asked for, if a request names nothing else.
        headers: Sent with each request, and to no other host than that of the URL.
        login: Asked when the server answers 401; None takes that as the answer.
        failing: What a message says of the URL if no answer comes.
        label: What messages call it, if not the URL.
        secrets: Texts that no message shows, besides those in the URL and the headers.

    Attributes:
        backoff: Seconds before the second repetition; it doubles with each further one.
    """

    backoff = 0.25

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        login: Login | None = None,
        *,
        failing: str = "cannot be read",
        label: str | None = None,
        secrets: Mapping[str, Any] | None = None,
    ) -> None:
        self._failing = failing
        self._url = url
        self._shown = label or shown(url)
        self._headers = {"Accept-Encoding": "identity", **headers}
        self._secrets: dict[str, Any] = {"headers": dict(headers), "others": secrets or {}}
        self._login = login
        self._logging_in = new_lock()
        self._pools: tuple[int, urllib3.PoolManager] | None = None
        self._redirects = urllib3.Retry(
            total=None,
            connect=0,
            read=0,
            status=0,
            other=0,
            redirect=5,
            remove_headers_on_redirect=[*urllib3.Retry.DEFAULT_REMOVE_HEADERS_ON_REDIRECT, *headers],
        )

    # Above 60 lines: it is one loop, and each way through it decides whether to ask once more.
    def ask(
        self,
        take: Callable[[urllib3.BaseHTTPResponse], _Result],
        *,
        method: str = "GET",
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
    ) -> _Result:
        """Make a request; repeat it while what went wrong may pass.

        Args:
            take: Called with the answer; what urllib3 raises in it may pass, too.
            method: Of the request.
            url: What is asked for.
            headers: Sent as well.
            body: What is sent, anew for each repetition.

        Raises:
            RemoteError: if no answer comes, or the server stays busy.
        """
        retries: urllib3.Retry = _Retry(
            total=_TRIES,
            backoff_factor=self.backoff,
            backoff_jitter=self.backoff / 2,
            allowed_methods=None,  # all: what is written twice is the same
        )
        reason = ""
        may_log_in, may_pass = self._login is not None, True
        while True:
            response = None
            sent = {**self._headers, **(headers or {})}
            try:
                # Repeating is done here: urllib3 logs the URL when it repeats, and that may hold a secret.
                response = self._pool().request(
                    method,
                    url or self._url,
                    headers=sent,
                    body=None if body is None else body(),
                    preload_content=False,
                    retries=self._redirects,
                )
                if response.status == 401 and may_log_in:
                    may_log_in = False
                    if self._logs_in(sent.get("Authorization"), response):
                        continue
                if response.status not in _BUSY:
                    return take(response)
                reason = f"the server answers {response.status} {self.told(response.reason or '')}".rstrip()
                failed: Exception | None = None
            except HTTPError as error:
                failed = error.reason if isinstance(error, MaxRetryError) and error.reason else error
                reason = self.told(_words(failed))
            finally:
                if response is not None:
                    response.close()
            if isinstance(failed, _CANNOT_PASS):
                break
            if failed is not None and _is_lasting(failed, url or self._url):
                if not may_pass:
                    break
                may_pass = False
                time.sleep(self.backoff)
                continue
            try:
                retries = retries.increment(method, self._shown, response, failed)
            except HTTPError:
                break
            retries.sleep(response)
        raise RemoteError(f"{self._shown} {self._failing}: {reason}", path=self._shown)

    def told(self, text: str) -> str:
        """Return what a server says for a message: one line, without what was sent to it in confidence."""
        return redact(text, self._url, {**self._secrets, "sent": self._headers.get("Authorization", "")})

    def _logs_in(self, sent: str | None, response: urllib3.BaseHTTPResponse) -> bool:
        """Find what the server wants; tell whether another request has better chances."""
        assert self._login is not None
        with self._logging_in:
            if self._headers.get("Authorization") != sent:
                return True  # another thread was faster
            found = self._login.answer(response.headers.getlist("WWW-Authenticate"))
            if found is None or found == sent:
                return False
            self._headers["Authorization"] = found
            return True

    def _pool(self) -> urllib3.PoolManager:
        # After a fork two processes would read from one connection.
        if self._pools is None or self._pools[0] != os.getpid():
            self._pools = os.getpid(), self._new_pool()
        return self._pools[1]

    def _new_pool(self) -> urllib3.PoolManager:
        timeout = urllib3.Timeout(connect=10, read=30)
        parts = urlsplit(self._url)
        proxy = urllib.request.getproxies().get(parts.scheme)
        if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
            place = urllib3.util.parse_url(proxy if "://" in proxy else f"http://{proxy}")
            return pace(
                urllib3.ProxyManager(
                    place._replace(auth=None).url,
                    proxy_headers=urllib3.util.make_headers(proxy_basic_auth=place.auth)
                    if place.auth
                    else None,
                    maxsize=_AT_ONCE,
                    timeout=timeout,
                )
            )
        return pace(urllib3.PoolManager(maxsize=_AT_ONCE, timeout=timeout))


def is_loopback(host: str | None) -> bool:
    """Tell whether a host is this machine, as far as its name says.

    >>> is_loopback("localhost"), is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("models.example")
    (True, True, True, False)
    """
    if host is None or host == "localhost":
        return host is not None
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_CANNOT_PASS = (NowhereError, LocationValueError, ResponseError)
"""Errors about text that is no URL, and about redirects that lead nowhere, or round and round."""


def _is_lasting(error: Exception, url: str) -> bool:
    """Tell whether waiting helps little: nothing listens here, nobody knows the host, or bytes drip."""
    if isinstance(error, NameResolutionError) or any(isinstance(item, TooSlowError) for item in error.args):
        return True
    cause = error.__cause__
    return (
        isinstance(cause, OSError)
        and cause.errno == errno.ECONNREFUSED
        and is_loopback(urlsplit(url).hostname)
    )


def _words(error: Exception) -> str:
    """Return what went wrong, without the object that urllib3 puts before it."""
    inner = next((item for item in error.args if isinstance(item, Exception)), None)
    text = str(inner or error)
    return re.sub(r"^<?[\w.]+\([^)]*\)>?: |^\([^)]*\): ", "", text) or type(error).__name__
