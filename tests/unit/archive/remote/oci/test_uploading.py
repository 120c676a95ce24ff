"""Uploads to registries that are particular about them."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from wardian.archive.remote.exchange import Exchange
from wardian.archive.remote.oci import uploading
from wardian.archive.remote.oci.modelpack import PackFacts
from wardian.archive.remote.oci.uploading import upload
from wardian.errors import RemoteError

FACTS = PackFacts(name="m", parameters=0, dtypes=(), licences=())
CONTENT = bytes(range(256)) * 40


class _Server(ThreadingHTTPServer):
    takes_chunks = True
    loses_an_answer = False
    so_far = b""
    end: str | None = None
    """Which byte is the last one that it has, as it says."""
    least = "0"
    """Bytes of a chunk at least."""
    asked: list[str]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_HEAD(self) -> None:
        self.answer(404)

    def do_GET(self) -> None:
        self.server.asked.append("GET")
        self.answer(204, Range=f"0-{len(self.server.so_far) - 1}")

    def do_POST(self) -> None:
        self.server.so_far = b""
        self.answer(202, Location="/upload?state=1", OCI_Chunk_Min_Length=self.server.least)

    def do_PATCH(self) -> None:
        server = self.server
        server.asked.append("PATCH")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not server.takes_chunks:
            self.answer(405)
            return
        if int(self.headers["Content-Range"].partition("-")[0]) != len(server.so_far):
            self.answer(416)
            return
        server.so_far += body
        if server.loses_an_answer and len(server.so_far) > len(body):
            server.loses_an_answer = False
            self.close_connection = True
            return
        end = server.end or f"{len(server.so_far) - 1}"
        self.answer(202, Location="/upload?state=2", Range=f"0-{end}")

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("/upload"):
            self.server.asked.append("PUT")
            assert re.search(r"state=\d&digest=sha256%3A[0-9a-f]{64}$", self.path)
            if self.server.so_far + body == CONTENT:
                self.server.asked.append("all of it")
        self.answer(201)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Server]:
    monkeypatch.setattr(Exchange, "backoff", 0.0)
    monkeypatch.setattr(uploading, "_CHUNK", 4096)
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def push(server: _Server, folder: Path) -> list[tuple[int, int]]:
    path = folder / "m.case"
    path.write_bytes(CONTENT)
    told: list[tuple[int, int]] = []
    url = f"oci://127.0.0.1:{server.server_address[1]}/m:v1"
    assert upload(str(path), url, FACTS, {}, lambda *n: told.append(n)).startswith(f"{url}@sha256:")
    return told


def test_chunks(server: _Server, tmp_path: Path) -> None:
    told = push(server, tmp_path)
    assert server.asked == ["PATCH", "PATCH", "PATCH", "PUT", "all of it", "PUT"]
    assert told == [(4096, 10240), (8192, 10240), (10240, 10240), (0, 0)]


def test_a_registry_without_chunks_gets_all_at_once(server: _Server, tmp_path: Path) -> None:
    server.takes_chunks = False
    told = push(server, tmp_path)
    assert server.asked == ["PATCH", "PUT", "all of it", "PUT"]
    assert told == [(10240, 10240), (0, 0)]


def test_an_answer_that_is_lost_costs_no_second_upload(server: _Server, tmp_path: Path) -> None:
    server.loses_an_answer = True
    push(server, tmp_path)
    assert server.asked == ["PATCH", "PATCH", "PATCH", "GET", "PATCH", "PUT", "all of it", "PUT"]


def test_a_registry_that_keeps_nothing_is_left(
    server: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "_end", lambda response, otherwise: 0)
    with pytest.raises(RemoteError, match="keeps no more than 0 bytes of 10,240"):
        push(server, tmp_path)


def test_numbers_that_no_file_reaches_say_nothing(server: _Server, tmp_path: Path) -> None:
    server.end = server.least = "9" * 5000
    push(server, tmp_path)
    assert server.asked == ["PATCH", "PATCH", "PATCH", "PUT", "all of it", "PUT"]


def test_a_registry_that_wants_larger_chunks_gets_them(server: _Server, tmp_path: Path) -> None:
    server.least = "8192"
    push(server, tmp_path)
    assert server.asked == ["PATCH", "PATCH", "PUT", "all of it", "PUT"]
