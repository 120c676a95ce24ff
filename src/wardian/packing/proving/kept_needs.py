"""The libraries that proven cases need, kept in the cache folder from one process to the next.

Which of them the process of a proof may import must be known when it begins, or guessed. What a case of the
same classes needed the last time is the best guess, long before the object has run. Nothing else depends on
it: a process that was begun with a wrong guess does not serve (`wardian.packing.proving.beginnings`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from wardian.domain.manifest import Manifest
from wardian.environment.cache import FACTS, cache_folder
from wardian.environment.kept import read_kept, write_kept

__all__ = ["find_needs", "keep_needs"]

_MANY = 512
"""Cases of other classes that are remembered, the last ones."""
_MOST = 1 << 20
"""Bytes of the file."""


def find_needs(modules: Iterable[str]) -> list[str] | None:
    """Return the distributions that a case needed whose pickle named the same modules.

    Args:
        modules: The modules that a pickle names, by their original names.

    Returns:
        Their names, in order; None if nothing is known of such a case.
    """
    file = _file()
    return None if file is None else _read(file).get(_key(modules))


def keep_needs(modules: Iterable[str], manifest: Manifest) -> None:
    """Remember what a case needs that was proven.

    Args:
        modules: As for `find_needs`.
        manifest: Of the case.
    """
    file, key = _file(), _key(modules)
    if file is None:
        return
    needs = sorted({e.distribution for e in manifest.externs if e.distribution is not None and not e.soft})
    known = _read(file)
    if known.get(key) != needs:
        known.pop(key, None)
        rows = [*list(known.items())[1 - _MANY :], (key, needs)]
        while len(data := json.dumps(dict(rows), separators=(",", ":")).encode()) > _MOST:
            rows = rows[len(rows) // 2 :] if len(rows) > 1 else []
        write_kept(file, [data])


def _read(file: Path) -> dict[str, list[str]]:
    try:
        found = json.loads(read_kept(file, _MOST) or b"{}")
    except (ValueError, RecursionError):
        return {}
    return {
        str(key): list(map(str, needs))
        for key, needs in (found.items() if isinstance(found, dict) else ())
        if isinstance(needs, list)
    }


def _key(modules: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(modules)).encode()).hexdigest()[:32]


def _file() -> Path | None:
    folder = cache_folder(warns=False)
    return None if folder is None else folder / FACTS / "needs-1.json"
