"""Requests over HTTP: what is repeated, and what is not."""

from __future__ import annotations

import itertools
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import urllib3

from tests.servers import Asked, Handler, serving
from wardian.archive.remote import pace
from wardian.archive.remote.exchange import Exchange
from wardian.errors import RemoteError, WardianWarning


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Exchange, "backoff", 0.0)


def status_of(response: urllib3.BaseHTTPResponse) -> int:
    return response.status


class _Login:
    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def answer(self, challenges: list[str]) -> str | None:
        self.asked.append(challenges)
        return f"Bearer {len(self.asked)}"


def wants(token: str) -> object:
    def answer(handler: Handler, asked: Asked) -> bool:
        if asked.headers.get("Authorization") != token:
            handler.answer(401, b"", {"WWW-Authenticate": "Bearer"})
            return True
        return False

    return answer


def test_a_token_that_is_over_is_renewed_once() -> None:
    login = _Login()
    with serving(files={"m.case": b"m"}) as server:
        exchange = Exchange(server.url("m.case"), {}, login)
        server.faults = [wants("Bearer 1"), wants("Bearer 1")]  # type: ignore[list-item]
        assert exchange.ask(status_of) == 200
        assert exchange.ask(status_of) == 200
        assert login.asked == [["Bearer"]]
        server.faults = [wants("Bearer 2"), wants("Bearer 2")]  # type: ignore[list-item]
        assert exchange.ask(status_of) == 200
        server.faults = [wants("Bearer nobody's"), wants("Bearer nobody's")]  # type: ignore[list-item]
        assert exchange.ask(status_of) == 401


def test_threads_that_wait_for_one_token_ask_once() -> None:
    login = _Login()
    together = threading.Barrier(4)

    def wait(handler: Handler, asked: Asked) -> bool:
        together.wait()
        handler.answer(401, b"", {"WWW-Authenticate": "Bearer"})
        return True

    with serving(files={"m.case": b"m"}) as server, ThreadPoolExecutor(4) as threads:
        server.faults = [wait] * 4
        exchange = Exchange(server.url("m.case"), {}, login)
        assert list(threads.map(lambda _: exchange.ask(status_of), range(4))) == [200] * 4
        assert len(login.asked) == 1


@pytest.mark.parametrize(
    "wait", ["-5", "soon", "", "1.5", "nan", "Mon, 30 Nov 99999999 00:00:00 GMT", "9" * 5000, "0"]
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_that_says_no_time_is_asked_again(status: int, wait: str) -> None:
    def busy(handler: Handler, asked: Asked) -> bool:
        handler.answer(status, b"", {"Retry-After": wait})
        return True

    with serving(files={"m.case": b"m"}, faults=[busy]) as server:
        assert Exchange(server.url("m.case"), {}).ask(status_of) == 200
        server.faults = [busy] * 20
        with pytest.raises(RemoteError, match=f"the server answers {status}"):
            Exchange(server.url("m.case"), {}).ask(status_of)


def test_what_waiting_does_not_mend_is_tried_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        refused = f"http://127.0.0.1:{unused.getsockname()[1]}/m.case"
        asked = []
        for url, why in ((refused, "refused"), ("http://nobody.invalid/m.case", "resolve 'nobody.invalid'")):
            exchange = Exchange(url, {})
            new_pool = exchange._pool

            def counted() -> urllib3.PoolManager:
                asked.append(url)  # noqa: B023  called in this round only
                return new_pool()  # noqa: B023

            monkeypatch.setattr(exchange, "_pool", counted)
            with pytest.raises(RemoteError, match=why):
                exchange.ask(status_of)
            assert asked.count(url) == 2


def test_another_host_that_refuses_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        monkeypatch.setattr(
            "urllib3.util.connection.create_connection",
            lambda address, *rest, **more: socket.create_connection(("127.0.0.1", port)),
        )
        exchange = Exchange("http://models.example/m.case", {})
        new_pool, asked = exchange._pool, []

        def counted() -> urllib3.PoolManager:
            asked.append(1)
            return new_pool()

        monkeypatch.setattr(exchange, "_pool", counted)
        with pytest.raises(RemoteError, match="refused"):
            exchange.ask(status_of)
        assert len(asked) == 7


def _whole(response: urllib3.BaseHTTPResponse) -> bytes:
    return b"".join(response.stream())


@pytest.fixture
def _slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each look at the clock be an hour after the one before."""
    monkeypatch.setattr(pace, "_clock", itertools.count(0.0, 3600.0).__next__)


@pytest.mark.usefixtures("_slowly")
@pytest.mark.parametrize("least", ["", "100"])
def test_a_server_that_sends_too_slowly_is_given_up_after_two_tries(
    monkeypatch: pytest.MonkeyPatch, least: str
) -> None:
    monkeypatch.setenv(pace.SPEED_VARIABLE, least)
    with serving(files={"m.case": bytes(1 << 17)}) as server:
        exchange = Exchange(server.url("m.case"), {})
        with pytest.raises(
            RemoteError, match=f"fewer than {least or '1,024'} bytes come in a second; WARDIAN"
        ):
            exchange.ask(_whole)
        assert len(server.asked) == 2


@pytest.mark.usefixtures("_slowly")
def test_headers_that_come_too_slowly_count_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(handler: Handler, asked: Asked) -> bool:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: 1\r\n" % i for i in range(2_000)))
        handler.close_connection = True
        return True

    monkeypatch.setattr("http.client._MAXHEADERS", 10_000)
    with serving(faults=[endless] * 2) as server:
        exchange = Exchange(server.url("m.case"), {})
        with pytest.raises(RemoteError, match="fewer than"):
            exchange.ask(_whole)
        assert len(server.asked) == 2


@pytest.mark.usefixtures("_slowly")
def test_without_a_least_speed_all_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(pace.SPEED_VARIABLE, "0")
    with serving(files={"m.case": bytes(1 << 17)}) as server:
        assert Exchange(server.url("m.case"), {}).ask(_whole) == bytes(1 << 17)
    assert pace.time_for(1 << 20) is None


def test_a_least_speed_that_is_no_number_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(pace.SPEED_VARIABLE, "fast")
    with pytest.warns(WardianWarning, match="WARDIAN_MIN_SPEED is 'fast' and must be a number of bytes"):
        assert pace.least_speed() == 1024


def test_what_a_server_says_is_shown_without_secrets_and_control_characters() -> None:
    def echo(handler: Handler, asked: Asked) -> bool:
        handler.send_response_only(503, f"\x1b[2J{asked.headers['X-Key']} {asked.headers['Authorization']}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    headers = {"X-Key": "topsecret", "Authorization": "Bearer alsosecret"}
    with serving(faults=[echo] * 7) as server, pytest.raises(RemoteError) as caught:
        Exchange(server.url("m.case"), headers).ask(status_of)
    assert r"the server answers 503 \x1b[2J… …" in str(caught.value).splitlines()[0]


def test_what_a_server_says_of_a_token_that_it_gave_is_not_shown() -> None:
    def echo(handler: Handler, asked: Asked) -> bool:
        handler.send_response_only(503, asked.headers["Authorization"])
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    class Login:
        def answer(self, challenges: list[str]) -> str:
            return "Bearer topsecret"

    with (
        serving(faults=[wants("Bearer topsecret"), *[echo] * 7]) as server,
        pytest.raises(RemoteError, match=r"(?m)answers 503 …$"),
    ):
        Exchange(server.url("m.case"), {}, Login()).ask(status_of)
