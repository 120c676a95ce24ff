"""What a URL is, and that its secrets are not shown."""

from __future__ import annotations

import pytest

from wardian.archive.remote.urls import redact, shown, stem_of, url_key

SIGNED = "https://me:pass-word@models.example:8443/a/resnet18.case?X-Amz-Signature=deadbeef#part"


def test_no_secret_is_shown() -> None:
    assert shown(SIGNED) == "https://models.example:8443/a/resnet18.case"
    assert shown("hf://me/demo@v1/model.case") == "hf://me/demo@v1/model.case"
    assert shown("simplecache::s3://key:secret@bucket/m.case") == "simplecache::s3://bucket/m.case"
    assert stem_of(SIGNED) == "resnet18"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://us:PW/SECRET66@host/e.case", "http://…@host/e.case"),
        ("http://us:PW#SECRET66@host/e.case", "http://…@host/e.case"),
        ("http://us:PW?SECRET66@host/e.case", "http://…@host/e.case"),
        ("http://us:80/SECRET66@host/e.case", "http://…@host/e.case"),
        ("http://us:a::SECRET66@host/e.case", "http://host/e.case"),
        ("http://us:SECRET66/@[bad/e.case", "http://…"),
        ("s3://key:PW/SECRET66@bucket/e.case", "s3://…@bucket/e.case"),
        ("zip://e.case::s3://key:PW/SECRET66@bucket/e.zip", "zip://e.case::s3://…@bucket/e.zip"),
        ("hf://SECRET66@x", "hf://x"),
        ("hf://SECRET66@me/demo/e.case", "hf://me/demo/e.case"),
        ("oci://us:PW/SECRET66@registry.example/m:v1", "oci://…@registry.example/m:v1"),
    ],
)
def test_what_should_have_been_escaped_is_not_shown(url: str, expected: str) -> None:
    assert shown(url) == expected
    assert "SECRET66" not in redact(f"{url}; SECRET66", url, {})


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.example/x@1.2/m.case",
        "s3://bucket/x@1.2/m.case",
        "file:///data/x@1.2/m.case",
        "hf://datasets/me/demo@refs/pr/1/m.case",
        "oci://127.0.0.1:5000/m:v1@sha256:" + "0" * 64,
    ],
)
def test_an_at_sign_in_a_path_is_shown(url: str) -> None:
    assert shown(url) == url


def test_what_others_say_is_redacted() -> None:
    said = f"GET {SIGNED} failed for pass-word with s3cr3t-token; https://cdn.example/x?sig=1"
    text = redact(said, SIGNED, {"client_kwargs": {"headers": {"Authorization": "s3cr3t-token"}}})
    assert text == f"GET {shown(SIGNED)} failed for … with …; https://cdn.example/x"


def test_what_others_say_is_one_line_that_no_terminal_obeys() -> None:
    basic = {"Authorization": "Basic bWU6cGFzcy13b3Jk"}  # me:pass-word
    assert redact("a\r\n\x1b[2Jb bWU6cGFzcy13b3Jk pass-word", "http://h/", basic) == r"a \x1b[2Jb … …"
    assert redact("no abcdefgh", "http://h/", {"headers": {"Authorization": "Bearer abcdefgh"}}) == "no …"
    assert len(redact("x" * 10_000, "http://h/", {})) < 1000


def test_the_name_for_a_url_tells_it_from_others_and_does_not_tell_it() -> None:
    assert url_key(SIGNED) != url_key(SIGNED.replace("deadbeef", "cafe"))
    assert set(url_key(SIGNED)) <= set("0123456789abcdef")
