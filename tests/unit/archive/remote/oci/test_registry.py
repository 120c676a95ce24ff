"""What a registry says, as messages show it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.servers import Answer, Asked, FileServer, Handler, serving
from wardian.archive.remote.oci.source import OciSource
from wardian.errors import NotACaseError, RemoteError

_TITLE = "org.opencontainers.image.title"


def _source(server: FileServer) -> OciSource:
    return OciSource(f"oci://127.0.0.1:{server.port}/me/m:v1", {"token": "topsecret"})


def test_names_of_layers_are_shown_as_no_terminal_obeys_them() -> None:
    manifest: dict[str, Any] = {"layers": [{"annotations": {_TITLE: "\x1b[2J.tar"}}]}
    with (
        serving(files={"v2/me/m/manifests/v1": json.dumps(manifest).encode()}) as server,
        pytest.raises(NotACaseError, match=r"may be a case: \\x1b\[2J\.tar"),
    ):
        _source(server).tail(100)


def test_a_refusal_is_shown_without_the_token() -> None:
    def ask(handler: Handler, asked: Asked) -> bool:
        handler.answer(401, b"", {"WWW-Authenticate": "Bearer"})
        return True

    def refuse(handler: Handler, asked: Asked) -> bool:
        message = f"\x1b[2J{asked.headers['Authorization']} is wrong"
        handler.answer(400, json.dumps({"errors": [{"code": "NO", "message": message}]}).encode())
        return True

    with (
        serving(faults=[ask, refuse]) as server,
        pytest.raises(RemoteError, match=r"answers 400 \(NO: \\x1b\[2J… is wrong\)"),
    ):
        _source(server).tail(100)


DEEP = b"[" * 100_000


def test_a_document_of_brackets_is_told() -> None:
    with (
        serving(files={"v2/me/m/manifests/v1": DEEP}) as server,
        pytest.raises(RemoteError, match="a manifest that is no JSON"),
    ):
        _source(server).tail(100)

    def refuse(handler: Handler, asked: Asked) -> bool:
        handler.answer(400, DEEP)
        return True

    with serving(faults=[refuse]) as server, pytest.raises(RemoteError, match="the registry answers 400"):
        _source(server).tail(100)


def _ask(challenge: str) -> Answer:
    def ask(handler: Handler, asked: Asked) -> bool:
        handler.answer(401, b"", {"WWW-Authenticate": challenge})
        return True

    return ask


def _named(server: FileServer) -> OciSource:
    return OciSource(f"oci://127.0.0.1:{server.port}/me/m:v1", {"username": "me", "password": "word"})


@pytest.mark.parametrize(
    "challenge",
    ['Bearer ,,,,=,=""', "Bearer realm=", "Bearer realm", 'Bearer realm="http://[::1/"', "Bearer"],
)
def test_a_challenge_that_says_nothing_is_a_refusal(challenge: str) -> None:
    with (
        serving(faults=[_ask(challenge)]) as server,
        pytest.raises(PermissionError, match="the registry refuses"),
    ):
        _named(server).tail(100)


@pytest.mark.parametrize(
    "token",
    [
        b'{"token": "a\\r\\nX-Evil: 1"}',
        '{"token": "\N{SNOWMAN}"}'.encode(),
        b'{"token": "\\ud800"}',
        b'{"token": "\\u00e9"}',
        b'{"token": ""}',
        DEEP,
    ],
)
def test_a_token_that_no_header_carries_is_none(token: bytes) -> None:
    with serving(files={"token": token}) as server:
        server.faults = [_ask(f'Bearer realm="{server.url("token")}",service="r",,')]
        with pytest.raises(PermissionError, match="the registry refuses"):
            _named(server).tail(100)
        assert [asked.path.partition("?")[0] for asked in server.asked] == ["/v2/me/m/manifests/v1", "/token"]


def test_a_challenge_with_empty_parts_is_answered() -> None:
    manifest = json.dumps({"layers": []}).encode()
    with serving(files={"token": b'{"token": "abcdef"}', "v2/me/m/manifests/v1": manifest}) as server:
        server.faults = [_ask(f'Bearer ,realm="{server.url("token")}",,service="r"')]
        with pytest.raises(NotACaseError, match="no layers"):
            _named(server).tail(100)
        assert server.asked[-1].headers["Authorization"] == "Bearer abcdef"
