"""Use the installed library instead of the packed copy where their sources are the same."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from wardian.domain.manifest import Manifest
from wardian.domain.names import ModuleName
from wardian.environment.distributions import Distributions
from wardian.environment.modules import find_module

__all__ = ["find_shared"]


def find_shared(manifest: Manifest) -> frozenset[str]:
    """Return the packed top-level names whose every source is installed here, byte for byte.

    Nothing is imported.
    """
    distributions = Distributions.current()
    sources: dict[str, list[tuple[str, str]]] = {}
    for record, digest in manifest.records.items():
        if record.endswith(".py") and not record.startswith("."):
            sources.setdefault(record.partition("/")[0].removesuffix(".py"), []).append((record, digest.hex))
    shared = set()
    for packed in manifest.distributions:
        for top in packed.roots:
            file = find_module(ModuleName(top), distributions).file
            if file is None or top not in sources:
                continue
            folder = os.path.dirname(file)
            above = os.path.dirname(folder) if file.endswith("__init__.py") else folder
            if all(_same(os.path.join(above, record), digest) for record, digest in sources[top]):
                shared.add(top)
    return frozenset(shared)


def _same(path: str, digest: str) -> bool:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest() == digest
    except OSError:
        return False
