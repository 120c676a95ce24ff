"""Facts of the sources of libraries, kept in the cache folder from one process to the next.

A library does not change between two programs that pack, and parsing it is most of what is done while a
clean process runs. Facts are known by the digest of the source that they are of, and by the code that found
them. No code is kept, and nothing of code that no distribution brings.

Whoever could write there could let a module look as if it imported less than it does. The case would lack
what that module imports, and say so when it is asked for it; the proof runs what the inputs reach. The folder
is the user's alone (`wardian.environment.cache`).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import wardian.domain
from wardian.domain.graph import Import, ImportContext
from wardian.domain.names import ModuleName
from wardian.domain.source_facts import SourceFacts
from wardian.environment.cache import FACTS, cache_folder
from wardian.environment.kept import read_kept, write_kept
from wardian.forks import new_lock

__all__ = ["KeptFacts", "decode", "encode"]

_MOST = 16 << 20
"""Bytes of the facts of one library; of transformers all take 7 million. Above that the unused ones go."""

_EDGES = ("imports", "candidates", "walks")


class KeptFacts:
    """The facts that earlier processes have found, and those that this one finds; threads may share it."""

    def __init__(self) -> None:
        self._lock = new_lock()
        self._libraries: dict[str, _Library] = {}

    def find(
        self, library: str, source: bytes, module: ModuleName, *, is_package: bool, file: str
    ) -> SourceFacts | None:
        """Return the facts of a module; None if they are not kept.

        Args:
            library: Top-level name of the library.
            source: Of the module.
            module: Its name.
            is_package: Whether it is the `__init__` of a package.
            file: Path to name in the facts.
        """
        key = _key(source, module, is_package=is_package)
        with self._lock:
            known = self._library(library).find(key)
        try:
            return None if known is None else decode(known, module, file)
        # Not what `encode` gives, though its digest is right.
        except (ValueError, TypeError, KeyError, RecursionError):
            return None

    def note(
        self, library: str, source: bytes, facts: SourceFacts, module: ModuleName, *, is_package: bool
    ) -> None:
        """Keep facts of a module when `save` is called."""
        with self._lock:
            self._library(library).note(_key(source, module, is_package=is_package), encode(facts))

    def save(self) -> None:
        """Write what was noted, and forget what was read: in this process it is remembered."""
        with self._lock:
            libraries, self._libraries = self._libraries, {}
        for library in libraries.values():
            library.save()

    def _library(self, name: str) -> _Library:
        if name not in self._libraries:
            self._libraries[name] = _Library(_file(name))
        return self._libraries[name]


class _Library:
    """A file with a line for each module: digests of what the facts are of and of the line, and the facts."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._used: set[bytes] = set()
        self._is_new = False
        self._lines: dict[bytes, bytes] = {}
        if file is not None:
            parts = (line.partition(b" ") for line in read_kept(file, 2 * _MOST).splitlines())
            self._lines = {key: rest for key, _, rest in parts}

    def find(self, key: bytes) -> bytes | None:
        self._used.add(key)
        check, _, facts = self._lines.get(key, b"").partition(b" ")
        return facts if facts and check == _check(key, facts) else None

    def note(self, key: bytes, facts: bytes) -> None:
        self._used.add(key)
        self._is_new = True
        self._lines[key] = b"%s %s" % (_check(key, facts), facts)

    def save(self) -> None:
        if self._file is None:
            return
        if not self._is_new:
            with contextlib.suppress(OSError):
                os.utime(self._file)  # when it was last used
            return
        if sum(map(len, self._lines.values())) > _MOST:
            self._lines = {key: rest for key, rest in self._lines.items() if key in self._used}
        # Without the file the next process scans again; that is all.
        write_kept(self._file, (b"%s %s\n" % item for item in self._lines.items()))


def encode(facts: SourceFacts) -> bytes:
    """Return facts as one line, without the name and the path of the module."""
    plain: dict[str, Any] = {field.name: getattr(facts, field.name) for field in fields(facts)}
    for name in _EDGES:
        plain[name] = [[edge.imported, edge.line, edge.context] for edge in plain[name]]
    plain["operators"] = sorted(facts.operators)
    return json.dumps(plain, separators=(",", ":")).encode()


def decode(line: bytes, module: ModuleName, file: str) -> SourceFacts:
    """Return the facts of a line that `encode` made.

    >>> facts = SourceFacts((), (), False, False, frozenset(), False)
    >>> decode(encode(facts), ModuleName("app"), "app.py") == facts
    True
    """
    plain: dict[str, Any] = json.loads(line)
    for name in _EDGES:
        plain[name] = tuple(
            Import(module, ModuleName(sys.intern(imported)), number, _CONTEXTS[context], file)
            for imported, number, context in plain[name]
        )
    plain["operators"] = frozenset(plain["operators"])
    return SourceFacts(**plain)


_CONTEXTS = {str(context): context for context in ImportContext}


def _key(source: bytes, module: ModuleName, *, is_package: bool) -> bytes:
    digest = hashlib.sha256(source)
    digest.update(f"\0{module}\0{is_package}".encode())
    return digest.hexdigest().encode()


def _check(key: bytes, facts: bytes) -> bytes:
    return hashlib.sha256(b"%s %s" % (key, facts)).hexdigest()[:16].encode()


def _file(library: str) -> Path | None:
    """Return the file of a library; None if nothing can be kept."""
    # While sources are scanned, warnings are those of other people's code, and silent.
    folder, scanner = cache_folder(warns=False), _scanner()
    return None if folder is None or scanner is None else folder / FACTS / f"{library}-{scanner}"


@functools.cache
def _scanner() -> str | None:
    """Return what tells this code and this Python from those that find other facts; None without files."""
    digest = hashlib.sha256(sys.version.encode())
    try:
        for path in _sources():
            digest.update(path.read_bytes())
    except OSError:
        return None
    return digest.hexdigest()[:16]


def _sources() -> Iterable[Path]:
    domain = Path(*wardian.domain.__path__)
    yield from sorted(Path(__file__).parent.glob("*.py"))
    yield from (domain / "graph.py", domain / "names.py", domain / "source_facts.py")
