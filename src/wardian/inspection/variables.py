"""Environment variables that code cannot do without, read off its source."""

from __future__ import annotations

import ast
from collections import Counter

from wardian.inspection.units import NOT_IMPORTED, items_of, units_of_source
from wardian.source.parsing import parse

__all__ = ["find_variables"]


def find_variables(source: bytes, module: str, record: str) -> dict[str, int]:
    r"""Return the environment variables that a module reads by name and with nothing in their place.

    A variable whose name stands anywhere else in the source is no such one: `if "RATE" in os.environ` may
    come before, or `os.environ.setdefault("RATE", "1")`. Only a function that sets it and does not read it
    counts for nothing: it may be what is called before packing.

    Args:
        source: The source.
        module: Its dotted name.
        record: Its record.

    Returns:
        The first line that reads each, in the order of the lines; nothing of what cannot be parsed.

    >>> find_variables(b"import os\nrate = os.environ['RATE']", "mill", "mill.py")
    {'RATE': 2}
    """
    if b"environ" not in source:
        return {}
    try:
        tree = parse(source, record)
        mine = units_of_source(tree, module, record)
    except (SyntaxError, RecursionError):
        return {}
    read: list[tuple[int, str, str]] = []
    mentioned: Counter[str] = Counter()
    for unit in mine.units:
        items = [item for item in items_of(mine, unit, {module: mine}) if item[0] == "os.environ"]
        own = {key for _, key, _, is_read in items if is_read}
        for _, key, line, is_read in items:
            if is_read:
                read.append((line, key, unit.name))
            if is_read or (unit.name and key not in own):
                mentioned[key] += 1
    texts = Counter(node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    found: dict[str, int] = {}
    for line, key, name in sorted(read):
        if name != NOT_IMPORTED and texts[key] <= mentioned[key]:
            found.setdefault(key, line)
    return found
