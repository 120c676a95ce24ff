"""What a registry is answered that asks who it is."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.servers import Asked, FileServer, Handler, serving
from wardian.archive.remote.exchange import Exchange
from wardian.archive.remote.oci.credentials import Credentials
from wardian.archive.remote.oci.login import RegistryLogin
from wardian.errors import RemoteError

SCOPE = "repository:me/m:pull"
NAMED = Credentials("me", "word")
BASIC = f"Basic {base64.b64encode(b'me:word').decode()}"


def login(credentials: Credentials = NAMED, *, plain: bool = False) -> RegistryLogin:
    return RegistryLogin(lambda: credentials, SCOPE, plain=plain)


def bearer(server: FileServer, more: str = 'service="models"') -> str:
    return f'Bearer realm="{server.url("token")}",{more}'


def test_a_token_of_the_registry_itself_is_the_answer_to_all() -> None:
    assert login(Credentials(token="abc")).answer([]) == "Bearer abc"


def test_a_password_is_given_where_one_is_asked_for_and_to_nobody_else() -> None:
    assert login().answer(['Basic realm="models"']) == BASIC
    assert login().answer(["basic"]) == BASIC
    assert login().answer(["Digest", 'Basic realm="models"']) == BASIC
    assert login().answer(["Digest"]) is None
    assert login(Credentials()).answer(['Basic realm="models"']) is None
    assert login(Credentials("me", None)).answer(["Basic"]) == f"Basic {base64.b64encode(b'me:').decode()}"


def test_a_service_of_tokens_is_asked_for_what_is_wanted() -> None:
    with serving(files={"token": b'{"token": "abc"}'}) as server:
        assert login().answer([bearer(server)]) == "Bearer abc"
        (asked,) = server.asked
        assert parse_qs(urlsplit(asked.path).query) == {"service": ["models"], "scope": [SCOPE]}
        assert asked.headers["Authorization"] == BASIC
        server.forget()
        assert login(Credentials()).answer([bearer(server).replace("/token", "/token?a=1")]) == "Bearer abc"
        assert urlsplit(server.asked[0].path).query.startswith("a=1&service=models&")
        assert "Authorization" not in server.asked[0].headers


def test_an_identity_token_goes_in_a_form() -> None:
    forms: list[dict[str, list[str]]] = []

    def take(handler: Handler) -> None:
        forms.append(parse_qs(handler.rfile.read(int(handler.headers["Content-Length"])).decode()))
        handler.answer(200, b'{"access_token": "abc"}')

    with pytest.MonkeyPatch.context() as patch, serving() as server:
        patch.setattr(Handler, "do_POST", take, raising=False)
        assert login(Credentials(identity="refresh me")).answer([bearer(server)]) == "Bearer abc"
    assert forms == [
        {
            "service": ["models"],
            "scope": [SCOPE],
            "grant_type": ["refresh_token"],
            "client_id": ["wardian"],
            "refresh_token": ["refresh me"],
        }
    ]


def test_a_password_goes_to_no_service_without_tls_unless_that_is_wished(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def ask(exchange: Exchange, *given: object, **named: object) -> str:
        asked.append(exchange._url.partition("?")[0])
        return "abc"

    monkeypatch.setattr(Exchange, "ask", ask)
    assert login().answer(['Bearer realm="http://auth.example/token"']) is None
    assert login().answer(['Bearer realm="ftp://127.0.0.1/token"']) is None
    assert login(plain=True).answer(['Bearer realm="ftp://auth.example/token"']) is None
    assert asked == []
    assert login(plain=True).answer(['Bearer realm="http://auth.example/token"']) == "Bearer abc"
    assert login().answer(['Bearer realm="https://auth.example/token"']) == "Bearer abc"
    assert login().answer(['Bearer realm="http://127.0.0.1/token"']) == "Bearer abc"
    assert len(asked) == 3


@pytest.mark.parametrize(
    "challenge",
    ['Bearer ,,,,=,=""', "Bearer realm=", "Bearer realm", 'Bearer realm="http://[::1/"', "Bearer", ""],
)
def test_a_challenge_that_says_nothing_has_no_answer(challenge: str) -> None:
    assert login().answer([challenge]) is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"token": "a\\r\\nX-Evil: 1"}',
        '{"token": "\N{SNOWMAN}"}'.encode(),
        b'{"token": "\\ud800"}',
        b'{"token": "\\u00e9"}',
        b'{"token": ""}',
        b'{"token": 5}',
        b'["token"]',
        b"[" * 100_000,
    ],
)
def test_a_token_that_no_header_carries_is_none(body: bytes) -> None:
    with serving(files={"token": body}) as server:
        assert login().answer([bearer(server, 'service="r",,')]) is None
        assert len(server.asked) == 1


def test_a_service_that_refuses_gives_none_and_one_that_is_busy_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Exchange, "backoff", 0.0)

    def busy(handler: Handler, asked: Asked) -> bool:
        handler.answer(503, b"", {"Retry-After": "0"})
        return True

    with serving() as server:
        assert login().answer([bearer(server)]) is None  # 404
        server.faults = [busy] * 20
        with pytest.raises(RemoteError, match="/token gives no token: the server answers 503"):
            login().answer([bearer(server)])


def test_who_asks_is_found_out_once_and_only_if_somebody_wants_to_know() -> None:
    found: list[int] = []

    def find() -> Credentials:
        found.append(1)
        return NAMED

    asking = RegistryLogin(find, SCOPE, plain=False)
    assert found == []
    for _ in range(2):
        asking.answer(["Basic"])
    assert found == [1]
