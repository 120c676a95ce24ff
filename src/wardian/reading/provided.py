"""Which names the modules have that are installed here.

Modules are found as the import system finds them, and what a source binds is read from the source. If that
does not tell, as of compiled modules, only an import does.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import re
import symtable
import sys
from collections.abc import Iterable
from functools import lru_cache
from importlib.util import decode_source
from pathlib import Path

from wardian.domain.live_names import LIVE_PREFIX
from wardian.domain.names import ModuleName, normalised
from wardian.environment.distributions import Distributions
from wardian.environment.modules import find_module, find_spec, variables_of

__all__ = ["lacking"]

_BINDS_OTHERWISE = re.compile(
    rb"__getattr__|import\s*\*|\b(?:globals|vars|locals|setattr|exec|eval)\s*\(|\bmodules\b|__dict__"
)
"""Ways by which a module may have a name that its source does not bind."""


def lacking(names: Iterable[str], label: str, *, may_import: bool) -> tuple[list[str], dict[str, str]]:
    """Return the names that no module here has.

    Args:
        names: Dotted: the module, a dot, and the name.
        label: The distribution that should have them.
        may_import: Whether modules that it has installed may be imported to find out.

    Returns:
        The names, in their order, and why modules could not be imported, by their dotted names.
    """
    broken: dict[str, str] = {}
    sources: dict[str, _Source | None] = {}
    told = {dotted: _has(dotted, sources) for dotted in names}
    if may_import:
        owner = normalised(label)
        told |= {d: _exists(d, broken) for d, has in told.items() if has is None and _owner(d) == owner}
    return [dotted for dotted, has in told.items() if has is False], broken


def _owner(dotted: str) -> str | None:
    """Return the distribution that has installed the module of a dotted name of something in it."""
    module = ModuleName(dotted.rpartition(".")[0])
    return find_module(module, Distributions.current()).distribution


_Source = tuple[frozenset[str], bool]
"""The names that a module binds, and whether it may bind others in ways that no reading shows."""


def _has(dotted: str, sources: dict[str, _Source | None]) -> bool | None:
    """Tell whether a module has a name, None if only importing it would tell; nothing is imported.

    Args:
        dotted: The module, a dot, and the name.
        sources: What was read before, by the path of a module; filled.
    """
    module, _, attribute = dotted.rpartition(".")
    if f"{dotted}.".startswith(LIVE_PREFIX):  # of cases, which the names of another one have no say in
        return False
    if attribute in variables_of(sys.modules.get(module)) or find_spec(dotted) is not None:
        return True
    spec = find_spec(module)
    if spec is None:
        return None if module in sys.modules else False
    if spec.loader is None:
        return False  # a folder
    origin = spec.origin if spec.has_location else None
    if origin is None or not origin.endswith(tuple(importlib.machinery.SOURCE_SUFFIXES)):
        return None
    if origin not in sources:
        sources[origin] = _read_source(origin)
    known = sources[origin]
    return None if known is None else True if attribute in known[0] else None if known[1] else False


def _read_source(path: str) -> _Source | None:
    try:
        source = Path(path).read_bytes()
        return _names_of(source, path), _BINDS_OTHERWISE.search(source) is not None
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


@lru_cache(maxsize=8)
def _names_of(source: bytes, path: str) -> frozenset[str]:
    """Return the names that a module binds somewhere.

    Raises:
        SyntaxError, ValueError: if it is none.
    """
    queue = [symtable.symtable(decode_source(source), path, "exec")]
    found: set[str] = set()
    while queue:
        table = queue.pop()
        top = table.get_type() == "module"
        found.update(
            symbol.get_name()
            for symbol in table.get_symbols()
            if (symbol.is_assigned() or symbol.is_imported()) and (top or symbol.is_declared_global())
        )
        queue += table.get_children()
    return frozenset(found)


def _exists(dotted: str, broken: dict[str, str]) -> bool:
    """Tell whether a module has a name; note in *broken* what goes wrong when the module is imported."""
    module, _, attribute = dotted.rpartition(".")
    if module in broken:
        return False
    try:
        found = importlib.import_module(module)
        if not hasattr(found, attribute):
            importlib.import_module(dotted)
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever an installed library raises when it is imported
        if not isinstance(error, ModuleNotFoundError) or not f"{dotted}.".startswith(f"{error.name}."):
            broken[module] = f"{type(error).__name__}: {error}"
        return False
    return True
