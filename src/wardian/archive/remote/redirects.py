"""Redirects that lead nowhere: seen before they are followed, since urllib3 would leave a connection open."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

import urllib3
from urllib3.exceptions import HTTPError

__all__ = ["CheckedPool", "NowhereError"]


class NowhereError(HTTPError):
    """A server says that the file is where no web server can be."""


class CheckedPool(urllib3.HTTPConnectionPool):
    """Connections whose redirects lead to web servers."""

    def urlopen(self, *given: Any, **named: Any) -> urllib3.BaseHTTPResponse:
        """Make a request, as urllib3 does.

        Raises:
            NowhereError: if the answer is a redirect to what is no URL of HTTP.
        """
        response = super().urlopen(*given, **named)
        place = response.get_redirect_location()
        if place and not _is_on_the_web(place):
            response.close()
            raise NowhereError("the server redirects to what is no URL of a web server")
        return response


def _is_on_the_web(place: str) -> bool:
    try:
        url = urllib3.util.parse_url(urljoin("http://here/", place))
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.host)
