"""Cases on nginx, as Debian has it."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import urllib3

import wardian

pytestmark = pytest.mark.services
ONES = torch.ones(1, 1024)
SECRET = "X-Amz-Signature=0123456789abcdef&X-Amz-Expires=3600"
PASSWORD = "a-long-password"

CONFIG = """
pid {folder}/nginx.pid;
error_log {folder}/error.log;
daemon off;
events {{}}
http {{
    log_format plain '$request_method $uri $status $body_bytes_sent "$http_range"';
    access_log {folder}/access.log plain;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    gzip on;
    gzip_types *;
    gzip_proxied any;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/files;
        location /old/ {{ rewrite ^/old/(.*)$ /models/$1 redirect; }}
        location /elsewhere/ {{ rewrite ^/elsewhere/(.*)$ http://localhost:{port}/models/$1 permanent; }}
        location /private/ {{
            alias {folder}/files/models/;
            auth_basic here;
            auth_basic_user_file {folder}/users;
        }}
        location /signed/ {{
            alias {folder}/files/models/;
            if ($arg_X-Amz-Signature != 0123456789abcdef) {{ return 403; }}
        }}
    }}
}}
"""


class Nginx(NamedTuple):
    """A server that listens."""

    base: str
    log: Path

    def asked(self) -> list[tuple[str, int, int]]:
        """Return the place, the status and the bytes of each answer since the last call."""
        found = re.findall(r"GET (\S+) (\d+) (\d+)", self.log.read_text())
        self.log.write_text("")
        return [(place, int(status), int(sent)) for place, status, sent in found]


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory, case: Path) -> Iterator[Nginx]:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("Debian's nginx is not installed here")
    folder = tmp_path_factory.mktemp("nginx")
    folder.chmod(0o755)
    models = folder / "files" / "models"
    models.mkdir(parents=True)
    shutil.copy(case, models / "layers.case")
    folder.joinpath("users").write_text(f"me:{{PLAIN}}{PASSWORD}\n")
    with socket.socket() as unused:  # nginx does not say which port it was given
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    config = folder / "nginx.conf"
    # Its workers would be nobody, who may not read here.
    config.write_text("user root;\n" + CONFIG.format(folder=folder, port=port))
    process = subprocess.Popen([program, "-e", folder / "error.log", "-c", config])
    try:
        with urllib3.PoolManager(retries=urllib3.Retry(20, backoff_factor=0.01)) as pool:
            pool.request("GET", f"http://127.0.0.1:{port}/")
        yield Nginx(f"http://127.0.0.1:{port}", folder / "access.log")
    finally:
        process.terminate()
        process.wait()


def test_a_case_is_opened_by_ranges(nginx: Nginx, model: torch.nn.Module, case: Path) -> None:
    nginx.asked()
    with wardian.open(f"{nginx.base}/models/layers.case") as remote:
        assert [status for _, status, _ in nginx.asked()] == [206]
        assert torch.equal(remote.tensors["3.weight"], model.get_parameter("3.weight"))
        assert nginx.asked() == [("/models/layers.case", 206, 4 << 20)]
        assert torch.equal(remote.load()(ONES), model(ONES))
        path = remote.mount.archive.path
    assert path is not None
    assert path.read_bytes() == case.read_bytes()
    nginx.asked()
    with wardian.open(f"{nginx.base}/models/layers.case") as remote:
        remote.verify()
    assert nginx.asked() == [("/models/layers.case", 304, 0)]


@pytest.mark.parametrize("place", ["old", "elsewhere"])
def test_redirects_are_followed(nginx: Nginx, model: torch.nn.Module, place: str) -> None:
    with wardian.open(f"{nginx.base}/{place}/layers.case") as remote:
        assert torch.equal(remote.load()(ONES), model(ONES))


def test_a_user_has_a_password(nginx: Nginx, model: torch.nn.Module) -> None:
    url = f"{nginx.base}/private/layers.case"
    with pytest.raises(PermissionError, match="HTTP 401"):
        wardian.open(url)
    with_user = url.replace("http://", f"http://me:{PASSWORD}@")
    with wardian.open(with_user) as remote:
        assert torch.equal(remote.load()(ONES), model(ONES))
        assert PASSWORD not in remote.mount.archive.label
    with pytest.raises(PermissionError, match="HTTP 401") as caught:
        wardian.open(with_user.replace(PASSWORD, "another-password"))
    assert "another" not in str(caught.value)
    headers = urllib3.util.make_headers(basic_auth=f"me:{PASSWORD}")
    assert wardian.requirements(url, storage_options={"headers": headers})


def test_signed_urls_stay_secret(nginx: Nginx, model: torch.nn.Module, tmp_path: Path) -> None:
    url = f"{nginx.base}/signed/layers.case"
    with pytest.raises(PermissionError, match="HTTP 403"):
        wardian.open(url)
    with wardian.open(f"{url}?{SECRET}") as remote:
        assert torch.equal(remote.load()(ONES), model(ONES))
        assert remote.mount.archive.label == url
    with pytest.raises(PermissionError, match="HTTP 403") as caught:
        wardian.open(f"{url}?{SECRET.replace('abcdef', 'abcdff')}")
    assert "0123" not in str(caught.value)
    kept = b"".join(
        p.read_bytes() for p in (tmp_path / "cache").rglob("*") if p.is_file() and p.stat().st_size < 1 << 23
    )
    assert SECRET.encode() not in kept
    assert b"Signature" not in kept
