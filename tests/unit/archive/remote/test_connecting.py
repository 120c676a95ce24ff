"""Which source serves a URL; none is asked anything yet."""

from __future__ import annotations

import sys

import pytest

from wardian.archive.remote.connecting import connect
from wardian.archive.remote.filesystems import FileSystemSource
from wardian.archive.remote.http import HttpSource
from wardian.archive.remote.oci.source import OciSource
from wardian.errors import RemoteError


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("http://nobody.invalid/oak.case", HttpSource),
        ("HTTPS://nobody.invalid/oak.case", HttpSource),
        ("oci://nobody.invalid/me/oak:v1", OciSource),
        ("memory://models/oak.case", FileSystemSource),
        ("simplecache::memory://models/oak.case", FileSystemSource),
    ],
)
def test_the_scheme_says_which(url: str, source: type) -> None:
    assert type(connect(url, {})) is source


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://nobody.invalid/oak.case", r"storage_options of http\(s\) are headers, and not anon"),
        ("hf://me/oak/oak.case", "storage_options of hf:// are token and endpoint, not anon"),
        ("oci://nobody.invalid/me/oak", "storage_options of oci:// are .*, not anon"),
    ],
)
def test_options_that_a_scheme_does_not_have_are_named(url: str, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        connect(url, {"anon": True})


def test_the_client_of_the_hub_is_needed_for_the_hub_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(RemoteError, match=r"wardian\[hub\]"):
        connect("hf://me/oak/oak.case", {})
    connect("http://nobody.invalid/oak.case", {})
