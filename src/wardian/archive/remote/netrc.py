"""Who asks a web server, as `~/.netrc` says: the file that curl, git and pip read, too."""

from __future__ import annotations

import netrc
import os
from urllib.parse import urlsplit

import urllib3

__all__ = ["login_of"]

_VARIABLE = "NETRC"
"""Names another file, as for pip and requests."""


def login_of(url: str) -> dict[str, str]:
    """Return the header with the user and the password of a URL's host; nothing, if there are none.

    An entry `default` is not used: it would go to whatever host a URL names. A user in the URL comes first.
    """
    try:
        parts = urlsplit(url)
        if parts.username is not None or parts.hostname is None:
            return {}
        path = os.environ.get(_VARIABLE) or os.path.expanduser("~/.netrc")
        found = netrc.netrc(path).hosts.get(parts.hostname)
    except (OSError, ValueError, netrc.NetrcParseError):
        return {}  # the server tells whether it wants anybody
    if found is None:
        return {}
    plain = f"{found[0]}:{found[2]}".encode().decode("latin-1")  # which urllib3 encodes
    return urllib3.util.make_headers(basic_auth=plain)
