"""The manifest that an archive of torch.package would have (docs/reference/format.md, 8)."""

from __future__ import annotations

import re

from wardian.archive import ArchiveReader, FolderReader
from wardian.domain.manifest import (
    FORMAT_VERSION,
    Entry,
    Extern,
    Interpreter,
    Manifest,
    PackedDistribution,
    Platform,
)
from wardian.domain.modules import is_stdlib
from wardian.domain.names import ModuleName, RecordName, top_level
from wardian.domain.record_names import EXTERN_MODULES, MANIFEST, PYTHON_VERSION, TESTS
from wardian.errors import CorruptCaseError

__all__ = ["PICKLES", "allowed_externs", "extern_modules", "is_allowed", "manifest_of", "read_manifest"]

_ALWAYS = frozenset({"torch", "numpy", "wardian"})
"""Modules that packed code may import without an extern: PyTorch, NumPy for conversions, and the loader."""

PICKLES = frozenset(bytes([0x80, protocol]) for protocol in (2, 3, 4, 5))
"""First bytes of pickles: PROTO, and a number that exists."""

_DISTRIBUTION = re.compile(r"(?!-)[A-Za-z0-9._-]{1,128}", re.ASCII)
_DOTTED = re.compile(r"[\w-]+(\.[\w-]+)*")
"""Compilers give modules names that are no identifiers (`81d243bd2c585b0f4821__mypyc`)."""
_VERSION = re.compile(r"[A-Za-z0-9._+!-]{1,128}", re.ASCII)


def read_manifest(archive: ArchiveReader | FolderReader) -> Manifest:
    """Return the manifest of a case, or one made for an archive of torch.package.

    Raises:
        UnsupportedFormatError, CorruptCaseError: as for `Manifest.from_json`; or it contradicts the archive.
    """
    if archive.kind == "torch.package":
        return manifest_of(archive)
    manifest = Manifest.from_json(archive.manifest, path=None if archive.path is None else archive.label)
    archive.expect({RecordName(name): digest for name, digest in manifest.records.items()})
    _check_references(manifest, archive)
    return manifest


def _check_references(manifest: Manifest, archive: ArchiveReader | FolderReader) -> None:
    """Check that entry points and libraries are records of the case, and named once (the format, 3.5)."""
    path = None if archive.path is None else archive.label

    def refuse(why: str) -> CorruptCaseError:
        return CorruptCaseError(
            f"{path or 'case'}: the manifest contradicts the archive: {why}",
            path=path,
            record=MANIFEST,
        )

    named: set[str] = set()
    for entry in manifest.entries:
        if entry.name in named:
            raise refuse(f"it has two entry points {entry.name!r}")
        named.add(entry.name)
        for record in (entry.record, entry.test):
            if record is not None and record not in manifest.records:
                raise refuse(f"entry point {entry.name!r} is in {record!r}, which is not in the archive")
        if entry.record.startswith("."):
            raise refuse(f"entry point {entry.name!r} is in {entry.record!r}, where no pickle can be")
        if entry.test is not None and not entry.test.startswith(TESTS):
            raise refuse(f"the self-test of {entry.name!r} is in {entry.test!r}, not in {TESTS}")
    for extern in manifest.externs:
        # They end up in the command of a message, `pip install name==version`.
        if extern.distribution is not None and not _DISTRIBUTION.fullmatch(extern.distribution):
            raise refuse(f"{extern.distribution!r:.80} is no name of a distribution")
        if extern.version is not None and not _VERSION.fullmatch(extern.version):
            raise refuse(f"{extern.version!r:.80} is no version")
        # The check of the environment imports them.
        tops = {top_level(module) for module in extern.modules}
        for name in (*extern.modules, *extern.names):
            if not _DOTTED.fullmatch(name) or top_level(name) not in tops:
                raise refuse(f"{name!r:.80} is no name of a module that {extern.distribution} has")
    for tensor in manifest.tensors:
        for part in (tensor, *(tensor.form.parts.values() if tensor.form is not None else ())):
            digest = None if part.record is None else manifest.records.get(part.record)
            if part.record is not None and (digest is None or digest.algorithm != "blake3"):
                raise refuse(f"tensor {tensor.name!r:.80} is in {part.record!r:.80}, which is no storage")
    for library in manifest.libraries:
        if library.record not in manifest.records:
            raise refuse(f"the library {library.record!r} is not in the archive")
        if library.record.startswith("."):
            raise refuse(f"a library is in {library.record!r}, where none can be")


def extern_modules(archive: ArchiveReader | FolderReader) -> list[str]:
    """Return the modules that an archive takes from the environment, as torch.package lists them."""
    return _text(archive, EXTERN_MODULES).splitlines()


def _text(archive: ArchiveReader | FolderReader, name: RecordName) -> str:
    """Return the text of a record.

    Raises:
        CorruptCaseError: if there is none, or it is not UTF-8.
    """
    path = None if archive.path is None else archive.label
    try:
        return archive.read(name).decode()
    except KeyError:
        why = "is not there"
    except UnicodeDecodeError as error:
        why = f"is not UTF-8: {error}"
    raise CorruptCaseError(
        f"{path or 'the archive'} is damaged or was altered: record {name!r} {why}", path=path, record=name
    )


def allowed_externs(modules: list[str]) -> frozenset[str]:
    """Return the names from which, and from below which, packed code may import."""
    return frozenset(modules) | _ALWAYS


def is_allowed(name: str, allowed: frozenset[str], *, above: bool = True) -> bool:
    """Tell whether packed code may import *name* from the environment.

    Args:
        name: Dotted name of a module that is not in the archive.
        allowed: What `allowed_externs` returned.
        above: Whether a package above one of them is allowed, too.
    """
    if is_stdlib(ModuleName(name)) or name in allowed:
        return True
    parts = name.split(".")
    if any(".".join(parts[:i]) in allowed for i in range(1, len(parts))):
        return True
    return above and any(known.startswith(name + ".") for known in allowed)


def manifest_of(archive: ArchiveReader | FolderReader) -> Manifest:
    """Return a manifest for an archive of torch.package.

    Every pickle is an entry named by its record. Nothing has a digest.
    """
    names = [name for name in archive.names if not name.startswith(".")]
    below = [name for name in names if "/" in name or name.endswith(".py")]
    roots = {name.partition("/")[0].removesuffix(".py") for name in below}
    pickles = [name for name in below if _is_pickle(archive, name)]
    externs = [name for name in extern_modules(archive) if not is_stdlib(ModuleName(name))]
    by_top: dict[str, list[str]] = {}
    for name in externs:
        by_top.setdefault(top_level(name), []).append(name)
    return Manifest(
        format=FORMAT_VERSION,
        python=Interpreter(
            version=_text(archive, PYTHON_VERSION).strip() if PYTHON_VERSION in archive else "",
            implementation="",
            tag="",
        ),
        torch="",
        bytecode_only=(),
        platform=Platform(system="", machine=""),
        entries=tuple(Entry(name=name, record=name, type="", test=None, outputs=False) for name in pickles),
        distributions=(PackedDistribution(name="first-party", version=None, roots=tuple(sorted(roots))),),
        externs=tuple(
            Extern(
                distribution=None,
                version=None,
                modules=tuple(modules),
                names=(),
                soft=False,
            )
            for _, modules in sorted(by_top.items())
        ),
        absent=(),
        mocks=(),
        deferred=(),
        libraries=(),
        materialised=(),
        tensors=(),
        records={},
        proof="skipped",
    )


def _is_pickle(archive: ArchiveReader | FolderReader, name: RecordName) -> bool:
    """Tell whether a record begins as a pickle: with PROTO, and a number that exists."""
    # No more than that is read of it: a small file could inflate to gigabytes.
    return archive.size(name) >= 4 and archive.begins(name, 2) in PICKLES
