"""A file server on loopback that misbehaves as it is told, and counts what it is asked and what it sends."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Answer", "Asked", "FileServer", "serving"]


@dataclass(frozen=True)
class Asked:
    """One request."""

    path: str
    range: str | None
    headers: dict[str, str]


Answer = Callable[["Handler", Asked], bool]
"""Answers a request in another way; returns whether it did."""


@dataclass
class FileServer:
    """What it serves, how, and what it was asked.

    Files are bytes, or paths.
    """

    files: dict[str, Any] = field(default_factory=dict)
    ranges: bool = True
    suffixes: bool = True
    """Whether a range may count from the end."""
    etags: bool = True
    latency: float = 0.0
    faults: list[Answer] = field(default_factory=list)
    """Each is asked first; one that answers is used up."""
    asked: list[Asked] = field(default_factory=list)
    sent: int = 0
    port: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, name: str) -> str:
        """Return the URL of a file."""
        return f"http://127.0.0.1:{self.port}/{name}"

    def forget(self) -> None:
        """Begin to count anew."""
        self.asked.clear()
        self.sent = 0

    def take_fault(self, handler: Handler, asked: Asked) -> bool:
        """Let a fault answer, and use it up."""
        with self.lock:
            fault = self.faults.pop(0) if self.faults else None
        return fault is not None and fault(handler, asked)


class Handler(BaseHTTPRequestHandler):
    """Answers GET."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer a request for a file."""
        files = self.server.files
        headers = {name.title(): value for name, value in self.headers.items()}
        asked = Asked(self.path, self.headers.get("Range"), headers)
        with files.lock:
            files.asked.append(asked)
        if files.latency:
            time.sleep(files.latency)
        if files.take_fault(self, asked):
            return
        content = files.files.get(urlsplit(self.path).path.lstrip("/"))
        if content is None:
            self.answer(404, b"")
            return
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        headers = {"ETag": self.etag(content)} if files.etags else {}
        if files.etags and asked.headers.get("If-None-Match") == headers["ETag"]:
            self.answer(304, b"", headers)
            return
        if files.etags and asked.headers.get("If-Match", headers["ETag"]) != headers["ETag"]:
            self.answer(412, b"", headers)
            return
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", asked.range or "")
        if found is None or not files.ranges or not (found[1] or files.suffixes):
            self.answer(200, self.part(content, 0, size), headers)
            return
        first = int(found[1]) if found[1] else max(0, size - int(found[2]))
        last = min(int(found[2]), size - 1) if found[1] and found[2] else size - 1
        if first > last:
            self.answer(416, b"", {"Content-Range": f"bytes */{size}"})
            return
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        self.answer(206, self.part(content, first, last + 1), headers)

    def etag(self, content: bytes | Path) -> str:
        """Return what tells a content from others."""
        if isinstance(content, Path):
            return f'"{content.stat().st_mtime_ns}-{content.stat().st_size}"'
        return f'"{hashlib.md5(content).hexdigest()}"'

    def part(self, content: bytes | Path, start: int, stop: int) -> bytes:
        """Return a part of a file."""
        if isinstance(content, bytes):
            return content[start:stop]
        with content.open("rb") as file:
            file.seek(start)
            return file.read(stop - start)

    def answer(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, *, length: int | None = None
    ) -> None:
        """Send an answer; *length* is what it says that it sends."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        try:
            for start in range(0, len(body), 1 << 18):
                part = body[start : start + (1 << 18)]
                with self.server.files.lock:  # before the client has it, and looks at the count
                    self.server.files.sent += len(part)
                self.wfile.write(part)
        except (BrokenPipeError, ConnectionResetError):  # the client has enough
            self.close_connection = True
        if length is not None and length != len(body):
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 32

    def __init__(self, files: FileServer) -> None:
        self.files = files
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that go away."""


@contextmanager
def serving(**options: object) -> Iterator[FileServer]:
    """Serve files on loopback; the arguments are those of `FileServer`."""
    files = FileServer(**options)  # type: ignore[arg-type]
    server = _Server(files)
    files.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield files
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
