"""What every source keeps, wherever its bytes are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import fsspec
import pytest

from tests.servers import FileServer, serving
from wardian.archive.remote.early import EarlySource
from wardian.archive.remote.filesystems import FileSystemSource
from wardian.archive.remote.http import HttpSource
from wardian.archive.remote.oci.source import OciSource
from wardian.archive.remote.ranges import Span
from wardian.archive.remote.sources import ChangedError, Source, Tail

CONTENT = bytes(range(256)) * 20
OTHER = CONTENT[::-1]
DIGEST = "sha256:" + "a" * 64


class Place:
    """One file that can be exchanged, and a source of it."""

    def __init__(self, server: FileServer) -> None:
        self.server = server
        self.put(CONTENT)

    def put(self, content: bytes) -> None:
        layer = {
            "digest": f"sha256:{len(self.server.files):064}",
            "size": len(content),
            "annotations": {"org.opencontainers.image.title": "m.case"},
        }
        self.server.files |= {
            "m.case": content,
            "v2/me/m/manifests/latest": json.dumps({"layers": [layer]}).encode(),
            f"v2/me/m/blobs/{layer['digest']}": content,
        }
        fsspec.filesystem("memory").pipe("/m.case", content)

    def http(self) -> Source:
        return HttpSource(self.server.url("m.case"), {})

    def store(self) -> Source:
        return FileSystemSource("memory://m.case", {})

    def early(self) -> Source:
        return EarlySource(self.http(), [Span(0, 100)])

    def registry(self) -> Source:
        return OciSource(f"oci://127.0.0.1:{self.server.port}/me/m", {})


@pytest.fixture
def place() -> Iterator[Place]:
    with serving() as server:
        yield Place(server)
    fsspec.filesystem("memory").store.clear()


ALL = pytest.mark.parametrize("make", [Place.http, Place.store, Place.early, Place.registry])
Make = Callable[[Place], Source]


@ALL
@pytest.mark.parametrize("size", [1, 100, len(CONTENT) - 1, len(CONTENT), len(CONTENT) + 1, 1 << 20])
def test_the_end_is_what_was_asked_for_and_says_the_size(make: Make, size: int, place: Place) -> None:
    found = make(place).tail(size)
    assert found is not None
    assert (found.size, found.data) == (len(CONTENT), CONTENT[-size:])


@ALL
@pytest.mark.parametrize(
    "span", [Span(0, 1), Span(0, len(CONTENT)), Span(7, 300), Span(len(CONTENT) - 1, len(CONTENT))]
)
def test_a_range_is_what_was_asked_for(make: Make, span: Span, place: Place) -> None:
    source = make(place)
    assert source.read(*span) == CONTENT[span.start : span.stop]
    assert source.tail(10) is not None
    assert source.read(*span) == CONTENT[span.start : span.stop]


@ALL
def test_the_whole_comes_in_order(make: Make, place: Place) -> None:
    taken = bytearray()

    def take(offset: int, part: bytes, total: int | None) -> None:
        assert offset == len(taken)
        assert total in (None, len(CONTENT))
        taken.extend(part)

    make(place).download(take)
    assert taken == CONTENT


@ALL
def test_a_version_that_is_known_costs_no_end(make: Make, place: Place) -> None:
    found = make(place).tail(10)
    assert found is not None
    assert found.version is not None
    assert make(place).tail(10, found.version) is None
    place.put(OTHER)
    again = make(place).tail(10, found.version)
    assert again is not None
    assert again.data == OTHER[-10:]
    assert again.version != found.version


@ALL
def test_a_file_that_was_exchanged_is_never_read_as_the_one_whose_end_was(make: Make, place: Place) -> None:
    source = make(place)
    source.tail(10)
    place.put(OTHER)
    try:
        data = source.read(500, 600)
    except ChangedError:
        return
    # What is asked for by its digest is still there.
    assert data == CONTENT[500:600] or source.has_changed()


@ALL
def test_nothing_has_changed_where_nothing_did(make: Make, place: Place) -> None:
    source = make(place)
    assert isinstance(source.tail(10), Tail)
    source.read(0, 100)
    assert not source.has_changed()
