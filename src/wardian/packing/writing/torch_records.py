"""Records by which torch.package reads a case, too."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable

from wardian.domain.graph import ImportContext
from wardian.domain.manifest import (
    Manifest,
)
from wardian.domain.modules import is_stdlib
from wardian.domain.names import ModuleName, RecordName, top_level
from wardian.domain.plan import Plan
from wardian.domain.record_names import BYTE_ORDER, EXTERN_MODULES, PYTHON_VERSION, VERSION

__all__ = ["records_for_torch_package"]


_IMPORT = re.compile(
    rb"import(?=[ \t]+([\w.]+(?:[ \t]+as[ \t]+\w+)?(?:[ \t]*,[ \t]*[\w.]+(?:[ \t]+as[ \t]+\w+)?)*)|[ \t(*])"
)
"""The word that every import has.

A search that starts with a literal is several times faster than one for the beginnings of lines.
"""


_BEGINNING = re.compile(rb"[;:]")
"""After what a statement can begin within a line."""


def records_for_torch_package(
    plan: Plan, sources: Iterable[bytes], manifest: Manifest, extern_modules: tuple[str, ...] | None
) -> dict[RecordName, bytes]:
    """Return the records by which `torch.package` knows an archive (docs/reference/format.md, 2)."""
    names = (
        list(extern_modules) if extern_modules is not None else _top_level_externs(plan, sources, manifest)
    )
    return {
        EXTERN_MODULES: "".join(f"{name}\n" for name in names).encode(),
        PYTHON_VERSION: platform.python_version().encode(),
        VERSION: b"6\n",
        BYTE_ORDER: sys.byteorder.encode(),
    }


def _top_level_externs(plan: Plan, sources: Iterable[bytes], manifest: Manifest) -> list[str]:
    outside: set[str] = {top_level(module) for extern in plan.externs for module in extern.modules}
    for edge in plan.graph:
        if edge.context is ImportContext.PICKLED and is_stdlib(edge.imported):
            outside.add(top_level(edge.imported))
    names: set[bytes] = set()
    for source in sources:
        for match in _IMPORT.finditer(source):
            line = source[source.rfind(b"\n", 0, match.start()) + 1 : match.start()]
            before = _BEGINNING.split(line)[-1].split()
            if before[:1] == [b"from"] and len(before) == 2:
                names.add(before[1])
            elif not before and match[1] is not None:
                names.update(part.split()[0] for part in match[1].split(b","))
    tops = {top_level(name.decode("utf-8", "replace")) for name in names}
    outside |= {top for top in tops if is_stdlib(ModuleName(top))}
    return sorted(outside - manifest.roots - {"__main__"})
