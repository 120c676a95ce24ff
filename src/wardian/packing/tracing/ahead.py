"""Make code ready that a case will have while the clean process runs, which this one waits for."""

from __future__ import annotations

import contextlib
import functools
import importlib.machinery
import os
import sys
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from wardian.archive.batches import MOST_LASTING, pack_lasting
from wardian.domain.live_names import original_name
from wardian.domain.modules import TORCH, is_always_there
from wardian.domain.names import ModuleName, top_level
from wardian.environment.distributions import Distributions
from wardian.environment.modules import variables_of
from wardian.environment.native import mapped_libraries
from wardian.memory import Memory
from wardian.packing.writing.bytecode import compiled
from wardian.source.parsing import batch, parse
from wardian.source.remembered import keep_facts, scan_once

__all__ = ["keeping_facts", "reading_ahead"]


class _Source(NamedTuple):
    module: ModuleName
    is_package: bool
    file: str
    of_distribution: bool
    """Whether an installed distribution brings it; of sources in place everything is the user's own."""

    @property
    def record(self) -> str:
        return self.module.replace(".", "/") + ("/__init__.py" if self.is_package else ".py")


@contextmanager
def reading_ahead(named: Iterable[str], then: Callable[[], None] | None = None) -> Iterator[None]:
    """Scan, compile and then deflate, while the context lasts, modules that are likely to be packed.

    It is a guess, of which nothing but time depends: what it reads is remembered by its content, and is asked
    for as if nothing had been read. Python has one lock for all threads, so it pays while this thread waits
    for another process. What was made ready for an earlier pack is not read again.

    Args:
        named: Full names of modules that the pickle names.
        then: Called, by another thread, when all is ready and the context still lasts.
    """
    sources, roots, libraries = _likely(named)
    stop = threading.Event()

    def read() -> None:
        sound: list[_Source] = []
        for source in sources:
            if stop.is_set():
                return
            if _make_ready(source.file, _compile, source, roots):
                sound.append(source)
        for source in sound:
            if stop.is_set():
                return
            _make_ready(source.file, _deflate, source, roots)
        for path in libraries:
            if stop.is_set():
                return
            _make_ready(path, pack_lasting)
        if then is not None and not stop.is_set():
            then()

    thread = threading.Thread(target=read, name="wardian-ahead", daemon=True)
    # The settings of `batch` are those of the process: this thread, which waits, makes and takes them back.
    with batch():
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@contextmanager
def keeping_facts() -> Iterator[None]:
    """Keep, while the context lasts, what was found out of libraries for other processes that pack."""
    thread = threading.Thread(target=keep_facts, name="wardian-facts", daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()


# Sources count twice, so it knows of as much as `wardian.source.remembered` keeps.
_ready: Memory[None] = Memory(limit=128 << 20)


def _make_ready(file: str, stage: Callable[..., object], *arguments: Hashable) -> bool:
    """Call *stage* with the content of a file and the arguments, unless that was done since the file changed.

    A new thread gets one of several heaps of the C library, and each of these keeps for good what it needed
    once. So a thread that reads all files again for each pack lets the process grow until every heap has.

    Returns:
        Whether it is ready: the file can be read, is not too large to be remembered, and has no error.
    """
    # What is no source of this Python is told of when it is asked for.
    with contextlib.suppress(OSError, SyntaxError):
        # Before it is read: what changes meanwhile has another time.
        status = os.stat(file)

        def make() -> tuple[None, int]:
            stage(Path(file).read_bytes(), *arguments)
            return None, status.st_size

        if status.st_size <= MOST_LASTING:
            _ready.get((file, status.st_mtime_ns, status.st_size, status.st_ino, stage, *arguments), make)
            return True
    return False


def _compile(content: bytes, source: _Source, roots: frozenset[str]) -> None:
    tree = functools.cache(partial(parse, content, source.file))
    scan_once(
        content,
        source.module,
        is_package=source.is_package,
        file=source.file,
        library=top_level(source.module) if source.of_distribution else None,
        tree=tree,
    )
    compiled(content, source.module, source.record, roots, tree, of_distribution=source.of_distribution)


def _deflate(content: bytes, source: _Source, roots: frozenset[str]) -> None:
    pack_lasting(content)
    pack_lasting(
        compiled(content, source.module, source.record, roots, of_distribution=source.of_distribution)
    )


def _likely(named: Iterable[str]) -> tuple[list[_Source], frozenset[str], list[str]]:
    """Return the loaded modules that may be packed, the likely ones first, and the top-level names of all.

    The third are shared libraries that may come along with them, those of operators.
    """
    distributions = Distributions.current()
    own = {top_level(original_name(name)) for name in named}
    owners = {owner.name for top in own for owner in distributions.providing(top)}
    required = {name for owner in owners for name in distributions.closure(owner)}
    near = own.union(*(distributions[name].roots for name in required))
    # PyTorch, and what it requires, is never packed.
    outside = {root for name in distributions.closure(TORCH) for root in distributions[name].roots}
    sources: list[_Source] = []
    if own <= outside | sys.stdlib_module_names:
        return sources, frozenset(), []
    for name, module in sys.modules.copy().items():
        top = top_level(name)
        if top in outside or is_always_there(top):  # those of open cases are below Wardian
            continue
        spec = variables_of(module).get("__spec__")
        origin = getattr(spec, "origin", None)
        if not isinstance(origin, str) or getattr(spec, "name", None) != name:
            continue
        if origin.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES)):
            outside.add(top)
        elif origin.endswith(".py"):
            is_package = getattr(spec, "submodule_search_locations", None) is not None
            owner = distributions.owner(ModuleName(name), os.path.abspath(origin))
            sources.append(_Source(ModuleName(name), is_package, origin, owner is not None))
    packed = [source for source in sources if top_level(source.module) not in outside]
    packed.sort(key=lambda source: top_level(source.module) not in near)
    roots = frozenset(top_level(source.module) for source in packed)
    owners = {owner.name for top in roots for owner in distributions.providing(top)}
    libraries = [path for path in sorted(mapped_libraries()) if distributions.owner_of_file(path) in owners]
    return packed, roots, libraries
