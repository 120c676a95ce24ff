"""Which file of the Hub a URL names, and what its client's errors mean."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.services.hub import Hub, Repository, may_be_reached, serving_hub
from wardian.archive.remote.hub import HubFile, hub_source, parse_hub_url
from wardian.errors import RemoteError

pytest.importorskip("huggingface_hub")

CONTENT = bytes(range(256)) * 4
COMMITS = ("1" * 40, "2" * 40)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("hf://me/oak", HubFile("me/oak", None, None, "")),
        ("hf://me/oak/", HubFile("me/oak", None, None, "")),
        ("hf://me/oak/deep/oak.case", HubFile("me/oak", None, None, "deep/oak.case")),
        ("hf://models/me/oak/oak.case", HubFile("me/oak", None, None, "oak.case")),
        ("hf://datasets/me/oak/oak.case", HubFile("me/oak", "dataset", None, "oak.case")),
        ("hf://spaces/me/oak/oak.case", HubFile("me/oak", "space", None, "oak.case")),
        ("hf://me/oak@v1.0/oak.case", HubFile("me/oak", None, "v1.0", "oak.case")),
        ("hf://me/oak@refs/pr/3/oak.case", HubFile("me/oak", None, "refs/pr/3", "oak.case")),
        ("hf://me/oak@refs%2Fpr%2F3/oak.case", HubFile("me/oak", None, "refs/pr/3", "oak.case")),
        ("hf://me/oak/a@b.case", HubFile("me/oak", None, None, "a@b.case")),
    ],
)
def test_a_url_is_read_as_the_client_reads_it(url: str, found: HubFile) -> None:
    assert parse_hub_url(url) == found


@pytest.mark.parametrize(
    "url", ["hf://", "hf://oak", "hf:///oak", "hf://me/", "hf://me/oak@", "hf://me/oak@/x"]
)
def test_what_names_no_repository_is_refused(url: str) -> None:
    with pytest.raises(RemoteError, match="is no URL of the Hub"):
        parse_hub_url(url)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    may_be_reached(monkeypatch)
    with serving_hub() as serving:
        branch = [(COMMITS[0], {"model.case": b"old"}), (COMMITS[1], {"model.case": CONTENT})]
        serving.repositories["me/oak"] = Repository(branches={"main": branch})
        serving.repositories["me/secret"] = Repository(private=True, branches={"main": branch})
        yield serving


def test_a_file_is_read_at_the_commit_that_its_revision_was(served: Hub) -> None:
    source = hub_source("hf://me/oak", {"endpoint": served.url, "token": False})
    served.repositories["me/oak"].branches["main"].append(("3" * 40, {"model.case": b"newer"}))
    assert source.read(3, 9) == CONTENT[3:9]
    assert served.asked[-1][1] == f"/me/oak/resolve/{COMMITS[1]}/model.case"
    old = hub_source(f"hf://me/oak@{COMMITS[0]}/model.case", {"endpoint": served.url, "token": False})
    assert old.read(0, 3) == b"old"


def test_a_token_opens_what_is_not_for_everybody(served: Hub) -> None:
    options = {"endpoint": served.url, "token": served.token}
    assert hub_source("hf://me/secret", options).read(0, 5) == CONTENT[:5]
    with pytest.raises(
        FileNotFoundError, match="no such repository on the Hub, or the token does not open it"
    ):
        hub_source("hf://me/secret", {**options, "token": "hf_wrongsecret"})


@pytest.mark.parametrize(
    "url", ["hf://me/oak/other.case", "hf://me/oak@v9/model.case", "hf://you/oak/model.case"]
)
def test_what_is_not_there_is_no_file_and_asked_for_once(url: str, served: Hub) -> None:
    with pytest.raises(FileNotFoundError, match="there is no such") as caught:
        hub_source(url, {"endpoint": served.url, "token": False})
    assert caught.value.filename == url
    assert len(served.asked) == 1


def test_a_hub_that_nobody_knows_is_told_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    may_be_reached(monkeypatch)
    with pytest.raises(RemoteError, match=r"hf://me/oak/m\.case cannot be read") as caught:
        hub_source("hf://me/oak/m.case", {"endpoint": "http://nobody.invalid", "token": "hf_topsecret"})
    assert "topsecret" not in str(caught.value)


def test_options_and_the_client_are_asked_for_first(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match="are token and endpoint, not anon, key"):
        hub_source("hf://me/oak", {"key": 1, "anon": 2})
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(RemoteError, match=r"wardian\[hub\]"):
        hub_source("hf://me/oak", {})
