"""Facts and bytecode of sources that this process has read before.

A library does not change from one epoch to the next. Both are known by the content that they were made of,
and by all else that they depend on, within one process: one Python, one Wardian, one level of optimisation.
Nothing is kept on the
disk, so that nobody can put bytecode there that was not made of the source that it is packed with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from wardian.domain.names import ModuleName
from wardian.domain.source_facts import SourceFacts
from wardian.forks import new_lock
from wardian.source.parsing import parse
from wardian.source.rewriting import compile_module, dump_code, mentioned
from wardian.source.scanning import scan

__all__ = ["Memory", "compile_once", "scan_once"]

_V = TypeVar("_V")


class Memory(Generic[_V]):
    """Values by key, the oldest of which go when there are too many; threads may share it.

    Args:
        limit: Most bytes that the values may take, by what `get` is told of their size.

    >>> memory: Memory[str] = Memory(limit=100)
    >>> memory.get("key", lambda: ("value", 60)), memory.get("key", lambda: ("never made", 1))
    ('value', 'value')
    >>> memory.get("other", lambda: ("value", 60)), memory.get("key", lambda: ("made again", 60))
    ('value', 'made again')
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._values: dict[Hashable, tuple[_V, int]] = {}
        self._lock = new_lock()

    def get(self, key: Hashable, make: Callable[[], tuple[_V, int]]) -> _V:
        """Return the value of *key*; *make* gives it, with its size in bytes, if it is not known."""
        with self._lock:
            known = self._values.pop(key, None)
            if known is not None:
                self._values[key] = known  # the last to go
                return known[0]
        value, size = make()
        with self._lock:
            before = self._values.pop(key, None)
            self._size += size - (0 if before is None else before[1])
            self._values[key] = value, size
            while self._size > self._limit:
                self._size -= self._values.pop(next(iter(self._values)))[1]
        return value


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
