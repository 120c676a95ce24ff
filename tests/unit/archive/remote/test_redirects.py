"""Redirects that lead nowhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.servers import Asked, Handler, serving
from wardian.archive.remote.exchange import Exchange
from wardian.errors import RemoteError


def redirect(place: str) -> Callable[[Handler, Asked], bool]:
    def answer(handler: Handler, asked: Asked) -> bool:
        handler.answer(302, b"", {"Location": place})
        return True

    return answer


_NOWHERE = "the server redirects to what is no URL of a web server"


@pytest.mark.parametrize(
    ("place", "requests", "told"),
    [
        ("file:///etc/passwd", 1, _NOWHERE),
        ("//[bad/", 1, _NOWHERE),
        ("http://h:port/", 1, _NOWHERE),
        ("/m.case", 6, "too many redirects"),
    ],
)
def test_a_redirect_that_leads_nowhere_is_told_at_once(place: str, requests: int, told: str) -> None:
    with serving(faults=[redirect(place)] * 20) as server:
        with pytest.raises(RemoteError, match=told) as caught:
            Exchange(server.url("m.case"), {}).ask(lambda response: response.status)
        assert server.url("m.case") in str(caught.value)
        assert len(server.asked) == requests
