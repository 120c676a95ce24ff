"""Files beside the modules of a trace: data, licences, libraries."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Collection, Container, Iterable, Iterator, Sequence

from wardian.domain.modules import TORCH, ModuleKind
from wardian.domain.packed_origin import PackedOrigin
from wardian.domain.trace import DistributionFacts, UnreadFile
from wardian.environment.distributions import Distribution
from wardian.environment.modules import known_attribute
from wardian.packing.tracing.following import Follower

__all__ = ["distribution_facts", "first_party_files", "is_beside", "is_compiled", "unread_files"]


_MAX_DATA_FILE = 1 << 20
"""Bytes up to which a data file of a packed distribution comes along without having been read in the run."""


_COMPILED = (".pyc", ".pyo", ".so", ".pyd", ".dll", ".dylib", ".a", ".lib")
"""Never data, though imports read them."""


_FOR_COMPILERS = (".h", ".hpp", ".cuh", ".c", ".cpp", ".cu", ".pyx", ".pxd")
"""Data only where the run has read them, as code does that compiles its operators when it is called."""


def is_beside(record: str, packages: Container[str]) -> bool:
    """Tell whether a data file lies in the folder of one of some packages, or below it, or in none."""
    parts = record.split("/")[:-1]
    return len(parts) == 0 or any("/".join(parts[:end]) in packages for end in range(len(parts), 0, -1))


def is_compiled(origin: str | None) -> bool:
    """Tell whether the origin of a module is a compiled library."""
    return origin is not None and origin.endswith((".so", ".pyd"))


def distribution_facts(tracer: Follower, name: str, read: frozenset[str]) -> DistributionFacts:
    """Return what is known of a distribution of which modules were met.

    Args:
        tracer: Has followed all imports.
        name: Normalised name.
        read: Paths of files that the run has read.
    """
    packed = [origin for origin in tracer.origins if name in origin.versions]
    if packed:
        return _facts_of_packed(name, packed)
    distribution = tracer.distributions[name]
    compiled = tuple(sorted(tracer.compiled.get(name, ())))
    by_torch = name in tracer.torch_closure
    stays_outside = bool(compiled) or by_torch
    libraries = tracer.evidence.operators
    files, left_out = ([], []) if stays_outside else _installed_files(distribution, read, libraries)
    return DistributionFacts(
        name=name,
        version=distribution.version,
        roots=tuple(sorted(distribution.roots)),
        compiled=compiled,
        required_by_torch=by_torch,
        with_every_torch=name in tracer.distributions.closure(TORCH, everywhere=True),
        files=tuple(files),
        left_out=tuple(left_out),
        metadata={} if stays_outside else distribution.metadata_files(),
    )


def _facts_of_packed(name: str, packed: Sequence[PackedOrigin]) -> DistributionFacts:
    """Return what is known of a distribution that open cases have, the first of which has the say."""
    # Sources are the same in all of them; data files may be those that one object reads.
    by_record = {file[0]: file for origin in reversed(packed) for file in origin.files[name]}
    return DistributionFacts(
        name=name,
        version=packed[0].versions[name],
        roots=tuple(sorted({record.partition("/")[0].removesuffix(".py") for record in by_record})),
        compiled=(),
        required_by_torch=False,
        with_every_torch=False,
        files=tuple(by_record[record] for record in sorted(by_record)),
        left_out=(),
        metadata=packed[0].metadata[name],
    )


def _installed_files(
    distribution: Distribution, read: Container[str], operators: Iterable[str]
) -> tuple[list[tuple[str, str, int]], list[str]]:
    """Return the files of a distribution that can be packed; and the data files that are too large."""
    files: list[tuple[str, str, int]] = []
    left_out: list[str] = []
    libraries = {os.path.realpath(path) for path in operators}
    for relative in distribution.files:
        top = relative.partition("/")[0]
        # A `.pth` file there is Python's own; in a folder it holds weights.
        if top.endswith((".dist-info", ".egg-info", ".data", ".pth")):
            continue
        path = os.path.join(distribution.root, relative)
        if relative.endswith(_COMPILED) and os.path.realpath(path) not in libraries:
            continue
        if relative.endswith(_FOR_COMPILERS) and path not in read:
            continue
        try:
            status = os.stat(path)
        except OSError:  # listed but removed
            continue
        if not stat.S_ISREG(status.st_mode):
            continue
        size = status.st_size
        if size > _MAX_DATA_FILE and not relative.endswith((".py", *_COMPILED)) and path not in read:
            left_out.append(relative)
        else:
            files.append((relative, path, size))
    return files, left_out


def first_party_files(tracer: Follower, read: frozenset[str]) -> tuple[tuple[str, str, int], ...]:
    """Return data files in the folders of first-party packages, and those beside packages that were read."""
    places: dict[str, str] = {}
    bases: set[str] = set()
    for name, facts in tracer.modules.items():
        if facts.distribution is not None or facts.file is None or facts.kind is not ModuleKind.SOURCE:
            continue
        folder = os.path.dirname(facts.file)
        if facts.is_package:
            prefix = name.replace(".", "/")
            places |= {
                f"{prefix}/{os.path.relpath(path, folder).replace(os.sep, '/')}": path
                for path in _data_below(folder)
            }
        # Where the first part of its name is found, an entry of sys.path.
        bases.add(os.path.normpath(os.path.join(folder, *[".."] * (name.count(".") + facts.is_package))))
    # A virtual environment below the project's folder is on sys.path and is no part of the project.
    elsewhere = tuple(os.path.abspath(entry) + os.sep for entry in (*sys.path, sys.prefix))
    for base in sorted(bases):
        inner = tuple(
            entry for entry in elsewhere if entry.startswith(base + os.sep) and entry != base + os.sep
        )
        for path in sorted(read):
            if not path.startswith(base + os.sep) or path.startswith(inner) or not os.path.isfile(path):
                continue
            record = os.path.relpath(path, base).replace(os.sep, "/")
            # A file with a dot holds what is of this machine: settings, secrets.
            hidden = any(part.startswith(".") for part in record.split("/"))
            if not hidden and tracer.distributions.owner_of_file(path) is None:
                places.setdefault(record, path)
    beside = {record: path for origin in tracer.origins for record, path in origin.beside}
    places = beside | places
    used = read.union(tracer.evidence.libraries, beside.values())
    modules = frozenset(facts.file for facts in tracer.modules.values())
    found: dict[str, tuple[str, str, int]] = {}
    for record, path in places.items():
        size = os.stat(path).st_size
        is_data = not path.endswith((".py", *_COMPILED, *_FOR_COMPILERS)) and size <= _MAX_DATA_FILE
        # A shared library that ctypes loads is data; one that Python imports is a module. Source that code
        # reads, as it does configurations, is data, too.
        is_used = path in used and path not in modules and not path.endswith(".pyc")
        if is_data or is_used:
            found[record] = (record, path, size)
    return tuple(found[record] for record in sorted(found))


_QUOTED = re.compile(r"""(["'])([^"'\n\\\\]{1,255})\1""")


def unread_files(tracer: Follower, read: frozenset[str], packed: Collection[str]) -> tuple[UnreadFile, ...]:
    """Return data files that first-party code names, that nothing has read, and that do not come along.

    A text in a source names a file if it is there: beside the source, in the current folder, or in a folder
    of these that the same source names. What is computed is not seen.

    Args:
        tracer: Has followed all imports.
        read: Paths of files that the run has read.
        packed: Paths of data files that come along.
    """
    here = os.getcwd()
    main = known_attribute(sys.modules.get("__main__"), "__file__")
    known = {*read, *packed}
    found: dict[str, UnreadFile] = {}
    for name, facts in tracer.modules.items():
        if facts.distribution is not None or facts.kind is not ModuleKind.SOURCE:
            continue
        captured = tracer.captured.get(name)
        place = main if facts.file is None else facts.file
        source = _text_of(facts.file) if captured is None else captured.source
        for path, line in _named_files(
            source, [here, *([os.path.dirname(os.path.abspath(place))] if place else [])]
        ):
            # A case is what the script makes of it all.
            is_other = path.endswith((".py", ".case", *_COMPILED, *_FOR_COMPILERS))
            if path not in known and not is_other and tracer.distributions.owner_of_file(path) is None:
                found.setdefault(path, UnreadFile(path, name, line))
    return tuple(sorted(found.values()))


def _text_of(path: str | None) -> str:
    if path is None or not os.path.isfile(path):  # of a case
        return ""
    with open(path, "rb") as file:
        return file.read().decode("utf-8", "replace")


def _named_files(source: str, folders: list[str]) -> Iterator[tuple[str, int]]:
    """Yield the files that texts of a source name, each with the line."""
    texts = {quoted[2]: quoted.start() for quoted in reversed([*_QUOTED.finditer(source)])}
    names = {os.path.normpath(text): start for text, start in texts.items() if not _is_hidden(text)}
    entries = {folder: _entries(folder) for folder in folders}
    inner = [os.path.join(folder, name) for folder in folders for name in names if name in entries[folder]]
    below = [folder for folder in inner if os.path.isdir(folder)]
    for folder in dict.fromkeys((*folders, *below)):
        inside = entries[folder] if folder in entries else _entries(folder)
        for name, start in names.items():
            if name.partition(os.sep)[0] in inside or os.path.isabs(name):
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    yield path, source.count("\n", 0, start) + 1


def _is_hidden(text: str) -> bool:
    """Tell whether a path leads through what has a dot before its name, or out of the folder."""
    return any(part.startswith(".") for part in text.split("/"))


def _entries(folder: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()


def _data_below(folder: str) -> list[str]:
    """Return files below a package's folder, not descending into what is no part of it."""
    found: list[str] = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__pycache__")
        paths = (os.path.join(place, f) for f in sorted(files) if not f.startswith("."))
        found += filter(os.path.isfile, paths)  # a pipe would wait for somebody who writes
    return found
