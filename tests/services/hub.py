"""A Hugging Face Hub on loopback: what its client needs to make repositories, push, look, and read by ranges.

Paths and fields are those that huggingface_hub 2.4 uses (hf_api.py, lfs.py, file_download.py).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

__all__ = ["Hub", "may_be_reached", "serving_hub"]

_LARGE = 1000
"""Bytes from which a file goes to the large storage."""


@dataclass
class Repository:
    """Branches, each a list of commits: what files were there."""

    private: bool = False
    branches: dict[str, list[tuple[str, dict[str, bytes]]]] = field(default_factory=dict)

    def files(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Return a commit and its files."""
        if revision in self.branches:
            return self.branches[revision][-1]
        commits = {commit: files for branch in self.branches.values() for commit, files in branch}
        return (revision, commits[revision]) if revision in commits else None


@dataclass
class Hub:
    """What it holds, and what it was asked."""

    token: str = "hf_topsecret"
    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path and range of every request."""
    sent: int = 0
    """Bytes of files."""
    messages: list[str] = field(default_factory=list)
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(
        self,
        status: int,
        content: Any = b"",
        headers: dict[str, str] | None = None,
        *,
        length: int | None = None,
    ) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if not isinstance(content, bytes):
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def missing(self, code: str) -> None:
        self.answer(404, {"error": code}, {"X-Error-Code": code, "X-Error-Message": code})

    def handle_request(self) -> None:
        hub = self.server.hub
        body = self.read_body()
        hub.asked.append((self.command, self.path, self.headers.get("Range")))
        path = unquote(urlsplit(self.path).path)
        for method, form, action in _ROUTES:
            found = re.fullmatch(form, path)
            if method == self.command.replace("HEAD", "GET") and found:
                action(self, hub, body, *found.groups())
                return
        self.missing("NotFound")

    do_GET = do_HEAD = do_POST = do_PUT = handle_request

    def is_me(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.server.hub.token}"

    # What is asked for

    def who(self, hub: Hub, body: bytes) -> None:
        self.answer(200, {"name": "me", "type": "user", "orgs": []})

    def create(self, hub: Hub, body: bytes) -> None:
        if not self.is_me():
            self.answer(401, {"error": "Invalid username or password."})
            return
        told = json.loads(body)
        name = f"{told.get('organization') or 'me'}/{told['name']}"
        if name in hub.repositories:
            self.answer(409, {"error": "You already created this model repo", "url": f"{hub.url}/{name}"})
            return
        private = bool(told.get("private")) or told.get("visibility") == "private"
        hub.repositories[name] = Repository(private, {"main": [("0" * 40, {})]})
        self.answer(200, {"url": f"{hub.url}/{name}", "id": name, "name": name})

    def create_branch(self, hub: Hub, body: bytes, name: str, branch: str) -> None:
        branches = hub.repositories[name].branches
        if branch in branches:
            self.answer(409, {"error": "Reference already exists"})
            return
        branches[branch] = list(branches["main"])
        self.answer(200, {})

    def check_yaml(self, hub: Hub, body: bytes) -> None:
        self.answer(200, {"errors": [], "warnings": []})

    def preupload(self, hub: Hub, body: bytes, name: str, revision: str) -> None:
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs"
                if file["size"] > _LARGE and not file["path"].endswith(".md")
                else "regular",
                "shouldIgnore": False,
                "oid": None,
            }
            for file in json.loads(body)["files"]
        ]
        self.answer(200, {"files": files, "commitOid": hub.repositories[name].branches[revision][-1][0]})

    def batch(self, hub: Hub, body: bytes, name: str) -> None:
        objects = [
            {**one, "actions": {"upload": {"href": f"{hub.url}/large/{one['oid']}", "header": {}}}}
            for one in json.loads(body)["objects"]
        ]
        self.answer(200, {"transfer": "basic", "objects": objects})

    def take_large(self, hub: Hub, body: bytes, oid: str) -> None:
        assert hashlib.sha256(body).hexdigest() == oid
        hub.large[oid] = body
        self.answer(200)

    def commit(self, hub: Hub, body: bytes, name: str, revision: str) -> None:
        if not self.is_me():
            self.answer(403, {"error": "Forbidden"})
            return
        branch = hub.repositories[name].branches[revision]
        files = dict(branch[-1][1])
        for line in body.splitlines():
            told = json.loads(line)
            value = told["value"]
            if told["key"] == "header":
                hub.messages.append(value["summary"])
            elif told["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif told["key"] == "lfsFile":
                files[value["path"]] = hub.large[value["oid"]]
        oid = hashlib.sha1(body + branch[-1][0].encode()).hexdigest()
        branch.append((oid, files))
        url = f"{hub.url}/{name}/commit/{oid}"
        self.answer(200, {"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""})

    def info(self, hub: Hub, body: bytes, name: str, revision: str | None) -> None:
        repository = hub.repositories.get(name)
        found = None if repository is None else repository.files(revision or "main")
        if repository is None or found is None:
            self.missing("RepoNotFound" if repository is None else "RevisionNotFound")
            return
        siblings = [{"rfilename": path} for path in found[1]]
        facts = {"id": name, "modelId": name, "sha": found[0], "private": repository.private, "tags": []}
        self.answer(200, {**facts, "downloads": 0, "likes": 0, "siblings": siblings})

    def paths(self, hub: Hub, body: bytes, name: str, revision: str) -> None:
        found = hub.repositories[name].files(revision)
        asked = json.loads(body)["paths"] if body[:1] == b"{" else parse_qs(body.decode())["paths"]
        files = {} if found is None else found[1]
        told = [
            {"type": "file", "path": p, "size": len(files[p]), "oid": "0" * 40} for p in asked if p in files
        ]
        self.answer(200, told)

    def resolve(self, hub: Hub, body: bytes, name: str, revision: str, path: str) -> None:
        repository = hub.repositories.get(name)
        if repository is None or (repository.private and not self.is_me()):
            self.answer(401, {"error": "no"}, {"X-Error-Code": "RepoNotFound"})
            return
        found = repository.files(revision)
        if found is None or path not in found[1]:
            self.missing("RevisionNotFound" if found is None else "EntryNotFound")
            return
        commit, content = found[0], found[1][path]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        part = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or "")
        if self.headers.get("If-None-Match") == headers["ETag"]:
            self.answer(304, b"", headers)
        elif part is None:
            self.answer(200, content, headers)
        else:
            first = int(part[1]) if part[1] else max(0, len(content) - int(part[2]))
            last = min(int(part[2]), len(content) - 1) if part[1] and part[2] else len(content) - 1
            hub.sent += last + 1 - first
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            self.answer(206, content[first : last + 1], headers)


_NAME = "([^/]+/[^/]+)"
_ROUTES = (
    ("GET", "/api/whoami-v2", _Handler.who),
    ("POST", "/api/repos/create", _Handler.create),
    ("POST", "/api/validate-yaml", _Handler.check_yaml),
    ("POST", f"/api/models/{_NAME}/branch/(.+)", _Handler.create_branch),
    ("POST", f"/api/models/{_NAME}/preupload/(.+)", _Handler.preupload),
    ("POST", rf"/{_NAME}\.git/info/lfs/objects/batch", _Handler.batch),
    ("PUT", "/large/([0-9a-f]{64})", _Handler.take_large),
    ("POST", f"/api/models/{_NAME}/commit/(.+)", _Handler.commit),
    ("POST", f"/api/models/{_NAME}/paths-info/(.+)", _Handler.paths),
    ("GET", f"/api/models/{_NAME}(?:/revision/(.+))?", _Handler.info),
    ("GET", f"/{_NAME}/resolve/([^/]+)/(.+)", _Handler.resolve),
)
"""Method, form of the path, and what answers."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        super().__init__(("127.0.0.1", 0), _Handler)
        hub.url = f"http://127.0.0.1:{self.server_address[1]}"


def may_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client of the Hub reach a hub on loopback, also where its settings keep it off the network.

    It reads them when it is imported, here and in the processes of the tests.
    """
    from huggingface_hub import constants

    for setting, value in {"HF_HUB_OFFLINE": False, "HF_HUB_DISABLE_XET": True}.items():
        monkeypatch.setenv(setting, str(int(value)))
        monkeypatch.setattr(constants, setting, value)


@contextmanager
def serving_hub() -> Iterator[Hub]:
    """Serve a hub of the user `me`."""
    hub = Hub()
    server = _Server(hub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
