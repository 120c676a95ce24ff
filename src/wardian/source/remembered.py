"""Facts and bytecode of sources that this process has read before.

A library does not change from one epoch to the next. Both are known by the content that they were made of,
and by all else that they depend on, within one process: one Python, one Wardian, one level of optimisation.
Facts of libraries are kept from one process to the next, too (`wardian.source.kept_facts`). Bytecode is not,
so that nobody can put some on the disk that was not made of the source that it is packed with.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Callable
from functools import partial

from wardian.domain.names import ModuleName
from wardian.domain.source_facts import SourceFacts
from wardian.memory import Memory
from wardian.source.kept_facts import KeptFacts
from wardian.source.locations import without_columns
from wardian.source.parsing import parse, with_whole_stack
from wardian.source.rewriting import compile_module, dump_code, mentioned
from wardian.source.scanning import scan

__all__ = ["compile_once", "keep_facts", "scan_once"]

# BERT has 460 modules in the run, of 9 MB, and bytecode of 8 MB.
_facts: Memory[SourceFacts] = Memory(limit=64 << 20)
_code: Memory[bytes] = Memory(limit=64 << 20)
_mentioned: Memory[frozenset[str]] = Memory(limit=4 << 20)
_kept = KeptFacts()


def scan_once(
    source: bytes,
    module: ModuleName,
    *,
    is_package: bool,
    file: str,
    library: str | None = None,
    tree: Callable[[], ast.Module] | None = None,
) -> SourceFacts:
    """Return what `wardian.source.scanning.scan` does, which is called once for equal arguments.

    Args:
        source: Of the module.
        module: As for `scan`.
        is_package: As for `scan`.
        file: As for `scan`.
        library: Top-level name of the library that has it, if the facts may be kept for other processes.
        tree: Returns what `parse` does for *source*, if somebody else asks for it, too.

    >>> facts = scan_once(b"import mylib", ModuleName("app"), is_package=False, file="app.py")
    >>> facts is scan_once(b"import mylib", ModuleName("app"), is_package=False, file="app.py")
    True
    """
    parsed = tree or partial(parse, source, file)

    def make() -> tuple[SourceFacts, int]:
        facts = None
        if library is not None:
            facts = _kept.find(library, source, module, is_package=is_package, file=file)
        if facts is None:
            facts = scan(source, module, is_package=is_package, file=file, tree=parsed())
            if library is not None:
                _kept.note(library, source, facts, module, is_package=is_package)
        return facts, len(source)

    return _facts.get((hashlib.sha256(source).digest(), module, is_package, file), make)


def keep_facts() -> None:
    """Keep the facts of libraries that were found since the last call for other processes."""
    _kept.save()


def compile_once(
    source: bytes,
    module: ModuleName,
    *,
    is_package: bool,
    filename: str,
    roots: frozenset[str],
    columns: bool,
    tree: Callable[[], ast.Module] | None = None,
) -> bytes:
    """Return the bytes of the rewritten module, compiled once for equal arguments.

    Of *roots* only those matter that the source mentions. Without *columns* it is what
    `wardian.source.locations.without_columns` makes of it. The other arguments are those of `compile_module`.

    >>> app = ModuleName("app")
    >>> options = {"is_package": False, "filename": "app.py", "roots": frozenset()}
    >>> whole = compile_once(b"x = 1", app, **options, columns=True)
    >>> len(whole) > len(compile_once(b"x = 1", app, **options, columns=False))
    True
    """
    digest = hashlib.sha256(source).digest()

    def find_used() -> tuple[frozenset[str], int]:
        found = mentioned(roots, source)
        return found, sys.getsizeof(found)

    used = _mentioned.get((digest, roots), find_used)

    def make() -> tuple[bytes, int]:
        code = compile_module(source, module, is_package=is_package, filename=filename, roots=used, tree=tree)
        if not columns:
            code = with_whole_stack(partial(without_columns, code), filename)
        data = dump_code(code)
        return data, len(data)

    return _code.get((digest, module, is_package, filename, used, columns), make)
