"""The least speed of a server: one that sends a byte now and then would hold a load for ever.

A time limit of a socket counts from byte to byte. Here the bytes that come are compared with the seconds
that they were waited for; what is done with them in between does not count.
"""

from __future__ import annotations

import http.client
import io
import os
import time
import warnings
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from wardian.archive.remote.redirects import CheckedPool
from wardian.errors import WardianWarning

__all__ = ["SPEED_VARIABLE", "TooSlowError", "WINDOW", "least_speed", "pace", "time_for"]

SPEED_VARIABLE = "WARDIAN_MIN_SPEED"
"""Environment variable: bytes that must come in a second, on the average of `WINDOW`; 0 for no limit."""

WINDOW = 30.0
"""Seconds of waiting after which the speed is looked at."""

_LEAST = 1024.0
_clock = time.monotonic


class TooSlowError(OSError):
    """A server sends fewer bytes than it must."""

    def __init__(self, least: float) -> None:
        super().__init__(
            f"fewer than {least:,.0f} bytes come in a second; {SPEED_VARIABLE} sets another limit"
        )


def least_speed() -> float:
    """Return the bytes that must come in a second, as the environment says, else 1,024."""
    text = os.environ.get(SPEED_VARIABLE, "").strip()
    try:
        least = float(text or _LEAST)
        if least >= 0:
            return least
    except ValueError:
        pass
    warnings.warn(
        f"{SPEED_VARIABLE} is {text!r:.60} and must be a number of bytes, or 0; {_LEAST:.0f} counts",
        WardianWarning,
        stacklevel=2,
    )
    return _LEAST


def time_for(size: int) -> float | None:
    """Return the seconds that so many bytes may take, None if there is no limit."""
    least = least_speed()
    return WINDOW + size / least if least else None


class _Paced(io.RawIOBase):
    """The bytes that come from a socket, with a limit on how slowly they may come."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self._least = least_speed()
        self._begun = False
        self._came, self._waited = 0, 0.0

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def readinto(self, buffer: Any) -> int | None:
        before = _clock()
        count: int | None = self._raw.readinto(buffer)
        if not self._begun:  # how long the first byte may take is the socket's limit
            self._begun = True
            return count
        self._waited += _clock() - before
        self._came += count or 0
        if self._waited >= WINDOW and count:
            if self._came < self._least * self._waited:
                raise TooSlowError(self._least)
            self._came, self._waited = 0, 0.0
        return count

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._raw.close()


class _Answer(http.client.HTTPResponse):
    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.fp = io.BufferedReader(_Paced(self.fp.detach()))


class _Connection(HTTPConnection):
    response_class = _Answer


class _SecureConnection(HTTPSConnection):
    response_class = _Answer


class _Pool(CheckedPool):
    ConnectionCls = _Connection


class _SecurePool(CheckedPool, urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def pace(manager: urllib3.PoolManager) -> urllib3.PoolManager:
    """Let the answers of all connections that a manager makes from now on keep the least speed.

    Returns:
        The manager. Too slow an answer is an `HTTPError` with a `TooSlowError` among its arguments.
    """
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return manager
