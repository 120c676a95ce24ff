"""Whether the user's policy counts: what one environment variable says."""

from __future__ import annotations

import os
from typing import Literal, get_args

from wardian.errors import PolicyFileError

__all__ = ["Mode", "TRUST_VARIABLE", "mode_here"]

TRUST_VARIABLE = "WARDIAN_TRUST"
"""Environment variable that says whether the user's policy counts."""

Mode = Literal["require", "warn", "off"]
"""Refuse what breaks the user's policy, warn of it, or do not look."""


def mode_here() -> Mode:
    """Return what the environment asks for; `off` if it says nothing.

    Raises:
        PolicyFileError: if it says nothing that is known: a slip of the pen must not let everything through.
    """
    said = os.environ.get(TRUST_VARIABLE) or "off"
    for mode in get_args(Mode):
        if said == mode:
            return mode  # type: ignore[no-any-return]
    *others, last = get_args(Mode)
    raise PolicyFileError(
        f"the variable {TRUST_VARIABLE} must be {', '.join(others)} or {last}, and is {said!r:.80}",
        path=TRUST_VARIABLE,
    )
