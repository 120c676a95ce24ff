"""Which kind of archive some bytes are, and where its records lie."""

from __future__ import annotations

from typing import Literal, TypeAlias

from wardian.archive import central_directory as directory
from wardian.archive import identify as kinds
from wardian.archive import layout
from wardian.archive.central_directory import DamageError, Record, Source
from wardian.domain.names import RecordName
from wardian.domain.record_names import (
    EXTERN_MODULES,
    MANIFEST,
    OF_PYTORCH,
    SEAL,
    storage_entry,
    storage_record,
)

__all__ = ["Kind", "OtherKindError", "read_structure"]

Kind: TypeAlias = Literal["case", "torch.package"]

_END_OF_A_CASE = b"/" + SEAL.encode()


class OtherKindError(Exception):
    """The bytes are another kind of file, named by the text; the reader makes it a `NotACaseError`."""


def read_structure(data: Source) -> tuple[Kind, dict[RecordName, Record]]:
    """Return the kind of an archive, and its records in file order, after all of its structure was checked.

    Raises:
        OtherKindError: if it is no archive of ours.
        DamageError: if it is one that breaks a rule of the format.
    """
    if data[:4] == layout.PARTIAL_SIGNATURE:
        raise DamageError("it is a local copy of which not all is here; open the case by its URL")
    first = directory.first_name(data)
    looks_right = first is not None and _is_ours(first)
    end = directory.find_end(data)
    if end < 0:
        if looks_right:
            raise DamageError("its end is missing; the file was cut short or something was appended")
        raise OtherKindError(kinds.describe(data))
    try:
        found = directory.read_directory(data, end)
        ends_right = found.block.endswith(_END_OF_A_CASE)
        entries = [] if ends_right else [entry.name for entry in directory.read_entries(found)]
    except DamageError:
        if looks_right:
            raise
        raise OtherKindError(kinds.describe(data)) from None
    below = {name.partition(b"/")[2] for name in entries}
    if ends_right or SEAL.encode() in below or MANIFEST.encode() in below:
        return "case", directory.case_records(data, found)
    if looks_right and first not in entries:
        raise DamageError("another archive was appended")
    if EXTERN_MODULES.encode() in below:
        return "torch.package", directory.package_records(data, found)
    if {b"extern_modules", b"version"} <= below:  # the prototype in torch 1.8
        records = directory.package_records(data, found)
        return "torch.package", {_name_since_1_9(name): record for name, record in records.items()}
    raise OtherKindError(kinds.describe(data, entries))


def _name_since_1_9(name: RecordName) -> RecordName:
    """Return the name that a record of torch 1.8 has had since torch 1.9."""
    if name in ("extern_modules", "version"):
        return RecordName(OF_PYTORCH + name)
    number = name.removeprefix("data/")
    return storage_record(number) if number != name and number.isdecimal() else name


def _is_ours(first: bytes) -> bool:
    """Say whether the first entry of an archive is that of a case or of torch.package."""
    return first.startswith(b"case/") or first.endswith(storage_entry(b"", 0))
