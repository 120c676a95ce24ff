"""Ranges of a file on an HTTP server, and answers that cannot be meant."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import Asked, FileServer, Handler, serving
from wardian.archive.remote.exchange import Exchange
from wardian.archive.remote.http import HttpSource
from wardian.archive.remote.sources import ChangedError, NoRangesError, Tail
from wardian.errors import RemoteError

CONTENT = bytes(range(256)) * 4


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Exchange, "backoff", 0.0)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(files={"m.case": CONTENT}) as files:
        yield files


@pytest.fixture
def source(server: FileServer) -> HttpSource:
    return HttpSource(server.url("m.case"), {})


def answering(status: int, body: bytes = b"", **headers: str) -> Callable[[Handler, Asked], bool]:
    """Answer so; underscores in the names of headers stand for hyphens."""

    def answer(handler: Handler, asked: Asked) -> bool:
        handler.answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})
        return True

    return answer


# Who asks


def test_a_user_of_the_url_is_sent_as_a_header_and_not_in_the_url(server: FileServer) -> None:
    url = f"http://me:wo%2Frd@127.0.0.1:{server.port}/m.case"
    HttpSource(url, {}).read(0, 1)
    plain = base64.b64encode(b"me:wo/rd").decode()
    assert server.asked[0].headers["Authorization"] == f"Basic {plain}"
    assert server.asked[0].path == "/m.case"
    with pytest.raises(FileNotFoundError) as caught:
        HttpSource(url.replace("m.case", "n.case"), {}).read(0, 1)
    assert "wo" not in str(caught.value)


def test_a_url_that_cannot_be_read_says_what_has_to_be_escaped() -> None:
    with pytest.raises(RemoteError, match=r"is no URL that can be read; in a user and a password, / is"):
        HttpSource("http://me:p#d[@models.example/m.case", {})
    with pytest.raises(RemoteError, match=r"is no URL that can be read$|is no URL that can be read\n"):
        HttpSource("http://models.example:port/m.case", {})


def test_headers_are_given_as_fsspec_has_them(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password word\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    given: list[dict[str, Any]] = [
        {},
        {"headers": {"X-Key": "1"}},
        {"headers": {"authorization": "Bearer abc"}},
        {"client_kwargs": {"headers": {"X-Key": "1"}}, "headers": {"X-Key": "2"}},
    ]
    for options in given:
        HttpSource.of_options(server.url("m.case"), options).read(0, 1)
    basic = f"Basic {base64.b64encode(b'me:word').decode()}"
    assert [(asked.headers.get("Authorization"), asked.headers.get("X-Key")) for asked in server.asked] == [
        (basic, None),
        (basic, "1"),
        ("Bearer abc", None),
        (basic, "2"),
    ]
    for wrong in ({"anon": 1}, {"client_kwargs": {"timeout": 1}}):
        with pytest.raises(TypeError, match="are headers, and not "):
            HttpSource.of_options(server.url("m.case"), wrong)


# The end


def test_an_empty_file_has_an_end(server: FileServer) -> None:
    server.files["m.case"] = b""
    found = HttpSource(server.url("m.case"), {}).tail(10)
    assert found is not None
    assert (found.size, found.data) == (0, b"")


@pytest.mark.parametrize("options", [{"suffixes": False}, {"etags": False}, {"ranges": False}])
def test_servers_know_more_or_less(options: dict[str, bool], server: FileServer) -> None:
    for name, value in options.items():
        setattr(server, name, value)
    source = HttpSource(server.url("m.case"), {})
    if not server.ranges:
        assert source.tail(len(CONTENT)) is not None  # all of it, in one answer
        with pytest.raises(NoRangesError):
            source.tail(10)
        with pytest.raises(NoRangesError):
            source.read(0, 10)
        return
    found = source.tail(10)
    assert found is not None
    assert (found.size, found.data) == (len(CONTENT), CONTENT[-10:])
    assert (found.version is None) is not server.etags
    assert source.read(0, 10) == CONTENT[:10]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (answering(206, CONTENT[-10:]), "sends a part and does not say which"),
        (answering(206, CONTENT[-10:], Content_Range="bytes 1014-1023/*"), "does not say which"),
        (answering(206, CONTENT[-10:], Content_Range=f"bytes 0-9/{10**19}"), "does not say which"),
        (
            answering(206, CONTENT[:10], Content_Range="bytes 0-9/1024"),
            "asked for the last 10 bytes and sends 0 to 9",
        ),
        (answering(204), "the server answers 204"),
        (answering(416, b"", Content_Range="bytes */1024"), "the server answers 416"),
        (answering(304), "the server answers 304"),
        (answering(200, b"x", Content_Encoding="gzip"), r"the server compresses what it sends \(gzip\)"),
        (answering(206, b"x", Content_Encoding="identity, BR"), r"compresses what it sends \(br\)"),
    ],
)
def test_an_answer_that_cannot_be_meant_is_told(
    answer: Callable[[Handler, Asked], bool], words: str, server: FileServer, source: HttpSource
) -> None:
    server.faults = [answer]
    with pytest.raises(RemoteError, match=words) as caught:
        source.tail(10)
    assert caught.value.path == server.url("m.case")


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (404, FileNotFoundError, "no such file"),
        (410, FileNotFoundError, r"HTTP 410"),
        (401, PermissionError, "go in ~/.netrc, and in Python other headers"),
        (403, PermissionError, r"HTTP 403"),
        (418, RemoteError, "the server answers 418"),
    ],
)
def test_a_refusal_is_an_error_that_says_what_helps(
    status: int, error: type[Exception], words: str, server: FileServer, source: HttpSource
) -> None:
    for use in (
        lambda: source.tail(10),
        lambda: source.read(0, 10),
        lambda: source.download(lambda *_: None),
    ):
        server.faults = [answering(status)]
        with pytest.raises(error, match=words):
            use()


# Ranges


def test_a_part_of_another_place_is_refused(server: FileServer, source: HttpSource) -> None:
    server.faults = [answering(206, CONTENT[5:10], Content_Range="bytes 5-9/1024")]
    with pytest.raises(RemoteError, match="asked for the bytes 0 to 9 and sends 5 to 9"):
        source.read(0, 10)


def test_a_body_with_other_bytes_than_its_range_is_asked_for_again(
    server: FileServer, source: HttpSource
) -> None:
    for body in (CONTENT[:9], CONTENT[:11]):
        server.faults = [answering(206, body, Content_Range="bytes 0-9/1024")]
        assert source.read(0, 10) == CONTENT[:10]
    server.faults = [answering(206, CONTENT[:9], Content_Range="bytes 0-9/1024")] * 20
    with pytest.raises(RemoteError, match="9 bytes came, and 10 were announced"):
        source.read(0, 10)


@pytest.mark.parametrize(
    "answer",
    [
        answering(412),
        answering(416),
        answering(206, CONTENT[:10], Content_Range="bytes 0-9/1024", ETag='"other"'),
        answering(206, CONTENT[:10], Content_Range="bytes 0-9/1025"),
        answering(200, CONTENT, ETag='"other"'),
    ],
)
def test_another_file_meanwhile_is_told(
    answer: Callable[[Handler, Asked], bool], server: FileServer, source: HttpSource
) -> None:
    source.tail(10)
    server.faults = [answer]
    with pytest.raises(ChangedError):
        source.read(0, 10)


def test_a_weak_version_is_compared_and_not_sent(server: FileServer, source: HttpSource) -> None:
    weak = answering(206, CONTENT[-10:], Content_Range="bytes 1014-1023/1024", ETag='W/"1"')
    server.faults = [weak]
    assert source.tail(10) == Tail(1024, 'W/"1"', CONTENT[-10:])
    server.faults = [answering(206, CONTENT[:10], Content_Range="bytes 0-9/1024", ETag='W/"1"')]
    source.read(0, 10)
    assert "If-Match" not in server.asked[-1].headers
    strong = HttpSource(server.url("m.case"), {})
    strong.tail(10)
    strong.read(0, 10)
    assert re.fullmatch('"[0-9a-f]{32}"', server.asked[-1].headers["If-Match"])


def test_without_versions_the_end_tells_a_change(server: FileServer) -> None:
    server.etags = False
    source = HttpSource(server.url("m.case"), {})
    assert not source.has_changed()  # nothing was read of it
    source.tail(10)
    assert not source.has_changed()
    server.files["m.case"] = os.urandom(len(CONTENT))
    assert source.has_changed()
    server.ranges = False
    assert not source.has_changed()  # nobody can tell


def test_the_whole_begins_anew_when_the_line_breaks(server: FileServer, source: HttpSource) -> None:
    def break_off(handler: Handler, asked: Asked) -> bool:
        handler.answer(200, CONTENT[:300], length=len(CONTENT))
        return True

    server.faults = [break_off]
    content = bytearray()

    def take(offset: int, part: bytes, total: int | None) -> None:
        assert total == len(CONTENT)
        del content[offset:]
        assert len(content) == offset
        content.extend(part)

    assert source.download(take) is not None
    assert content == CONTENT
