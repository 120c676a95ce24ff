"""Where a name that a user gives becomes an open archive."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archives import small
from tests.servers import FileServer, serving
from wardian.archive import ArchiveReader
from wardian.archive.remote import COPY
from wardian.errors import DigestMismatchError, NotACaseError, RemoteError
from wardian.reading import opening
from wardian.reading.opening import open_archive, opened_anew


@pytest.fixture
def path(tmp_path: Path) -> Path:
    small(tmp_path / "oak case.case")
    return tmp_path / "oak case.case"


@pytest.fixture
def server(path: Path, cache: Path) -> Iterator[FileServer]:
    with serving(files={"oak.case": path.read_bytes()}) as files:
        yield files


def test_a_case_may_be_named_in_many_ways(path: Path, server: FileServer) -> None:
    content = path.read_bytes()
    digests = set()
    for source in (
        path,
        str(path),
        path.as_uri(),
        content,
        bytearray(content),
        memoryview(content),
        io.BytesIO(content),
        server.url("oak.case"),
    ):
        with open_archive(source) as archive:
            digests.add(archive.digest)
    assert len(digests) == 1


def test_a_digest_that_is_asked_for_is_the_one_that_is_found(path: Path) -> None:
    with open_archive(path) as archive:
        digest = archive.fingerprint
    with open_archive(path, digest=digest) as archive:
        assert archive.fingerprint == digest
    wrong = "0" * 64
    with pytest.raises(DigestMismatchError, match=f"its digest is {digest}, not {wrong}") as caught:
        open_archive(path, digest=wrong)
    assert (caught.value.expected, caught.value.found, caught.value.path) == (wrong, digest, str(path))


@pytest.mark.parametrize("digest", ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 64 + "\n"])
def test_what_is_no_digest_is_refused_before_anything_is_opened(digest: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits in lower case"):
        open_archive("/nowhere.case", digest=digest)


def test_options_are_for_urls(path: Path) -> None:
    for source in (path, path.as_uri(), path.read_bytes()):
        with pytest.raises(TypeError, match="storage_options are for a URL, and this is none"):
            open_archive(source, storage_options={"anon": True})


def test_what_comes_of_a_url_stays_in_the_cache_folder(server: FileServer, cache: Path) -> None:
    with open_archive(server.url("oak.case")) as archive:
        digest = archive.digest
    (copy,) = cache.glob(f"remote/*/{COPY}")
    with open_archive("http://127.0.0.1:9/oak.case", digest=digest) as again:  # by its digest alone
        assert again.digest == digest
    with open_archive(copy) as local:
        assert local.digest == digest


def test_without_a_cache_folder_a_copy_lasts_as_long_as_the_process(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wardian.environment.cache.cache_folder", lambda: None)
    monkeypatch.setattr(opening, "_temporary", [])
    with open_archive(server.url("oak.case")) as archive:
        assert archive.path is not None
        place = archive.path
    assert place.exists()
    opening._temporary[0].cleanup()
    assert not place.exists()


def test_to_open_anew_takes_no_copy_that_is_here(server: FileServer, cache: Path, path: Path) -> None:
    url = server.url("oak.case")
    open_archive(url).close()
    before = {place for place in cache.rglob("*") if place.is_file()}
    server.forget()
    with opened_anew(url) as archive:
        archive.fetch(archive.names)
        assert archive.whole() == path.read_bytes()
    assert server.sent >= path.stat().st_size
    assert {place for place in cache.rglob("*") if place.is_file()} == before
    for source in (path, path.as_uri()):
        with opened_anew(source) as archive:
            assert archive.path == path


def test_what_is_no_case_is_named(tmp_path: Path) -> None:
    (tmp_path / COPY).write_bytes(b"%PDF-1.7")  # called as a copy is
    with pytest.raises(NotACaseError, match="PDF"):
        open_archive(tmp_path / COPY)
    with pytest.raises(FileNotFoundError):
        open_archive(tmp_path / "nowhere.case")
    with pytest.raises(RemoteError):
        open_archive("nothing-knows-this://oak.case")


def test_it_is_an_ordinary_reader(path: Path) -> None:
    with open_archive(path, mapped=False) as archive:
        assert type(archive) is ArchiveReader
