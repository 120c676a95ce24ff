"""Facts and bytecode of sources that this process has read before.

A library does not change from one epoch to the next. Both are known by the content that they were made of,
and by all else that they depend on, within one process: one Python, one Wardian, one level of optimisation.
Nothing is kept on the
disk, so that nobody can put bytecode there that was not made of the source that it is packed with.
"""

from __future__ import annotations

import hashlib

from wardian.domain.names import ModuleName
from wardian.domain.source_facts import SourceFacts
from wardian.memory import Memory
from wardian.source.parsing import parse
from wardian.source.rewriting import compile_module, dump_code, mentioned
from wardian.source.scanning import scan

__all__ = ["compile_once", "scan_once"]

# BERT has 460 modules in the run, of 9 MB, and bytecode of 8 MB.
_facts: Memory[SourceFacts] = Memory(limit=64 << 20)
_code: Memory[bytes] = Memory(limit=64 << 20)


def scan_once(source: bytes, module: ModuleName, *, is_package: bool, file: str) -> SourceFacts:
    """Return what `wardian.source.scanning.scan` does, which is called once for equal arguments.

    >>> facts = scan_once(b"import mylib", ModuleName("app"), is_package=False, file="app.py")
    >>> facts is scan_once(b"import mylib", ModuleName("app"), is_package=False, file="app.py")
    True
    """

    def make() -> tuple[SourceFacts, int]:
        facts = scan(source, module, is_package=is_package, file=file, tree=parse(source, file))
        return facts, len(source)

    return _facts.get((hashlib.sha256(source).digest(), module, is_package, file), make)


def compile_once(
    source: bytes, module: ModuleName, *, is_package: bool, filename: str, roots: frozenset[str]
) -> bytes:
    """Return the bytes of the rewritten module, compiled once for equal arguments.

    Of *roots* only those matter that the source mentions.

    >>> app = ModuleName("app")
    >>> code = compile_once(b"x = 1", app, is_package=False, filename="app.py", roots=frozenset())
    >>> code[:1]
    b'c'
    """
    used = mentioned(roots, source)

    def make() -> tuple[bytes, int]:
        code = dump_code(compile_module(source, module, is_package=is_package, filename=filename, roots=used))
        return code, len(code)

    return _code.get((hashlib.sha256(source).digest(), module, is_package, filename, used), make)
