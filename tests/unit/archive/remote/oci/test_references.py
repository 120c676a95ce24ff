"""What an `oci://` URL names."""

from __future__ import annotations

from typing import Any

import pytest

from wardian.archive.remote.oci.references import Reference
from wardian.errors import RemoteError

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("url", "host", "name", "tag", "digest", "wanted"),
    [
        ("oci://r.example/oak", "r.example", "oak", None, None, "latest"),
        ("oci://r.example:5000/me/big_oak:V1.2-x", "r.example:5000", "me/big_oak", "V1.2-x", None, "V1.2-x"),
        (f"oci://r.example/oak@{DIGEST}", "r.example", "oak", None, DIGEST, DIGEST),
        (f"oci://r.example/oak:v1@{DIGEST}", "r.example", "oak", "v1", DIGEST, DIGEST),
        ("oci://[::1]:5000/oak:v1", "[::1]:5000", "oak", "v1", None, "v1"),
        (f"oci://r.example/oak:{'t' * 128}", "r.example", "oak", "t" * 128, None, "t" * 128),
    ],
)
def test_a_url_has_parts(
    url: str, host: str, name: str, tag: str | None, digest: str | None, wanted: str
) -> None:
    found = Reference.of(url, {})
    assert (found.host, found.name, found.tag, found.digest, found.wanted) == (
        host,
        name,
        tag,
        digest,
        wanted,
    )


@pytest.mark.parametrize(
    "url",
    [
        "oci://r.example",
        "oci://r.example/",
        "oci:///oak",
        "oci://r.example/Oak",
        "oci://r.example/oak/",
        "oci://r.example/../oak",
        "oci://r.example/oak:",
        f"oci://r.example/oak:{'t' * 129}",
        "oci://r.example/oak@sha256:12",
        f"oci://r.example/oak@{DIGEST}0",
        "oci://me:word@r.example/oak",
        "oci://r.example/oak?x=1",
        "oci://r.example/oak\n",
        "oci://r.example:port/oak",
    ],
)
def test_what_is_no_reference_is_refused(url: str) -> None:
    with pytest.raises(RemoteError, match="is no URL of a registry") as caught:
        Reference.of(url, {})
    assert "word" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "options", "base"),
    [
        ("oci://r.example/oak", {}, "https://r.example/v2/oak"),
        ("oci://r.example/oak", {"plain_http": True}, "http://r.example/v2/oak"),
        ("oci://localhost:5000/oak", {}, "http://localhost:5000/v2/oak"),
        ("oci://127.0.0.1/oak", {}, "http://127.0.0.1/v2/oak"),
        ("oci://[::1]:5000/oak", {}, "http://[::1]:5000/v2/oak"),
        ("oci://[::1]/oak", {}, "http://[::1]/v2/oak"),
        ("oci://localhost/oak", {"plain_http": False}, "https://localhost/v2/oak"),
        ("oci://docker.io/me/oak", {}, "https://registry-1.docker.io/v2/me/oak"),
    ],
)
def test_a_registry_is_asked_with_tls_unless_it_is_this_machine(
    url: str, options: dict[str, Any], base: str
) -> None:
    assert Reference.of(url, options).base == base


def test_a_pinned_url_names_the_same_and_stays() -> None:
    found = Reference.of("oci://r.example/oak:v1", {})
    assert found.pinned(DIGEST) == f"oci://r.example/oak:v1@{DIGEST}"
    assert Reference.of(found.pinned(DIGEST), {}).wanted == DIGEST
    assert Reference.of("oci://r.example/oak", {}).pinned(DIGEST) == f"oci://r.example/oak@{DIGEST}"


def test_options_that_there_are_not_are_named() -> None:
    with pytest.raises(TypeError, match="are password, plain_http, token, username, not headers, key"):
        Reference.of("oci://r.example/oak", {"key": 1, "headers": 2, "token": 3})
