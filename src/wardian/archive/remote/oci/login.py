"""Logging in to a registry: with a password, or a token that another service gives.

The protocol is docker's: https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import parse_http_list

import urllib3

from wardian.archive.remote.exchange import Exchange, is_loopback
from wardian.archive.remote.oci.credentials import Credentials
from wardian.archive.remote.oci.documents import read_json

__all__ = ["RegistryLogin"]

_CLIENT = "wardian"
_LARGEST = 1 << 20
"""Bytes of the answer of a service of tokens."""
_TOKEN = re.compile(r"[!-~]+")
"""A token that a header can carry: a line break would begin another header."""


class RegistryLogin:
    """Answers a registry that asks who it is.

    Args:
        find: Returns who asks; called at the first question, since it may run a program.
        scope: What is wanted, in docker's words: `repository:user/resnet18:pull`.
        plain: Whether a password may go to a service of tokens without TLS.
    """

    def __init__(self, find: Callable[[], Credentials], scope: str, *, plain: bool) -> None:
        self._find = find
        self._credentials: Credentials | None = None
        self._scope = scope
        self._plain = plain

    def answer(self, challenges: list[str]) -> str | None:
        """Return the value of `Authorization`, as `Login.answer`."""
        if self._credentials is None:
            self._credentials = self._find()
        if self._credentials.token is not None:
            return f"Bearer {self._credentials.token}"
        for challenge in challenges:
            scheme, _, words = challenge.partition(" ")
            if scheme.lower() == "bearer":
                token = self._token(_parameters(words))
                return None if token is None else f"Bearer {token}"
            if scheme.lower() == "basic" and self._credentials.user is not None:
                return self._basic()["authorization"]
        return None

    def _basic(self) -> dict[str, str]:
        assert self._credentials is not None
        user, password = self._credentials[:2]
        return urllib3.util.make_headers(basic_auth=f"{user}:{password or ''}")

    def _token(self, challenge: dict[str, str]) -> str | None:
        """Ask the service of tokens that the registry names."""
        assert self._credentials is not None
        try:
            realm = urlsplit(challenge.get("realm", ""))
        except ValueError:  # a bracket in the host
            return None
        if realm.scheme != "https" and not (
            realm.scheme == "http" and (self._plain or is_loopback(realm.hostname))
        ):
            return None
        question = {"service": challenge.get("service", ""), "scope": self._scope}

        def take(response: urllib3.BaseHTTPResponse) -> str | None:
            return _token_of(response.read(_LARGEST)) if response.status == 200 else None

        if self._credentials.identity is not None:
            form = {
                **question,
                "grant_type": "refresh_token",
                "client_id": _CLIENT,
                "refresh_token": self._credentials.identity,
            }
            return self._exchange(realm.geturl(), {}).ask(
                take,
                method="POST",
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                body=urlencode(form).encode,
            )
        headers = {} if self._credentials.user is None else self._basic()
        query = "&".join(part for part in (realm.query, urlencode(question)) if part)
        return self._exchange(realm._replace(query=query).geturl(), headers).ask(take)

    def _secrets(self) -> dict[str, str | None]:
        return {} if self._credentials is None else self._credentials._asdict()

    def _exchange(self, url: str, headers: dict[str, str]) -> Exchange:
        return Exchange(url, headers, failing="gives no token", secrets=self._secrets())


def _parameters(words: str) -> dict[str, str]:
    """Return what a challenge says, as `urllib.request.parse_keqv_list`, without what is no `name=value`.

    >>> _parameters('realm="https://auth.example/token",,service=models,=')
    {'realm': 'https://auth.example/token', 'service': 'models', '': ''}
    """
    pairs = (part.partition("=") for part in parse_http_list(words))
    return {name: value.removeprefix('"').removesuffix('"') for name, mark, value in pairs if mark}


def _token_of(body: bytes) -> str | None:
    try:
        told: Any = read_json(body)
    except ValueError:
        return None
    found = (told.get("token") or told.get("access_token")) if isinstance(told, dict) else None
    return found if isinstance(found, str) and _TOKEN.fullmatch(found) else None
