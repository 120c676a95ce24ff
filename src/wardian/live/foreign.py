"""The manifest that an archive of torch.package would have (docs/format.md, 8)."""

from __future__ import annotations

from wardian.archive import ArchiveReader, FolderReader
from wardian.environment import is_stdlib
from wardian.manifest import (
    FORMAT_VERSION,
    Entry,
    Extern,
    Interpreter,
    Manifest,
    PackedDistribution,
    Platform,
)
from wardian.names import ModuleName, RecordName, top_level

__all__ = ["allowed_externs", "extern_modules", "is_allowed", "manifest_of", "read_manifest"]

_ALWAYS = frozenset({"torch", "numpy"})
"""What torch.package lets packed code import without an extern: PyTorch, and what tensors convert to."""


def read_manifest(archive: ArchiveReader | FolderReader) -> Manifest:
    """Return the manifest of a case, or one made for an archive of torch.package.

    Raises:
        UnsupportedFormatError, CorruptCaseError: as for `Manifest.from_json`.
    """
    if archive.kind == "torch.package":
        return manifest_of(archive)
    manifest = Manifest.from_json(archive.manifest, path=None if archive.path is None else str(archive.path))
    archive.expect({RecordName(name): digest for name, digest in manifest.records.items()})
    return manifest


def extern_modules(archive: ArchiveReader | FolderReader) -> list[str]:
    """Return the modules that an archive takes from the environment, as torch.package lists them."""
    return archive.read(RecordName(".data/extern_modules")).decode().splitlines()


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
    version = RecordName(".data/python_version")
    return Manifest(
        format=FORMAT_VERSION,
        python=Interpreter(
            version=archive.read(version).decode().strip() if version in archive else "",
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
                modules=tuple(name for name in externs if top_level(ModuleName(name)) == top),
                names=(),
                soft=False,
            )
            for top in sorted({top_level(ModuleName(name)) for name in externs})
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
    size = archive.size(name)
    if size < 4:
        return False
    try:
        content = archive.view(name)
    except ValueError:  # deflated
        content = memoryview(archive.read(name))
    # PROTO and a number that exists, STOP at the end.
    return content[0] == 0x80 and content[1] in (2, 3, 4, 5) and content[-1] == ord(".")
