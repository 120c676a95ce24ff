"""Compiled libraries in a file: those of operators, and any other record that is machine code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wardian.archive import ArchiveReader, FolderReader
from wardian.domain.manifest import Manifest
from wardian.domain.names import RecordName
from wardian.domain.record_names import is_storage

__all__ = ["find_libraries"]

_SUFFIXES = (".so", ".pyd", ".dll", ".dylib")
_MACHINE_CODE = (
    b"\x7fELF",
    *(bytes.fromhex(magic) for magic in ("feedface", "feedfacf", "cefaedfe", "cffaedfe", "cafebabe")),
)
"""How libraries of Linux and macOS begin, whatever they are called. Those of Windows begin with MZ."""


def find_libraries(
    archive: ArchiveReader | FolderReader, manifest: Manifest, names: Iterable[RecordName]
) -> Iterator[RecordName]:
    """Yield the records that are compiled libraries.

    Args:
        archive: An open archive.
        manifest: What it says about itself.
        names: The records that are looked at, weights aside.
    """
    loaded = {library.record for library in manifest.libraries}
    for record in names:
        is_library = record in loaded or record.endswith(_SUFFIXES)
        if is_library or (not is_storage(record) and archive.begins(record, 4) in _MACHINE_CODE):
            yield record
