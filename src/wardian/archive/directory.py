"""The central directory of a ZIP archive, and where it says that records lie.

The directory is read in two steps: `read_directory` takes its facts as they stand, which is enough to
tell what kind of archive it is; `case_records` and `package_records` then hold the file to the rules of
its kind and give a record's place only if they all hold.
"""

from __future__ import annotations

import re
import stat
import struct
from mmap import mmap
from typing import Literal, NamedTuple

from wardian.archive import layout, limits
from wardian.names import RecordName, record_name

__all__ = [
    "DamageError",
    "Directory",
    "Entry",
    "Record",
    "case_records",
    "find_end",
    "first_name",
    "package_records",
    "read_directory",
]


class DamageError(Exception):
    """The bytes break a rule of the format; the reader turns it into a `CorruptCaseError`."""

    def __init__(self, reason: str, record: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.record = record


class Entry(NamedTuple):
    """What the central directory says of one record; nothing is checked."""

    name: bytes
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    header: bytes
    """The bytes all this was read from."""


class Directory(NamedTuple):
    """The central directory as it stands."""

    entries: list[Entry]
    start: int
    """Where it starts in the file, in bytes, by its size and its end."""
    declared_start: int
    """Where it starts by its own account."""


class Record(NamedTuple):
    """Where a record lies, checked."""

    offset: int
    """Where its content starts in the file, in bytes."""
    method: int
    crc: int
    packed: int
    """Bytes of the content in the file."""
    size: int
    """Bytes of the content before deflating."""


_LONGEST_COMMENT = 0xFFFF


def find_end(data: bytes | mmap) -> int:
    """Return where the end record starts, in bytes, or -1 if there is none."""
    canonical = len(data) - layout.END.size
    if canonical >= 0 and data[canonical : canonical + 4] == layout.END_SIGNATURE and data[-2:] == b"\0\0":
        return canonical
    return data.rfind(layout.END_SIGNATURE, max(0, canonical - _LONGEST_COMMENT))


def first_name(data: bytes | mmap) -> bytes | None:
    """Return the entry name in the local header at the start of the file, None if there is no such."""
    if len(data) < layout.LOCAL.size or data[:4] != layout.LOCAL_SIGNATURE:
        return None
    length = int.from_bytes(data[26:28], "little")
    return data[layout.LOCAL.size : layout.LOCAL.size + length]


def read_directory(data: bytes | mmap, end: int) -> Directory:
    """Read the central directory before the end record at *end*.

    Raises:
        DamageError: if it does not parse, or is over a limit.
    """
    if end + layout.END.size > len(data):
        raise DamageError("the end record is cut short")
    _, _, _, _, count, size, offset, _ = layout.END.unpack_from(data, end)
    locator = end - layout.LOCATOR.size
    if locator >= 0 and data[locator : locator + 4] == layout.LOCATOR_SIGNATURE:
        end = locator - layout.END64.size
        if end < 0 or data[end : end + 4] != layout.END64_SIGNATURE:
            raise DamageError("the ZIP64 end record is not before its locator")
        _, _, _, _, _, _, _, count, size, offset = layout.END64.unpack_from(data, end)
    if count > limits.MAX_ENTRIES:
        raise DamageError(f"it has {count:,} records; at most {limits.MAX_ENTRIES:,} are allowed")
    if size > limits.MAX_DIRECTORY_BYTES:
        raise DamageError(
            f"its central directory has {size:,} bytes; at most {limits.MAX_DIRECTORY_BYTES:,} are allowed"
        )
    if size > end or size < count * layout.CENTRAL.size:
        raise DamageError(f"a central directory of {size:,} bytes with {count:,} records is not possible")
    start = end - size
    return Directory(_read_entries(data[start:end], count), start, offset)


def _read_entries(block: bytes, count: int) -> list[Entry]:
    entries: list[Entry] = []
    unpack, fixed, stop = layout.CENTRAL.unpack_from, layout.CENTRAL.size, len(block)
    position = 0
    for number in range(count):
        if position + fixed > stop:
            raise DamageError(f"the central directory ends before its record number {number}")
        (
            signature,
            _,
            _,
            _,
            method,
            _,
            _,
            crc,
            packed,
            size,
            name_length,
            extra_length,
            comment_length,
            _,
            _,
            _,
            offset,
        ) = unpack(block, position)
        name_end = position + fixed + name_length
        following = name_end + extra_length + comment_length
        if signature != layout.CENTRAL_SIGNATURE or following > stop:
            raise DamageError(f"the central directory is broken at its record number {number}")
        name = block[position + fixed : name_end]
        if size == 0xFFFFFFFF or packed == 0xFFFFFFFF or offset == 0xFFFFFFFF:
            extra = block[name_end : name_end + extra_length]
            size, packed, offset = _widen(name, extra, size, packed, offset)
        entries.append(Entry(name, method, crc, packed, size, offset, block[position:following]))
        position = following
    if position != stop:
        raise DamageError(f"the central directory has {stop - position:,} bytes after its last record")
    return entries


def _widen(name: bytes, extra: bytes, *narrow: int) -> list[int]:
    """Replace each mark in *narrow* (size, deflated size, offset) by the value in the ZIP64 field."""
    position = 0
    while position + 4 <= len(extra):
        identifier, length = struct.unpack_from("<2H", extra, position)
        field = extra[position + 4 : position + 4 + length]
        position += 4 + length
        if identifier != layout.ZIP64_EXTRA:
            continue
        wide = list(struct.unpack(f"<{len(field) // 8}Q", field[: len(field) // 8 * 8]))
        if len(wide) >= narrow.count(0xFFFFFFFF):
            return [wide.pop(0) if value == 0xFFFFFFFF else value for value in narrow]
    raise DamageError("its ZIP64 field is missing or too short", _shown(name))


def case_records(data: bytes | mmap, directory: Directory) -> dict[RecordName, Record]:
    """Hold a case to sections 1, 2 and 7 of the format; return its records in file order.

    The writer is deterministic, so every header is rebuilt from the directory's facts and compared:
    whatever bit differs, something was changed.

    Raises:
        DamageError: if anything is not as the writer would have written it.
    """
    records: dict[RecordName, Record] = {}
    entries = directory.entries
    offset = storages = 0
    previous = ""
    last = len(entries) - 2
    for number, (entry_name, method, crc, packed, size, _, central) in enumerate(entries):
        name = _checked_name(entry_name, layout.ROOT)
        if name == f".data/{storages}.storage" and storages == number:
            storages += 1
            if method != layout.STORED or packed != size:
                raise DamageError("it is a storage and must be stored as it is", name)
            header = layout.storage_header(entry_name, crc, size, offset)
        else:
            _check_place(name, previous, number - last)
            _check_sizes(name, method, packed, size)
            previous = name
            header = layout.local_header(entry_name, method, crc, packed, size)
        wanted = layout.central_header(entry_name, method, crc, packed, size, offset)
        if central != wanted:
            raise DamageError(_difference("central directory", central, wanted), name)
        start = offset + len(header)
        if data[offset:start] != header:
            raise DamageError(_difference("local header", data[offset:start], header), name)
        records[name] = Record(start, method, crc, packed, size)
        offset = start + packed
    if offset != directory.start:
        raise DamageError(
            f"there are {directory.start - offset:,} bytes between its last record and its directory"
        )
    size = sum(len(entry.header) for entry in entries)
    tail = layout.end_records(len(entries), size, offset)
    if data[offset + size : offset + size + len(tail) + 1] != tail:
        raise DamageError("its end record is not as it was written, or something was appended")
    return records


def _check_place(name: RecordName, previous: str, from_end: int) -> None:
    """Check the order of records (2.2), which also keeps names from coming twice."""
    if from_end >= 0:
        if name != (layout.MANIFEST, layout.SEAL)[from_end]:
            raise DamageError(f"it lies where {(layout.MANIFEST, layout.SEAL)[from_end]!r} must be", name)
    elif name <= previous:
        raise DamageError(f"it comes after {previous!r}; records are sorted and come once", name)
    elif name in (layout.MANIFEST, layout.SEAL) or layout.STORAGE_NAME.fullmatch(name):
        raise DamageError("it is not at its place", name)


def _check_sizes(name: RecordName, method: int, packed: int, size: int) -> None:
    if method not in (layout.STORED, layout.DEFLATED):
        raise DamageError(f"its compression method is {method}; only 0 and 8 are allowed", name)
    if packed != size if method == layout.STORED else packed >= size:
        raise DamageError(f"it cannot take {packed:,} bytes for a content of {size:,}", name)
    _check_limits(name, packed, size)


def _check_limits(name: RecordName, packed: int, size: int) -> None:
    most = limits.MAX_MANIFEST_BYTES if name == layout.MANIFEST else limits.MAX_RECORD_BYTES
    if size > most:
        raise DamageError(f"it has {size:,} bytes; at most {most:,} are allowed", name)
    if size > packed * limits.MAX_RATIO:
        raise DamageError(f"{packed:,} bytes cannot inflate to {size:,}; this is a bomb", name)


def package_records(data: bytes | mmap, directory: Directory) -> dict[RecordName, Record]:
    """Hold an archive of torch.package to section 8 of the format; return its records in its order.

    Raises:
        DamageError: if a name may not be, records overlap or are over a limit, or the two headers of a
            record contradict each other.
    """
    if directory.start != directory.declared_start:
        raise DamageError("its offsets do not count from its start; something was put before it")
    records: dict[RecordName, Record] = {}
    root = directory.entries[0].name.partition(b"/")[0].decode("utf-8", "replace") + "/"
    by_offset = sorted(directory.entries, key=lambda entry: entry.offset)
    stops = [entry.offset for entry in by_offset[1:]] + [directory.start]
    stop_of = dict(zip((entry.name for entry in by_offset), stops, strict=True))
    for entry in directory.entries:
        name = _checked_name(entry.name, root)
        if name in records:
            raise DamageError("there are two records of this name", name)
        fields = dict(zip(layout.CENTRAL_FIELDS, layout.CENTRAL.unpack_from(entry.header), strict=True))
        if fields["flags"] & 1:
            raise DamageError("it is encrypted", name)
        if stat.S_ISLNK(fields["external attributes"] >> 16):
            raise DamageError("it is a symbolic link", name)
        if entry.method not in (layout.STORED, layout.DEFLATED):
            raise DamageError(f"its compression method is {entry.method}; only 0 and 8 are allowed", name)
        if entry.method == layout.STORED and entry.packed != entry.size:
            raise DamageError(f"it cannot take {entry.packed:,} bytes for a content of {entry.size:,}", name)
        if not layout.STORAGE_NAME.fullmatch(name):
            _check_limits(name, entry.packed, entry.size)
        start = _local_content(data, entry, name)
        if start + entry.packed > stop_of[entry.name]:
            raise DamageError("it reaches into the record that follows, or the directory", name)
        records[name] = Record(start, entry.method, entry.crc, entry.packed, entry.size)
    return records


def _local_content(data: bytes | mmap, entry: Entry, name: RecordName) -> int:
    """Return where the content starts, after a local header that must agree with the directory."""
    if entry.offset + layout.LOCAL.size > len(data):
        raise DamageError("it lies beyond the end of the file", name)
    local = layout.LOCAL.unpack_from(data, entry.offset)
    name_start = entry.offset + layout.LOCAL.size
    name_end: int = name_start + local[-2]
    if local[0] != layout.LOCAL_SIGNATURE or data[name_start:name_end] != entry.name:
        raise DamageError("there is no local header of its name where the directory says", name)
    if local[3] != entry.method:
        raise DamageError("its local header names another compression method than the directory", name)
    extra_length: int = local[-1]
    return name_end + extra_length


def _checked_name(entry_name: bytes, root: str) -> RecordName:
    """Return the record's name, checked (1.3, 1.4)."""
    try:
        text = entry_name.decode()
    except UnicodeDecodeError:
        raise DamageError(f"the name {_shown(entry_name)!r} is not UTF-8", _shown(entry_name)) from None
    if not text.startswith(root):
        raise DamageError(f"the name {text[:80]!r} does not start with {root!r}", text)
    name = text[len(root) :]
    if len(entry_name) > 1024 or not layout.RECORD_NAME.fullmatch(name):
        try:
            record_name(name)
        except ValueError as error:
            raise DamageError(str(error), name) from None
    return RecordName(name)


def _difference(where: Literal["central directory", "local header"], found: bytes, wanted: bytes) -> str:
    """Say which field of a header is not as the writer writes it."""
    form, fields = {
        "central directory": (layout.CENTRAL, layout.CENTRAL_FIELDS),
        "local header": (layout.LOCAL, layout.LOCAL_FIELDS),
    }[where]
    if len(found) >= form.size:
        pairs = zip(fields, form.unpack_from(found), form.unpack_from(wanted), strict=True)
        for field, is_, should in pairs:
            if is_ != should:
                return f"the {field} in its {where} is {is_!r}, not {should!r}"
    return f"its {where} is not as it was written"


def _shown(entry_name: bytes) -> str:
    """Return a name as text, whatever its bytes."""
    return re.sub(r"^[^/]*/", "", entry_name.decode("utf-8", "backslashreplace"))
