"""Cases to where people keep them, and what is refused before anything goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tests.archives import Forged, forge
from tests.servers import serving
from tests.services.hub import may_be_reached, serving_hub
from tests.support import write_case
from wardian.errors import CorruptCaseError, NotACaseError, RemoteError
from wardian.loading.case import Case
from wardian.pushing import push


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return write_case(tmp_path / "oak.case", {"oak.py": "x = 1"}, storages=(b"weights!",))


@pytest.fixture
def store() -> Iterator[dict[str, Any]]:
    """What the store `memory://` has."""
    files: dict[str, Any] = fsspec.filesystem("memory").store
    files.clear()
    yield files
    files.clear()


def content_of(store: dict[str, Any], name: str) -> bytes:
    content: bytes = store[name].getvalue()
    return content


def test_the_very_bytes_go_whatever_names_them(case: Path, store: dict[str, Any]) -> None:
    content = case.read_bytes()
    assert push(case, "memory://shelf/one.case") == "memory://shelf/one.case"
    assert push(str(case), "memory://shelf/") == "memory://shelf/oak.case"
    assert push("memory://shelf/one.case", "memory://shelf/two.case") == "memory://shelf/two.case"
    with Case.open(case) as opened:
        case.unlink()  # what was opened is what goes
        push(opened, "memory://shelf/three.case")
    assert {name: content_of(store, name) for name in store} == dict.fromkeys(
        ["/shelf/one.case", "/shelf/oak.case", "/shelf/two.case", "/shelf/three.case"], content
    )


@pytest.mark.parametrize(
    ("url", "options", "error", "words"),
    [
        ("shelf/oak.case", {}, TypeError, "is no URL; a case is a file, so that it can be copied"),
        ("https://me:word@models.example/oak.case", {}, RemoteError, "HTTP servers have no common way"),
        (
            "memory://shelf/oak.case",
            {"private": True, "revision": "v1"},
            TypeError,
            "private, revision: only for hf",
        ),
        (
            "memory://shelf/oak.case",
            {"prove": False},
            TypeError,
            "prove: only for an object that is packed now",
        ),
        ("nothing-knows-this://oak.case", {}, RemoteError, "nothing-knows-this"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_goes(
    url: str, options: dict[str, Any], error: type[Exception], words: str, case: Path, store: dict[str, Any]
) -> None:
    with pytest.raises(error, match=words) as caught:
        push(case, url, **options)
    assert "word@" not in str(caught.value)
    assert not store


def test_what_is_damaged_or_no_case_does_not_go(case: Path, tmp_path: Path, store: dict[str, Any]) -> None:
    content = bytearray(case.read_bytes())
    content[content.index(b"weights!")] ^= 1
    case.write_bytes(content)
    with pytest.raises(CorruptCaseError):
        push(case, "memory://shelf/oak.case")
    package = tmp_path / "oak.pt"
    package.write_bytes(forge([Forged(b"p/.data/extern_modules")], sealed=False))
    with pytest.raises(NotACaseError, match=r"is an archive of torch\.package, and no case"):
        push(package, "memory://shelf/oak.case")
    with pytest.raises(FileNotFoundError):
        push(tmp_path / "gone.case", "memory://shelf/oak.case")
    assert not store


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (PermissionError("key topsecret is wrong"), PermissionError, "the server refuses: key … is wrong"),
        (OSError("topsecret: the line broke"), RemoteError, "cannot be written: …: the line broke"),
        (KeyError(), RemoteError, "cannot be written: KeyError"),
    ],
)
def test_what_a_store_raises_is_told_without_secrets(
    error: Exception,
    kind: type[Exception],
    words: str,
    case: Path,
    store: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(MemoryFileSystem, "put_file", fail)
    with pytest.raises(kind, match=words):
        push(case, "memory://shelf/oak.case", storage_options={"key": "topsecret"})


def test_a_store_that_keeps_less_is_told(
    case: Path, store: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MemoryFileSystem, "info", lambda *_, **__: {"size": 5, "type": "file"})
    with pytest.raises(RemoteError, match="has 5 bytes after it was written, and the case has"):
        push(case, "memory://shelf/oak.case")


def test_a_registry_is_told_what_is_in_the_case(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    def upload(path: str, url: str, facts: Any, options: Any, told: Any) -> str:
        sent.append((Path(path).read_bytes(), url, facts.name, facts.parameters, facts.licences, options))
        return f"{url}@sha256:0"

    monkeypatch.setattr("wardian.archive.remote.oci.uploading.upload", upload)
    url = "oci://models.example/me/oak:v1"
    assert push(case, url, storage_options={"token": "x"}) == f"{url}@sha256:0"
    assert sent == [(case.read_bytes(), url, "oak", 0, [], {"token": "x"})]


def test_a_case_behind_a_url_goes_on(case: Path, store: dict[str, Any], cache: Path) -> None:
    with serving(files={"oak.case": case.read_bytes()}) as server:
        push(server.url("oak.case"), "memory://shelf/oak.case")
    assert content_of(store, "/shelf/oak.case") == case.read_bytes()


# The Hub


# The client uploads by an argument that its HTTP client has renamed.
@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_on_the_hub_it_is_one_commit_with_a_card(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub")
    may_be_reached(monkeypatch)
    with serving_hub() as hub:
        options = {"endpoint": hub.url, "token": hub.token}
        first = push(case, "hf://me/oak", storage_options=options)
        commit, files = hub.repositories["me/oak"].branches["main"][-1]
        assert first == f"hf://me/oak@{commit}/model.case"
        assert files["model.case"] == case.read_bytes()
        assert set(files) == {"model.case", "README.md"}
        assert push(first, "hf://me/oak/other.case", revision="v2", storage_options=options).endswith(
            "/other.case"
        )
        assert set(hub.repositories["me/oak"].branches) == {"main", "v2"}
        # A card that somebody wrote stays, and one of ours is made anew.
        branch = hub.repositories["me/oak"].branches["main"]
        branch.append(("1" * 40, {**branch[-1][1], "README.md": b"# Mine\n"}))
        push(case, "hf://me/oak", storage_options=options, commit_message="Again")
        assert branch[-1][1]["README.md"] == b"# Mine\n"
        assert hub.messages[-1] == "Again"
        with pytest.raises(
            PermissionError, match="the Hub refuses; hf auth login, or a token that may"
        ) as caught:
            push(case, "hf://me/new", storage_options={**options, "token": "hf_wrongsecret"})
        assert "wrongsecret" not in str(caught.value)


def test_urls_are_json_of_nothing_secret() -> None:
    with pytest.raises(RemoteError) as caught:
        push(b"", "http://me:word@models.example/oak.case?key=topsecret")
    assert json.dumps(caught.value.path) == '"http://models.example/oak.case"'
