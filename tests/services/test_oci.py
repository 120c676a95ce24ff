"""Cases in OCI registries: Debian's docker-registry."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import urllib3

import wardian
from tests.services.registries import PASSWORD, USER, Registry, serving_registry
from wardian.archive.remote.exchange import Exchange
from wardian.archive.remote.oci import uploading

pytestmark = pytest.mark.services
ONES = torch.ones(1, 1024)
ACCEPT = {"Accept": "application/vnd.oci.image.manifest.v1+json"}


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setattr(Exchange, "backoff", 0.0)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with serving_registry(tmp_path_factory.mktemp("registry")) as found:
        yield found


def documents(registry: Registry, name: str, digest: str) -> tuple[Any, Any]:
    """Return the manifest and the configuration of an artifact."""
    base = f"http://{registry.host}/v2/{name}"
    with urllib3.PoolManager() as pool:
        manifest = pool.request("GET", f"{base}/manifests/{digest}", headers=ACCEPT).json()
        return manifest, pool.request("GET", f"{base}/blobs/{manifest['config']['digest']}").json()


def test_a_case_is_pushed_and_opened_by_ranges(
    registry: Registry, model: torch.nn.Module, case: Path
) -> None:
    url = wardian.push(case, registry.url("models/layers:v1"))
    plain, _, digest = url.partition("@")
    assert plain == registry.url("models/layers:v1")
    manifest, config = documents(registry, "models/layers", digest)
    (layer,) = manifest["layers"]
    assert layer["mediaType"] == "application/vnd.cncf.model.weight.v1.raw"
    assert layer["digest"] == f"sha256:{hashlib.sha256(case.read_bytes()).hexdigest()}"
    assert layer["annotations"]["org.cncf.model.filepath"] == "layers.case"
    assert manifest["artifactType"] == "application/vnd.cncf.model.manifest.v1+json"
    assert config["modelfs"] == {"type": "layers", "diffIds": [layer["digest"]]}
    assert config["config"] == {"format": "wardian", "paramSize": "5.2M", "precision": "float32"}
    for reference in (plain, url, url.replace(":v1@", "@")):
        registry.answered()
        with wardian.open(reference) as remote:
            assert len(registry.answered()) <= 3
            assert torch.equal(remote.tensors["3.weight"], model.get_parameter("3.weight"))
            assert remote.mount.archive.label == reference
    assert [one.status for one in registry.answered()] == []  # it came by the first of the three
    with wardian.open(plain) as remote:
        registry.answered()
        assert torch.equal(remote.load()(ONES), model(ONES))
        assert sum(one.sent for one in registry.answered()) < (4 << 22) + 30_000


def test_what_is_there_is_not_sent_again_and_tags_move(
    registry: Registry, case: Path, tmp_path: Path
) -> None:
    first = wardian.push(case, registry.url("models/moving"))
    registry.answered()
    assert wardian.push(case, registry.url("models/moving:again")).endswith(first.partition("@")[2])
    assert {one.method for one in registry.answered()} == {"HEAD", "PUT"}
    other = tmp_path / "other.case"
    wardian.pack(torch.nn.Linear(2, 2), other, prove=False)
    with wardian.open(registry.url("models/moving")) as remote:
        before = remote.digest
    wardian.push(other, registry.url("models/moving:latest"))
    with wardian.open(registry.url("models/moving")) as remote:
        assert remote.digest != before
    with wardian.open(first) as remote:
        assert remote.digest == before


def test_a_large_case_goes_in_chunks_or_at_once(
    registry: Registry, case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "_CHUNK", 4 << 20)
    registry.answered()
    url = wardian.push(case, registry.url("models/chunks:v1"))
    assert [one.method for one in registry.answered()].count("PATCH") == 6
    with wardian.open(url) as remote:
        remote.verify()


def test_a_user_has_a_password(tmp_path: Path, case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with serving_registry(tmp_path, "basic") as registry:
        url = registry.url("models/layers:v1")
        with pytest.raises(PermissionError, match=rf"docker login {registry.host}") as caught:
            wardian.push(case, url)
        assert "cannot be read" not in str(caught.value)
        options = {"username": USER, "password": PASSWORD}
        with pytest.raises(PermissionError, match="HTTP 401") as caught:
            wardian.open(url, storage_options={**options, "password": "another-password"})
        assert "another" not in str(caught.value)
        pushed = wardian.push(case, url, storage_options=options)
        with wardian.open(pushed, storage_options=options) as remote:
            assert remote.entries
        # What `docker login` writes.
        auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        config = {"auths": {registry.host: {"auth": auth}}}
        tmp_path.joinpath("config.json").write_text(json.dumps(config))
        assert wardian.requirements(url)


def test_a_service_gives_tokens(
    tmp_path: Path, case: Path, model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "docker"
    docker.mkdir()
    with serving_registry(tmp_path, "token") as registry:
        url = registry.url("models/layers:v1")
        with pytest.raises(PermissionError, match="HTTP 401"):
            wardian.push(case, url)
        pushed = wardian.push(case, url, storage_options={"username": USER, "password": PASSWORD})
        assert set(registry.tokens) == {"repository:models/layers:pull,push"}
        registry.tokens.clear()
        identity = {"auths": {registry.host: {"auth": "", "identitytoken": f"identity of {USER}"}}}
        (docker / "config.json").write_text(json.dumps(identity))
        with wardian.open(pushed) as remote:
            assert torch.equal(remote.load()(ONES), model(ONES))
        assert set(registry.tokens) == {"repository:models/layers:pull"}


def test_a_program_of_dockers_knows_who_asks(
    tmp_path: Path, case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "docker"
    docker.mkdir()
    program = tmp_path / "docker-credential-ours"
    told = json.dumps({"ServerURL": "", "Username": USER, "Secret": PASSWORD})
    program.write_text(f"#!/bin/sh\nread host; echo $host $1 > {tmp_path}/asked; echo '{told}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with serving_registry(tmp_path, "basic") as registry:
        (docker / "config.json").write_text('{"credsStore": "ours"}')
        wardian.push(case, registry.url("models/layers:v1"))
        assert (tmp_path / "asked").read_text().split() == [registry.host, "get"]


def test_what_is_not_there_or_no_case_is_said(registry: Registry, case: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such artifact"):
        wardian.open(registry.url("models/nothing:v1"))
    with pytest.raises(wardian.RemoteError, match=r"oci://127\.0\.0\.1:9/m:v1 cannot be read: .* refused"):
        wardian.open("oci://127.0.0.1:9/m:v1")
    url = wardian.push(case, registry.url("models/layers:v1"))
    with pytest.raises(FileNotFoundError, match="no such artifact"):
        wardian.open(url[:-1] + ("0" if url[-1] != "0" else "1"))
    for wrong in ("oci://models", registry.url("Models/layers"), registry.url("models/layers@sha256:12")):
        with pytest.raises(wardian.RemoteError, match=r"must be oci://registry/name:tag"):
            wardian.open(wrong)
    with pytest.raises(TypeError, match="password, plain_http, token, username, not headers"):
        wardian.open(url, storage_options={"headers": {}})
    image = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"}
    with urllib3.PoolManager() as pool:
        base = f"http://{registry.host}/v2/models/layers"
        manifest = pool.request("GET", f"{base}/manifests/v1", headers=ACCEPT).json()
        manifest["layers"] = [{**manifest["layers"][0], "annotations": {}, **image}]
        sent = pool.request(
            "PUT",
            f"{base}/manifests/image",
            body=json.dumps(manifest),
            headers={"Content-Type": manifest["mediaType"]},
        )
        assert sent.status == 201
    with pytest.raises(wardian.NotACaseError, match=r"no layers that may be a case: .*tar\+gzip"):
        wardian.open(registry.url("models/layers:image"))
