"""Who asks a registry, as options and docker's configuration say."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wardian.archive.remote.oci.credentials import Credentials, find_credentials

HOST = "models.example:5000"
ME = {"auth": base64.b64encode(b"me:word").decode()}


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Write docker's configuration; programs of docker's are in the same folder."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def write(config: object) -> None:
        (tmp_path / "config.json").write_text(json.dumps(config))

    return write


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"token": "abc", "username": "you"}, Credentials(token="abc")),
        ({"token": None}, Credentials()),  # nobody, whatever docker says
        ({"username": "you", "password": "w"}, Credentials("you", "w")),
        ({"password": "w"}, Credentials(None, "w")),
    ],
)
def test_options_come_before_the_configuration(
    options: dict[str, Any], found: Credentials, configured: Callable[[object], None]
) -> None:
    configured({"auths": {HOST: ME}})
    assert find_credentials(HOST, options) == found


@pytest.mark.parametrize(
    ("host", "key"),
    [
        (HOST, HOST),
        (HOST, f"https://{HOST}"),
        ("docker.io", "https://index.docker.io/v1/"),
        ("index.docker.io", "https://index.docker.io/v1/"),
    ],
)
def test_a_registry_is_found_by_the_key_that_docker_gives_it(
    host: str, key: str, configured: Callable[[object], None]
) -> None:
    configured({"auths": {key: ME, "other.example": {"auth": "eDp5"}}})
    assert find_credentials(host, {}) == Credentials("me", "word")
    assert find_credentials("elsewhere.example", {}) == Credentials()


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ({"auth": base64.b64encode(b"me:wo:rd\0\0").decode()}, Credentials("me", "wo:rd")),
        ({"identitytoken": "abc"}, Credentials(identity="abc")),
        ({"registrytoken": "abc"}, Credentials(token="abc")),
        ({"auth": "%%%"}, Credentials()),
        ({"auth": 5}, Credentials()),
        ({"auth": base64.b64encode(b"\xff").decode()}, Credentials()),
        ({}, Credentials()),
        ("text", Credentials()),
    ],
)
def test_an_entry_says_who_it_is_or_nobody(
    entry: object, found: Credentials, configured: Callable[[object], None]
) -> None:
    configured({"auths": {HOST: entry}})
    assert find_credentials(HOST, {}) == found


@pytest.mark.parametrize(
    "config", ["", "[]", "{", '{"auths": []}', '{"auths": 3, "credHelpers": "x"}', "\udcff"]
)
def test_a_configuration_that_cannot_be_read_knows_nobody(
    config: str, configured: Callable[[object], None], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_bytes(config.encode("utf-8", "surrogateescape"))
    assert find_credentials(HOST, {}) == Credentials()
    (tmp_path / "config.json").unlink()
    assert find_credentials(HOST, {}) == Credentials()


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("""cat > asked; echo '{"Username": "you", "Secret": "s"}'""", Credentials("you", "s")),
        ("""echo '{"Username": "<token>", "Secret": "s"}'""", Credentials(identity="s")),
        ("""echo '{"Username": "you"}'""", Credentials("me", "word")),
        ("echo '[]'", Credentials("me", "word")),
        ("echo credentials not found; exit 1", Credentials("me", "word")),
    ],
)
@pytest.mark.parametrize("how", [{"credsStore": "here"}, {"credHelpers": {HOST: "here"}}])
def test_a_program_of_dockers_is_asked_first(
    how: dict[str, Any],
    script: str,
    found: Credentials,
    configured: Callable[[object], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "docker-credential-here"
    program.write_text(f"#!/bin/sh\n[ $1 = get ] && {script}\n")
    program.chmod(0o755)
    configured({"auths": {HOST: ME}, **how})
    assert find_credentials(HOST, {}) == found
    if (tmp_path / "asked").exists():
        assert (tmp_path / "asked").read_text() == HOST


def test_a_program_that_is_not_there_knows_nobody(configured: Callable[[object], None]) -> None:
    configured({"credsStore": "gone", "auths": {HOST: ME}})
    assert find_credentials(HOST, {}) == Credentials("me", "word")
