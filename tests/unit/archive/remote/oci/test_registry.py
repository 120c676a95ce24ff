"""What a registry says, as messages show it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.servers import Asked, FileServer, Handler, serving
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
