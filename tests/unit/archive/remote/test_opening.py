"""Cases by URL: what is asked of the server, and what becomes of servers that misbehave."""

from __future__ import annotations

import base64
import errno
import gzip
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.archives import Forged, contents, forge, table, write
from tests.servers import Asked, FileServer, Handler, serving
from wardian.archive import ArchiveReader
from wardian.archive.remote import copies, opening
from wardian.archive.remote.early import EarlySource
from wardian.archive.remote.exchange import Exchange
from wardian.archive.remote.http import HttpSource
from wardian.archive.remote.opening import Opening, open_copy_at
from wardian.archive.remote.ranges import Span
from wardian.domain.names import RecordName
from wardian.errors import CorruptCaseError, NotACaseError, RemoteError

MIB = 1 << 20
SIZES = (3 * MIB, 100, 5_000, 17 * MIB, 0, 70_000, 2 * MIB)
"""A storage that takes several requests, small ones that come with others, and an empty one."""


class _NotHeld:
    def release(self) -> None:
        pass


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    numbers = random.Random(7)
    storages = [numbers.randbytes(size) for size in SIZES]
    code = {f"mylib/m{i}.py": numbers.randbytes(100_000) for i in range(15)}
    return write(tmp_path_factory.mktemp("case") / "m.case", storages, code)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Exchange, "backoff", 0.0)


@pytest.fixture
def server(case: bytes) -> Iterator[FileServer]:
    with serving(files={"m.case": case}) as files:
        yield files


def storage(number: int) -> RecordName:
    return RecordName(f".data/{number}.storage")


def open_url(url: str, folder: Path, digest: str | None = None) -> ArchiveReader:
    archive = opening.open_remote(url, digest, Opening(folder=folder, hold=_hold))
    if archive.kind == "case":
        archive.expect(table(archive.manifest))
    return archive


def _hold(folder: Path) -> _NotHeld:
    folder.mkdir(exist_ok=True)
    return _NotHeld()


def _copies(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/model.case"))


def test_looking_takes_two_requests_and_the_tail(server: FileServer, case: bytes, tmp_path: Path) -> None:
    with open_url(server.url("m.case"), tmp_path) as archive:
        assert archive.read(RecordName("mylib/m3.py")) == contents(case)["mylib/m3.py"]
        assert len(archive.absent()) == 6  # all but the empty one
    assert server.asked[0].range == f"bytes=-{MIB}"
    assert len(server.asked) == 2
    assert server.sent < len(case) - sum(SIZES) + 4096
    assert os.stat(_copies(tmp_path)[0]).st_blocks * 512 < 2 * MIB


def test_weights_may_be_on_their_way_before_the_code_is_here(
    server: FileServer, case: bytes, tmp_path: Path
) -> None:
    came = threading.Event()

    def wait(handler: Handler, asked: Asked) -> bool:
        """Answer the request for code when one for weights has come."""
        assert asked.range is not None
        if asked.range.startswith("bytes=-"):
            server.faults = [wait] * 5
        elif int(asked.range[6:].partition("-")[0]) < sum(SIZES):
            came.set()
        else:
            assert came.wait(30)
        return False

    server.faults = [wait]
    how = Opening(folder=tmp_path, hold=_hold, ahead=True)
    with opening.open_remote(server.url("m.case"), None, how) as archive:
        archive.expect(table(archive.manifest))
        archive.fetch(archive.names)
        assert len(server.asked) == 5
        assert server.sent < len(case) + 4096
        assert not archive.absent()
    (copy,) = _copies(tmp_path)
    assert copy.read_bytes() == case


def test_what_is_on_its_way_serves_parts_of_it(server: FileServer, case: bytes) -> None:
    source = HttpSource(server.url("m.case"), {})
    early = EarlySource(source, [Span(100, 20 * MIB)])
    for start, stop in ((100, 200), (7 * MIB, 9 * MIB), (50, 150), (20 * MIB - 5, 20 * MIB), (3, 9)):
        assert early.read(start, stop) == case[start:stop]
    assert len(server.asked) == 5  # three at once; what begins before, and what lies before
    early.give_up()
    assert early.read(100, 200) == case[100:200]


def test_one_storage_costs_its_bytes(server: FileServer, case: bytes, tmp_path: Path) -> None:
    with open_url(server.url("m.case"), tmp_path) as archive:
        server.forget()
        archive.verify(storage(2))
        assert server.sent == 5_000
        assert archive.view(storage(2)) == contents(case)[storage(2)]
        assert len(server.asked) == 1


def test_all_storages_come_in_few_requests_and_the_copy_is_the_same_file(
    server: FileServer, case: bytes, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    archive = opening.open_remote(
        server.url("m.case"), None, Opening(folder=tmp_path, hold=_hold, told=lambda *n: told.append(n))
    )
    with archive:
        archive.expect(table(archive.manifest))
        server.forget()
        archive.fetch(archive.names)
        assert len(server.asked) == 3
        assert told[-2:] == [(sum(SIZES), sum(SIZES)), (0, 0)]
        server.forget()
        for name in archive.names:
            archive.verify(name, crc=True)
        assert not server.asked
    (copy,) = _copies(tmp_path)
    assert copy.read_bytes() == case
    assert not copies.LocalCopy.is_partial(copy)


def test_a_second_opening_asks_only_whether_the_file_is_the_same(server: FileServer, tmp_path: Path) -> None:
    with open_url(server.url("m.case"), tmp_path) as archive:
        archive.fetch([storage(3)])
        digest = archive.digest
    server.forget()
    with open_url(server.url("m.case"), tmp_path, digest) as archive:
        archive.verify(storage(3))
        assert len(server.asked) == 1
        assert server.sent == 0
        archive.fetch(archive.names)
    server.forget()
    with open_url("http://127.0.0.1:9/nobody.case", tmp_path, digest) as archive:  # by its digest alone
        archive.verify(storage(3))
        assert not server.asked


def test_what_is_not_here_is_never_zeros(server: FileServer, tmp_path: Path, case: bytes) -> None:
    wanted = contents(case)
    with open_url(server.url("m.case"), tmp_path) as archive:
        assert archive.part(0, len(case)) == case
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with open_url(server.url("m.case"), elsewhere) as archive:
        target = bytearray(SIZES[0])
        archive.read_into(storage(0), target)
        assert target == wanted[storage(0)]
        assert archive.begins(storage(5), 10) == wanted[storage(5)][:10]
        assert archive.read(storage(6)) == wanted[storage(6)]


@pytest.mark.parametrize("is_mapped", [True, False])
def test_a_copy_without_its_map_is_no_archive_until_it_is_whole(
    server: FileServer, tmp_path: Path, case: bytes, is_mapped: bool
) -> None:
    elsewhere = tmp_path / "elsewhere.case"
    with open_url(server.url("m.case"), tmp_path) as archive:
        (copy,) = _copies(tmp_path)
        archive.fetch([storage(2)])
        shutil.copy(copy, elsewhere)
        with pytest.raises(CorruptCaseError, match="not all is here; open the case by its URL"):
            ArchiveReader.open(elsewhere, mapped=is_mapped)
        assert bytes(archive.part(0, 8)) == case[:8]
        archive.fetch(archive.names)
        shutil.copy(copy, elsewhere)
        with ArchiveReader.open(elsewhere, mapped=is_mapped) as whole:
            assert whole.digest == archive.digest
        archive.verify(storage(3))
    with open_url(server.url("m.case"), tmp_path) as archive:
        with copy.open("r+b") as file:  # a bit that turns on the disk
            file.seek(4 * MIB)
            file.write(b"\0\1\2")
        archive.verify(storage(3))
    assert copy.read_bytes() == case


def test_a_copy_opened_by_its_path_fills_in_too(server: FileServer, tmp_path: Path, case: bytes) -> None:
    with open_url(server.url("m.case"), tmp_path):
        (copy,) = _copies(tmp_path)
        assert copies.LocalCopy.is_partial(copy)
        with open_copy_at(copy, Opening(folder=tmp_path, hold=_hold)) as archive:
            archive.expect(table(archive.manifest))
            assert archive.view(storage(0)) == contents(case)[storage(0)]
    (copy.parent / "origin").unlink()
    archive = open_copy_at(copy, Opening(folder=tmp_path, hold=_hold))
    with archive, pytest.raises(RemoteError, match="open it by its URL"):
        archive.view(storage(3))


# Servers that misbehave


def busy(handler: Handler, asked: Asked) -> bool:
    handler.answer(503, b"later", {"Retry-After": "0"})
    return True


def hang_up(handler: Handler, asked: Asked) -> bool:
    handler.close_connection = True
    handler.connection.close()
    return True


def short(handler: Handler, asked: Asked) -> bool:
    content = handler.server.files.files["m.case"]
    first, _, last = (asked.range or "").removeprefix("bytes=").partition("-")
    place = (int(first), int(last)) if first else (len(content) - int(last), len(content) - 1)
    headers = {"Content-Range": f"bytes {place[0]}-{place[1]}/{len(content)}", "ETag": handler.etag(content)}
    handler.answer(206, content[place[0] : place[0] + 10], headers, length=place[1] + 1 - place[0])
    return True


def fine(handler: Handler, asked: Asked) -> bool:
    return False


@pytest.mark.parametrize("faults", [[busy] * 5, [hang_up, busy, short], [fine, fine, short, hang_up, busy]])
def test_what_passes_is_repeated(
    faults: list[Callable[[Handler, Asked], bool]], server: FileServer, tmp_path: Path, case: bytes
) -> None:
    server.faults = faults
    with open_url(server.url("m.case"), tmp_path) as archive:
        archive.fetch(archive.names)
    assert _copies(tmp_path)[0].read_bytes() == case


def test_what_does_not_pass_is_an_error_that_says_it(server: FileServer, tmp_path: Path) -> None:
    url = server.url("m.case?sig=topsecret")
    server.faults = [busy] * 20
    with pytest.raises(RemoteError, match=r"m\.case cannot be read: the server answers 503") as caught:
        open_url(url, tmp_path)
    server.faults = [hang_up] * 20
    with pytest.raises(RemoteError, match=r"without response|reset") as caught:
        open_url(url, tmp_path)
    assert "topsecret" not in str(caught.value)
    assert caught.value.path == server.url("m.case")
    server.faults = []
    with pytest.raises(FileNotFoundError, match="HTTP 404"):
        open_url(server.url("nothing.case?sig=topsecret"), tmp_path)
    server.faults = [lambda handler, asked: handler.answer(403, b"") or True]  # type: ignore[func-returns-value]
    with pytest.raises(PermissionError, match="storage_options"):
        open_url(url, tmp_path)
    assert not _copies(tmp_path)


def test_a_server_without_ranges_sends_the_file_once(case: bytes, tmp_path: Path) -> None:
    with serving(files={"m.case": case}, ranges=False) as server:
        with open_url(server.url("m.case"), tmp_path) as archive:
            assert not archive.absent()
            archive.verify(storage(3))
        assert _copies(tmp_path)[0].read_bytes() == case
        server.forget()
        with open_url(server.url("m.case"), tmp_path):
            assert len(server.asked) == 1  # 304


@pytest.mark.parametrize("options", [{"suffixes": False}, {"etags": False}])
def test_servers_that_know_less_serve_as_well(options: dict[str, bool], case: bytes, tmp_path: Path) -> None:
    with (
        serving(files={"m.case": case}, **options) as server,
        open_url(server.url("m.case"), tmp_path) as archive,
    ):
        assert len(server.asked) <= 3
        archive.fetch(archive.names)
        assert _copies(tmp_path)[0].read_bytes() == case


def test_another_file_meanwhile_is_refused(server: FileServer, tmp_path: Path, case: bytes) -> None:
    other = write(tmp_path / "other.case", [bytes([7]) * size for size in SIZES], {"mylib/a.py": b"other"})
    with open_url(server.url("m.case"), tmp_path) as archive:
        server.files["m.case"] = other
        with pytest.raises(RemoteError, match=f"another file by now.*{archive.digest}"):
            archive.verify(storage(3))
        assert storage(3) in archive.absent()
    with open_url(server.url("m.case"), tmp_path) as archive:
        assert archive.read(RecordName("mylib/a.py")) == b"other"
    assert len(_copies(tmp_path)) == 2


def test_another_file_without_an_etag_is_refused_by_its_bytes(case: bytes, tmp_path: Path) -> None:
    altered = bytearray(case)
    altered[4 * MIB] ^= 1
    with (
        serving(files={"m.case": case}, etags=False) as server,
        open_url(server.url("m.case"), tmp_path) as archive,
    ):
        server.files["m.case"] = bytes(altered)
        with pytest.raises(CorruptCaseError, match=r"record '\.data/3\.storage'"):
            archive.verify(storage(3))
        archive.verify(storage(0))
        assert storage(3) in archive.absent()
        server.files["m.case"] = case + b"x"
        with pytest.raises(RemoteError, match="another file by now"):
            archive.verify(storage(3))


def test_another_file_of_the_same_size_is_told_without_an_etag(case: bytes, tmp_path: Path) -> None:
    other = bytearray(case)
    for place in (4 * MIB, -1000):  # a weight, and what tells of it
        other[place] ^= 1
    with (
        serving(files={"m.case": case}, etags=False) as server,
        open_url(server.url("m.case"), tmp_path) as archive,
    ):
        server.files["m.case"] = bytes(other)
        with pytest.raises(RemoteError, match="another file by now"):
            archive.verify(storage(3))
        assert storage(3) in archive.absent()


@pytest.mark.parametrize(
    ("status", "headers", "body", "told"),
    [
        (304, {}, b"", "the server answers 304"),
        (
            206,
            {"Content-Range": f"bytes {10**17 - MIB}-{10**17 - 1}/{10**17}"},
            bytes(MIB),
            "it has 100,000,000,000,000,000 bytes, as its server says",
        ),
    ],
)
def test_an_answer_that_cannot_be_meant_is_told(
    status: int, headers: dict[str, str], body: bytes, told: str, server: FileServer, tmp_path: Path
) -> None:
    def answer(handler: Handler, asked: Asked) -> bool:
        handler.answer(status, body, headers)
        return True

    server.faults = [answer]
    with pytest.raises(RemoteError, match=told) as caught:
        open_url(server.url("m.case"), tmp_path)
    assert server.url("m.case") in str(caught.value)


def test_a_file_that_changes_while_its_end_is_read_is_read_again(
    server: FileServer, tmp_path: Path, case: bytes
) -> None:
    other = write(tmp_path / "other.case", [b"x" * MIB], {"mylib/a.py": random.Random(1).randbytes(2 * MIB)})
    server.files["m.case"] = other

    def change(handler: Handler, asked: Asked) -> bool:
        server.files["m.case"] = case
        return False

    server.faults = [fine, change]
    with open_url(server.url("m.case"), tmp_path) as archive:
        assert RecordName("mylib/m3.py") in archive


def test_a_wrong_part_is_refused(server: FileServer, tmp_path: Path, case: bytes) -> None:
    def wrong(handler: Handler, asked: Asked) -> bool:
        handler.answer(206, case[:100], {"Content-Range": f"bytes 0-99/{len(case)}"})
        return True

    with open_url(server.url("m.case"), tmp_path) as archive:
        server.faults = [wrong]
        with pytest.raises(RemoteError, match=r"was asked for the bytes .* and sends 0 to 99"):
            archive.verify(storage(0))


def _part_as(place: str) -> Callable[[Handler, Asked], bool]:
    def answer(handler: Handler, asked: Asked) -> bool:
        content = handler.server.files.files["m.case"]
        wanted = int((asked.range or "").removeprefix("bytes=-"))
        headers = {"Content-Range": place.format(size=len(content), last=wanted - 1)}
        handler.answer(206, content[:wanted], headers)
        return True

    return answer


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("bytes 0-{last}/{size}", r"was asked for the last \d+ bytes and sends 0 to \d+"),
        ("bytes 5-4/100", r"was asked for the last \d+ bytes and sends 5 to 4"),
        ("bytes 0-0/0", "sends 0 to 0"),
        ("bytes 0-99/50", "sends 0 to 99"),
    ],
)
def test_another_part_than_the_end_is_no_damaged_file(
    place: str, told: str, server: FileServer, tmp_path: Path
) -> None:
    server.faults = [_part_as(place)]
    with pytest.raises(RemoteError, match=told):
        open_url(server.url("m.case"), tmp_path)
    assert len(server.asked) == 1
    assert not _copies(tmp_path)


@pytest.mark.parametrize("ranges", [False, True])
@pytest.mark.parametrize("encoding", ["gzip", "GZip", "br", "identity, gzip"])
def test_a_server_that_compresses_is_told_at_once(
    ranges: bool, encoding: str, case: bytes, tmp_path: Path
) -> None:
    def compress(handler: Handler, asked: Asked) -> bool:
        headers = {"Content-Encoding": encoding}
        if ranges:
            headers["Content-Range"] = f"bytes 0-{len(case) - 1}/{len(case)}"
        handler.answer(206 if ranges else 200, gzip.compress(case), headers)
        return True

    with serving(files={"m.case": case}, faults=[compress]) as server:
        with pytest.raises(RemoteError, match=r"the server compresses what it sends \((gzip|br)\)"):
            open_url(server.url("m.case"), tmp_path)
        assert len(server.asked) == 1
        assert server.asked[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("encoding", ["identity", "aws-chunked", ""])
def test_an_encoding_that_leaves_the_bytes_as_they_are_is_taken(
    encoding: str, case: bytes, tmp_path: Path
) -> None:
    def name_it(handler: Handler, asked: Asked) -> bool:
        handler.answer(200, case, {"Content-Encoding": encoding})
        return True

    with (
        serving(files={"m.case": case}, faults=[name_it]) as server,
        open_url(server.url("m.case"), tmp_path) as archive,
    ):
        archive.verify(storage(3))


def test_redirects_are_followed_and_headers_stay_with_their_host(case: bytes, tmp_path: Path) -> None:
    with serving(files={"m.case": case}) as there, serving() as here:
        target = there.url("m.case").replace("127.0.0.1", "localhost")

        def elsewhere(handler: Handler, asked: Asked) -> bool:
            here.faults.append(elsewhere)
            handler.answer(302, b"", {"Location": target})
            return True

        here.faults = [elsewhere]
        options = {"headers": {"X-Key": "topsecret", "Authorization": "Bearer topsecret"}}
        archive = opening.open_remote(
            here.url("m.case"), None, Opening(folder=tmp_path, hold=_hold, options=options)
        )
        with archive:
            archive.expect(table(archive.manifest))
            archive.verify(storage(0))
        assert all(asked.headers["X-Key"] == "topsecret" for asked in here.asked)
        assert there.asked
        assert not any("topsecret" in str(asked.headers) for asked in there.asked)


def test_the_proxy_of_the_environment_is_used(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"me:topsecret@127.0.0.1:{server.port}")
    monkeypatch.setenv("no_proxy", "localhost")
    with open_url("http://models.example/m.case", tmp_path) as archive:
        archive.verify(storage(0))
    assert server.asked[0].path == "http://models.example/m.case"
    assert server.asked[0].headers["Proxy-Authorization"].startswith("Basic ")


def test_passwords_of_a_url_are_sent_and_not_shown(server: FileServer, tmp_path: Path) -> None:
    url = server.url("m.case").replace("127.0.0.1", "me:topsecret@127.0.0.1")
    with open_url(url, tmp_path) as archive:
        assert archive.label == server.url("m.case")
    assert server.asked[0].headers["Authorization"].startswith("Basic ")
    assert not [path for path in tmp_path.rglob("*") if "topsecret" in str(path)]
    assert not [path for path in tmp_path.rglob("origin") if path.is_file()]


def test_an_escaped_password_is_sent_as_it_is_meant(server: FileServer) -> None:
    HttpSource(server.url("m.case").replace("127.0.0.1", "me:a%2Fb%40%E2%82%AC@127.0.0.1"), {}).read(0, 10)
    value = server.asked[0].headers["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(value) == "me:a/b@€".encode()


def test_a_password_of_netrc_is_sent(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password topsecret")
    monkeypatch.setenv("NETRC", str(netrc))
    options = {"headers": {"authorization": "Bearer mine"}}
    for source in (HttpSource.of_options(server.url("m.case"), given) for given in ({}, options)):
        source.read(0, 10)
    first, second = (asked.headers["Authorization"] for asked in server.asked)
    assert base64.b64decode(first.removeprefix("Basic ")) == b"me:topsecret"
    assert second == "Bearer mine"


def test_what_is_complete_is_not_written_again(server: FileServer, tmp_path: Path, case: bytes) -> None:
    """A storage in a gap between two that come together may be in use."""
    with open_url(server.url("m.case"), tmp_path) as archive:
        archive.fetch([storage(1)])
        altered = bytearray(case)
        offset, size = archive.location(storage(1))
        altered[offset : offset + size] = b"x" * size
        server.files["m.case"], server.etags = bytes(altered), False
        archive.fetch([storage(0), storage(2)])
        assert archive.view(storage(1)) == case[offset : offset + size]


def test_what_is_no_case_is_named(server: FileServer, tmp_path: Path) -> None:
    server.files |= {"a.txt": b"hello " * 1_000_000, "empty": b""}
    for name, word in (("a.txt", "a text file"), ("empty", "it is empty")):
        with pytest.raises(NotACaseError, match=rf"http://.*{name} is not a case.*{word}"):
            open_url(server.url(name), tmp_path)
    assert server.sent < 2 * MIB
    assert not _copies(tmp_path)
    assert not list(tmp_path.iterdir())


def test_damaged_ends_are_refused(server: FileServer, tmp_path: Path, case: bytes) -> None:
    for name, data in (("cut", case[:-1]), ("more", case + b"x"), ("tail", case[: 30 * MIB // 2])):
        server.files[name] = data
        with pytest.raises(CorruptCaseError, match=f"http://.*{name} is damaged"):
            open_url(server.url(name), tmp_path)
    assert not _copies(tmp_path)


def test_an_archive_of_torch_package_is_read_whole(server: FileServer, tmp_path: Path) -> None:
    records = {"mylib/a.py": b"x = 1\n", ".data/0.storage": bytes(3 * MIB), ".data/extern_modules": b""}
    entries = [Forged(b"a/" + name.encode(), content) for name, content in records.items()]
    server.files["a.pt"] = forge(entries, sealed=False)
    with open_url(server.url("a.pt"), tmp_path) as archive:
        assert archive.kind == "torch.package"
        assert archive.read(RecordName("mylib/a.py")) == b"x = 1\n"
        assert not archive.absent()


# The local copy


def test_a_damaged_copy_is_read_again(server: FileServer, tmp_path: Path, case: bytes) -> None:
    with open_url(server.url("m.case"), tmp_path) as archive:
        archive.fetch(archive.names)
    (copy,) = _copies(tmp_path)
    with copy.open("r+b") as file:
        file.seek(5 * MIB)
        file.write(b"damage")
    with open_url(server.url("m.case"), tmp_path) as archive:
        archive.verify(storage(3))
    assert copy.read_bytes() == case
    with copy.open("r+b") as file:
        file.truncate(len(case) - 5)
    with open_url(server.url("m.case"), tmp_path) as archive:
        archive.fetch(archive.names)
    assert _copies(tmp_path)[0].read_bytes() == case


def _damage_directory(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("by_digest", [False, True])
@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("model.case", Path.unlink),
        ("model.case", lambda path: os.truncate(path, 5 * MIB)),
        ("model.case", lambda path: os.truncate(path, 0)),
        ("model.case", _damage_directory),
        ("model.case.map", Path.unlink),
        ("model.case.map", lambda path: os.truncate(path, 0)),
        ("model.case.map", lambda path: os.truncate(path, 1)),
    ],
)
def test_a_copy_that_lost_a_part_never_gives_zeros(
    name: str, harm: Callable[[Path], None], by_digest: bool, server: FileServer, tmp_path: Path, case: bytes
) -> None:
    with open_url(server.url("m.case"), tmp_path) as archive:
        archive.fetch([storage(0), storage(3)])
        digest = archive.digest
    (copy,) = _copies(tmp_path)
    harm(copy.with_name(name))
    with open_url(server.url("m.case"), tmp_path, digest if by_digest else None) as archive:
        assert len(archive.absent()) == 6
        assert archive.part(0, len(case)) == case  # nothing is verified here
    assert copy.read_bytes() == case


def test_a_copy_that_was_being_made_or_removed_never_gives_zeros(
    server: FileServer, tmp_path: Path, case: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_url(server.url("m.case"), tmp_path) as archive:
        archive.fetch([storage(0)])
    (copy,) = _copies(tmp_path)
    unlink, replace = Path.unlink, os.replace

    def ends(path: Path, missing_ok: bool = False) -> None:
        if path == copy:
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    def ends_too(source: Path, target: Path) -> None:
        if target == copy:
            raise KeyboardInterrupt
        replace(source, target)

    _damage_directory(copy)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", ends)
        with pytest.raises(KeyboardInterrupt):
            open_url(server.url("m.case"), tmp_path)
    assert copy.exists()
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", ends_too)
        with pytest.raises(KeyboardInterrupt):
            open_url(server.url("m.case"), tmp_path)
    assert not copy.exists()
    with open_url(server.url("m.case"), tmp_path) as archive:
        assert archive.part(0, len(case)) == case


def test_an_archive_that_is_not_what_its_folder_is_named_for_is_read_again(
    server: FileServer, tmp_path: Path
) -> None:
    def package(code: bytes) -> bytes:
        records = {"mylib/a.py": code, ".data/0.storage": bytes(100), ".data/extern_modules": b""}
        return forge([Forged(b"a/" + n.encode(), c) for n, c in records.items()], sealed=False)

    right, wrong = package(b"x = 1\n"), package(b"x = 2\n")
    server.files["a.pt"] = right
    with open_url(server.url("a.pt"), tmp_path) as archive:
        fingerprint = archive.fingerprint
    (copy,) = _copies(tmp_path)
    for digest in (None, fingerprint):
        copy.write_bytes(wrong)
        with open_url(server.url("a.pt"), tmp_path, digest) as archive:
            assert archive.read(RecordName("mylib/a.py")) == b"x = 1\n"


def test_a_disk_that_is_full_from_the_start_is_named(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, offset: int, content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(opening, "write_at", full)
    with pytest.raises(OSError, match="WARDIAN_CACHE") as caught:
        open_url(server.url("m.case"), tmp_path)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path))
    with pytest.raises(OSError, match="WARDIAN_CACHE"), copies.room_in(tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path))  # of a folder that is made


def test_a_full_disk_is_an_error_and_nothing_counts_as_complete(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: bytes
) -> None:
    def full(descriptor: int, offset: int, content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with open_url(server.url("m.case"), tmp_path) as archive:
        with monkeypatch.context() as patch:
            patch.setattr(copies, "write_at", full)
            with pytest.raises(OSError, match="WARDIAN_CACHE") as caught:
                archive.fetch(archive.names)
            assert caught.value.errno == errno.ENOSPC
            server.forget()
            patch.setattr(shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1000}))
            with pytest.raises(OSError, match=r"the disk is full: [\d,]+ bytes are needed"):
                archive.fetch(archive.names)
            assert not server.asked
        assert len(archive.absent()) == 6
        archive.fetch(archive.names)
    assert _copies(tmp_path)[0].read_bytes() == case


_FILL = """
import sys
from pathlib import Path
from wardian.archive.remote.opening import Opening, open_remote
from tests.archives import table

class NotHeld:
    def release(self): pass

def hold(folder):
    folder.mkdir(exist_ok=True)
    return NotHeld()

archive = open_remote(sys.argv[1], None, Opening(folder=Path(sys.argv[2]), hold=hold))
archive.expect(table(archive.manifest))
archive.fetch(archive.names)
for name in archive.names:
    archive.verify(name)
"""


def _start(url: str, folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _FILL, url, str(folder)], env={**os.environ, "PYTHONPATH": "src:."}
    )


def test_a_process_that_is_killed_leaves_what_is_complete(
    server: FileServer, tmp_path: Path, case: bytes
) -> None:
    stopped, go_on = threading.Event(), threading.Event()

    def stop(handler: Handler, asked: Asked) -> bool:
        stopped.set()
        return go_on.wait(60)

    # Two for the end, then three for the storages: one of those of the largest never comes.
    server.faults = [fine, fine, fine, stop]
    process = _start(server.url("m.case"), tmp_path)
    assert stopped.wait(60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    go_on.set()
    server.forget()
    server.faults = []
    with open_url(server.url("m.case"), tmp_path) as archive:
        assert archive.absent()
        archive.fetch(archive.names)
        for name in archive.names:
            archive.verify(name, crc=True)
    assert _copies(tmp_path)[0].read_bytes() == case


def test_two_processes_at_once_read_everything_once(server: FileServer, tmp_path: Path, case: bytes) -> None:
    processes = [_start(server.url("m.case"), tmp_path) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    (copy,) = _copies(tmp_path)
    assert hashlib.sha256(copy.read_bytes()).digest() == hashlib.sha256(case).digest()
    ends = 2 * (len(case) - sum(SIZES) + 4096)
    assert server.sent <= sum(SIZES) + ends


def test_a_damaged_weight_of_a_server_without_ranges_is_damage(case: bytes, tmp_path: Path) -> None:
    damaged = bytearray(case)
    damaged[SIZES[0] // 2] ^= 1
    with serving(files={"m.case": bytes(damaged)}, ranges=False) as server:
        reader = open_url(server.url("m.case"), tmp_path)
        with reader, pytest.raises(CorruptCaseError, match=r"\.storage.*digest"):
            reader.verify(storage(0))
