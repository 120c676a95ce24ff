"""Debian's docker-registry on loopback, with a service of tokens where one is wished."""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest

__all__ = ["PASSWORD", "USER", "Registry", "serving_registry"]

USER, PASSWORD = "me", "a-long-password"
# bcrypt of the password
_HTPASSWD = "me:$2b$05$VWSRyFbViqUYIAkOXoQ1Luqm.DmABYF14ct9m3q.5Nag4sAAbY9M6\n"
_LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+)")
_REQUEST = re.compile(r'"([A-Z]+) (\S+) HTTP/1\.1" (\d+) (\d+)')


class Answered(NamedTuple):
    """One line of the registry's own account."""

    method: str
    path: str
    status: int
    sent: int


@dataclass
class Registry:
    """A registry that listens."""

    host: str
    log: Path
    tokens: list[str] = field(default_factory=list)
    """What the service of tokens was asked: the scopes."""
    _begin: int = 0

    def url(self, reference: str) -> str:
        """Return the URL of an artifact."""
        return f"oci://{self.host}/{reference}"

    def answered(self) -> list[Answered]:
        """Return what was answered since the last call."""
        text = self.log.read_text()
        found = _REQUEST.findall(text, self._begin)
        self._begin = len(text)
        return [Answered(method, path, int(status), int(sent)) for method, path, status, sent in found]


@contextmanager
def serving_registry(folder: Path, auth: Literal["none", "basic", "token"] = "none") -> Iterator[Registry]:
    """Start a registry.

    Args:
        folder: Where it keeps all.
        auth: Who may use it: everybody, or the user with the password, or who has a token for that.
    """
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("Debian's docker-registry is not installed here")
    tokens: list[str] = []
    with ExitStack() as stack:
        config = {
            "version": "0.1",
            "log": {"level": "info"},
            "storage": {"filesystem": {"rootdirectory": str(folder / "store")}},
            "http": {"addr": "127.0.0.1:0"},
        }
        if auth == "basic":
            folder.joinpath("htpasswd").write_text(_HTPASSWD)
            config["auth"] = {"htpasswd": {"realm": "here", "path": str(folder / "htpasswd")}}
        elif auth == "token":
            realm = stack.enter_context(_serving_tokens(folder, tokens))
            config["auth"] = {
                "token": {
                    "realm": realm,
                    "service": "here",
                    "issuer": "us",
                    "rootcertbundle": str(folder / "root.pem"),
                }
            }
        folder.joinpath("config.json").write_text(json.dumps(config))  # which is YAML, too
        log = folder / "access.log"
        process = subprocess.Popen(
            [program, "serve", folder / "config.json"],
            stdout=stack.enter_context(log.open("wb")),
            stderr=subprocess.PIPE,
            text=True,
            env={"OTEL_TRACES_EXPORTER": "none"},
        )
        assert process.stderr is not None
        found = None
        for line in process.stderr:
            found = _LISTENING.search(line)
            if found:
                break
        # It writes a line for each request, and stops when nobody reads.
        drain = threading.Thread(target=process.stderr.read, daemon=True)
        drain.start()
        try:
            assert found, "the registry does not start"
            yield Registry(f"127.0.0.1:{found[1]}", log, tokens)
        finally:
            process.terminate()
            process.wait()
            drain.join()
            process.stderr.close()


@contextmanager
def _serving_tokens(folder: Path, asked: list[str]) -> Iterator[str]:
    """Serve tokens as docker's protocol has them, to the user with the password."""
    sign = _signer(folder / "root.pem")
    basic = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            question = parse_qs(urlsplit(self.path).query)
            self.give(question, allowed=self.headers.get("Authorization") == basic)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            question = parse_qs(body)
            self.give(question, allowed=question.get("refresh_token") == [f"identity of {USER}"])

        def give(self, question: dict[str, list[str]], *, allowed: bool) -> None:
            (scope,) = question["scope"]
            asked.append(scope)
            kind, name, actions = scope.split(":")
            now = int(time.time())
            access = [{"type": kind, "name": name, "actions": actions.split(",")}] if allowed else []
            claims = {
                "iss": "us",
                "sub": USER,
                "aud": question["service"][0],
                "exp": now + 300,
                "nbf": now - 10,
                "iat": now,
                "jti": str(len(asked)),
                "access": access,
            }
            body = json.dumps({"token": sign(claims)}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/token"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _signer(root: Path) -> Callable[[dict[str, object]], str]:
    """Write a root certificate; return what makes signed tokens."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.x509.oid import NameOID

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "us")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    root.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    chain = [base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()]

    def encode(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    def sign(claims: dict[str, object]) -> str:
        header = {"typ": "JWT", "alg": "RS256", "x5c": chain}
        text = f"{encode(json.dumps(header).encode())}.{encode(json.dumps(claims).encode())}"
        return f"{text}.{encode(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    return sign
