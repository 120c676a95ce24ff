"""Which licences the packed distributions have, by their metadata, and where the texts are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wardian.archive import ArchiveReader, FolderReader
from wardian.domain.manifest import Manifest
from wardian.domain.record_names import LICENCE_FILES, LICENCES, METADATA, metadata_record

__all__ = ["Licence", "find_licences", "licences_of"]

_TROVE = "License :: "
_LONGEST = 100
"""Characters of an expression: some put the whole text of the licence into the field `License`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """The licence that a packed distribution states."""

    distribution: str
    version: str | None
    expression: str | None
    """SPDX expression if it states one, else what its classifiers or its field `License` say; None if it says
    nothing."""
    files: Mapping[str, str | None]
    """Its licence files → the record that has the text, for `Case.read`; None if it was too large to come
    along. Several may have one record."""


def find_licences(archive: ArchiveReader | FolderReader, manifest: Manifest) -> tuple[Licence, ...]:
    """Return the licence of each packed distribution; first-party code has no metadata, and is left out.

    Args:
        archive: An open archive.
        manifest: What it says about itself.
    """
    texts = {
        digest.hex: record
        for record, digest in manifest.records.items()
        if record.startswith(METADATA)
        and record.removeprefix(METADATA).partition("/")[2].startswith(LICENCES)
    }
    found = []
    for packed in manifest.distributions:
        if packed.version is not None:
            listing = metadata_record(packed.name, LICENCE_FILES)
            lines = (
                archive.read(listing).decode("utf-8", "replace").splitlines() if listing in archive else ()
            )
            pairs = (line.partition(" ") for line in lines)
            found.append(
                Licence(
                    distribution=packed.name,
                    version=packed.version,
                    expression=_licence(archive, packed.name),
                    files={path: texts.get(digest) for digest, _, path in pairs},
                )
            )
    return tuple(found)


def licences_of(archive: ArchiveReader | FolderReader, manifest: Manifest) -> dict[str, str | None]:
    """Return the expression of each packed distribution, by its name; see `Licence`."""
    return {licence.distribution: licence.expression for licence in find_licences(archive, manifest)}


def _licence(archive: ArchiveReader | FolderReader, distribution: str) -> str | None:
    record = metadata_record(distribution, "METADATA")
    if record not in archive:
        return None
    text = archive.read(record).decode("utf-8", "replace")
    fields = list(_fields(text))
    expressions = [value for key, value in fields if key == "license-expression"]
    classifiers = [
        value.removeprefix(_TROVE).rpartition(" :: ")[2]
        for key, value in fields
        if key == "classifier" and value.startswith(_TROVE)
    ]
    named = [value for key, value in fields if key == "license" and len(value) <= _LONGEST]
    return next(iter(expressions), None) or " AND ".join(classifiers) or next(iter(named), None)


def _fields(text: str) -> Iterator[tuple[str, str]]:
    """Yield the fields of metadata, of which those of several lines are cut to the first."""
    for line in text.splitlines():
        if not line:  # the description follows
            return
        key, colon, value = line.partition(":")
        if colon and not line[0].isspace() and value.strip():
            yield key.lower(), value.strip()
