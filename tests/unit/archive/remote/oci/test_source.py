"""A case in a registry: found by its tag, read by its digest."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.servers import FileServer, serving
from wardian.archive.remote.oci.source import OciSource
from wardian.errors import NotACaseError

CONTENT = bytes(range(256)) * 4
TITLE = "org.opencontainers.image.title"


def publish(server: FileServer, digest: str, content: bytes) -> None:
    layer = {"digest": digest, "size": len(content), "annotations": {TITLE: "m.case"}}
    server.files["v2/me/m/manifests/v1"] = json.dumps({"layers": [layer]}).encode()
    server.files[f"v2/me/m/blobs/{digest}"] = content


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as files:
        publish(files, "sha256:one", CONTENT)
        yield files


@pytest.fixture
def source(server: FileServer) -> OciSource:
    return OciSource(f"oci://127.0.0.1:{server.port}/me/m:v1", {})


def paths(server: FileServer) -> list[str]:
    return [asked.path.rpartition("/")[2] for asked in server.asked]


def test_the_registry_is_asked_for_the_layer_once(server: FileServer, source: OciSource) -> None:
    assert server.asked == []
    for start in (0, 5, 100):
        assert source.read(start, start + 10) == CONTENT[start : start + 10]
    assert paths(server) == ["v1", "sha256:one", "sha256:one", "sha256:one"]


def test_the_version_is_the_digest_of_the_layer_and_the_tag_may_move(
    server: FileServer, source: OciSource
) -> None:
    found = source.tail(10)
    assert found is not None
    assert (found.version, found.data) == ("sha256:one", CONTENT[-10:])
    server.forget()
    assert source.tail(10, "sha256:one") is None
    assert paths(server) == ["v1"]
    publish(server, "sha256:two", b"other")
    assert source.read(0, 5) == CONTENT[:5]  # what is read goes on
    assert not source.has_changed()
    again = source.tail(10, "sha256:one")
    assert again is not None
    assert (again.version, again.data) == ("sha256:two", b"other")
    assert source.read(0, 5) == b"other"


def test_the_whole_comes_with_the_same_version(source: OciSource) -> None:
    parts: list[bytes] = []
    assert source.download(lambda offset, part, total: parts.append(part)) == "sha256:one"
    assert b"".join(parts) == CONTENT


def test_an_artifact_without_a_case_is_none(server: FileServer, source: OciSource) -> None:
    server.files["v2/me/m/manifests/v1"] = b'{"layers": []}'
    with pytest.raises(NotACaseError, match="/me/m:v1 has no layers that may be a case") as caught:
        source.tail(10)
    assert caught.value.path == f"oci://127.0.0.1:{server.port}/me/m:v1"


def test_what_is_not_there_is_called_as_the_user_calls_it(server: FileServer, source: OciSource) -> None:
    del server.files["v2/me/m/blobs/sha256:one"]
    with pytest.raises(FileNotFoundError) as caught:
        source.tail(10)
    assert caught.value.filename == f"oci://127.0.0.1:{server.port}/me/m:v1"
    del server.files["v2/me/m/manifests/v1"]
    with pytest.raises(FileNotFoundError, match="no such artifact in the registry"):
        source.tail(10)
