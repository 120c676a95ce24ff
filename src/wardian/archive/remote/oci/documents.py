"""Documents that a registry sends."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["read_json"]


def read_json(body: bytes) -> Any:
    """Return the document that a body is.

    Raises:
        ValueError: if it is no JSON, or has more brackets in brackets than Python reads.
    """
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("it has too many brackets in brackets") from None
