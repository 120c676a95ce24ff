"""The central directory of a ZIP archive, and where it says that records lie.

The directory is read in two steps: `read_directory` takes its facts as they stand, which is enough to
tell what kind of archive it is; `case_records` and `package_records` then hold the file to the rules of
its kind and give a record's place only if they all hold.
"""

from __future__ import annotations

import re
import stat
import struct
from itertools import pairwise
from mmap import mmap
from typing import Literal, NamedTuple, TypeAlias

from wardian.archive import layout, limits
from wardian.archive.content import FileParts
from wardian.collector import collector_paused
from wardian.domain.names import RecordName, record_name
from wardian.domain.record_names import (
    EXTERN_MODULES,
    MANIFEST,
    PYTHON_VERSION,
    SEAL,
    is_storage,
    storage_entry,
)

__all__ = [
    "DamageError",
    "Directory",
    "Entry",
    "Record",
    "Source",
    "case_records",
    "find_end",
    "first_name",
    "manifest_fits",
    "package_records",
    "read_directory",
    "read_entries",
]


Source: TypeAlias = bytes | mmap | FileParts
"""The bytes of an archive, which are cut into parts."""


class DamageError(Exception):
    """The bytes break a rule of the format; the reader turns it into a `CorruptCaseError`."""

    def __init__(self, reason: str, record: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.record = record


class Entry(NamedTuple):
    """One record as the central directory describes it; nothing is checked."""

    name: bytes
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    flags: int
    attributes: int


class Directory(NamedTuple):
    """The central directory as it stands."""

    block: bytes
    entries: int
    """Entries, by the account of the end record."""
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
_LONGEST_NAME = 1024
_MARK = 0xFFFFFFFF

# An entry of a case, its constant fields taken together: signature to flags, time and date, and the
# lengths and attributes that are zero.
_CANONICAL = struct.Struct("<10sH4s3LH12sL")
_SAMPLE = layout.central_header(b"", layout.STORED, 0, 0, 0, 0)
_HEAD, _, _DATE, _, _, _, _, _REST, _ = _CANONICAL.unpack(_SAMPLE)
_CONTROL = bytes([*range(0x20), 0x7F])


def find_end(data: Source) -> int:
    """Return where the end record starts, in bytes, or -1 if there is none."""
    canonical = len(data) - layout.END.size
    if canonical >= 0 and data[canonical : canonical + 4] == layout.END_SIGNATURE and data[-2:] == b"\0\0":
        return canonical
    return data.rfind(layout.END_SIGNATURE, max(0, canonical - _LONGEST_COMMENT))


def first_name(data: Source) -> bytes | None:
    """Return the entry name in the local header at the start of the file, None if there is no such."""
    if len(data) < layout.LOCAL.size or data[:4] != layout.LOCAL_SIGNATURE:
        return None
    length = int.from_bytes(data[26:28], "little")
    return data[layout.LOCAL.size : layout.LOCAL.size + length]


def read_directory(data: Source, end: int) -> Directory:
    """Read the central directory before the end record at *end*.

    Raises:
        DamageError: if it does not parse, or is over a limit.
    """
    if end + layout.END.size > len(data):
        raise DamageError("the end record is cut short")
    _, _, _, _, count, size, offset, _ = layout.END.unpack(data[end : end + layout.END.size])
    locator = end - layout.LOCATOR.size
    if locator >= 0 and data[locator : locator + 4] == layout.LOCATOR_SIGNATURE:
        end = locator - layout.END64.size
        if end < 0 or data[end : end + 4] != layout.END64_SIGNATURE:
            raise DamageError("the ZIP64 end record is not before its locator")
        _, _, _, _, _, _, _, count, size, offset = layout.END64.unpack(data[end : end + layout.END64.size])
    if count > limits.MAX_ENTRIES:
        raise DamageError(f"it has {count:,} records; at most {limits.MAX_ENTRIES:,} are allowed")
    if size > limits.MAX_DIRECTORY_BYTES:
        raise DamageError(
            f"its central directory has {size:,} bytes; at most {limits.MAX_DIRECTORY_BYTES:,} are allowed"
        )
    if size > end or size < count * layout.CENTRAL.size:
        raise DamageError(f"a central directory of {size:,} bytes with {count:,} records is not possible")
    start = end - size
    return Directory(data[start:end], count, start, offset)


def read_entries(directory: Directory) -> list[Entry]:
    """Take the facts of every record as they stand.

    Raises:
        DamageError: if they do not parse.
    """
    entries: list[Entry] = []
    block, position = directory.block, 0
    for number in range(directory.entries):
        entry, position = _read_entry(block, position, number)
        entries.append(entry)
    if position != len(block):
        raise DamageError(f"the central directory has {len(block) - position:,} bytes after its last record")
    return entries


def _read_entry(block: bytes, position: int, number: int) -> tuple[Entry, int]:
    """Return the entry at *position*, and the position after it."""
    name_start = position + layout.CENTRAL.size
    if name_start > len(block):
        raise DamageError(f"the central directory ends before its record number {number}")
    fields = layout.CENTRAL.unpack_from(block, position)
    signature, _, _, flags, method, _, _, crc, packed, size, *lengths, _, _, attributes, offset = fields
    name_end = name_start + lengths[0]
    extra_end = name_end + lengths[1]
    following = extra_end + lengths[2]
    if signature != layout.CENTRAL_SIGNATURE or following > len(block):
        raise DamageError(f"the central directory is broken at its record number {number}")
    name = block[name_start:name_end]
    if _MARK in (size, packed, offset):
        size, packed, offset = _widen(name, block[name_end:extra_end], size, packed, offset)
    return Entry(name, method, crc, packed, size, offset, flags, attributes), following


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
        if len(wide) >= narrow.count(_MARK):
            return [wide.pop(0) if value == _MARK else value for value in narrow]
    raise DamageError("its ZIP64 field is missing or too short", _shown(name))


@collector_paused()
def case_records(data: Source, directory: Directory) -> dict[RecordName, Record]:
    """Hold a case to sections 1, 2 and 7 of the format; return its records in file order.

    The writer is deterministic, so every header is rebuilt from the directory's facts and compared:
    whatever bit differs, something was changed.

    Raises:
        DamageError: if anything is not as the writer would have written it.
    """
    block, stop = directory.block, len(directory.block)
    entry_names: list[bytes] = []
    records: list[Record] = []
    storages = offset = position = 0
    root = b""
    for number in range(directory.entries):
        if position + _CANONICAL.size > stop:
            raise DamageError(f"the central directory ends before its record number {number}")
        head, method, date, crc, packed, size, name_length, rest, declared = _CANONICAL.unpack_from(
            block, position
        )
        following = position + _CANONICAL.size + name_length
        if head == _HEAD and date == _DATE and rest == _REST and declared == offset and following <= stop:
            entry_name = block[position + _CANONICAL.size : following]
            # The local header repeats the fields from the version to the length of the name.
            header = layout.LOCAL_SIGNATURE + block[position + 6 : position + 30] + b"\0\0" + entry_name
        else:
            entry, following = _read_unusual(block, position, number, offset)
            entry_name, method, crc, packed, size, *_ = entry
            header = b""
        if not number:
            root = entry_name.partition(b"/")[0] + b"/"
        if storages == number and entry_name == storage_entry(root[:-1], number):
            storages += 1
            if method != layout.STORED or packed != size:
                raise DamageError("it is a storage and must be stored as it is", _shown(entry_name))
            header = layout.storage_header(entry_name, crc, size, offset)
        elif (packed != size if method == layout.STORED else packed >= size or method != layout.DEFLATED) or (
            size > limits.MAX_RECORD_BYTES or size > packed * limits.MAX_RATIO
        ):
            raise _wrong_sizes(_shown(entry_name), method, packed, size)
        header = header or layout.local_header(entry_name, method, crc, packed, size)
        start = offset + len(header)
        if data[offset:start] != header:
            difference = _difference("local header", data[offset:start], header)
            raise DamageError(difference, _shown(entry_name))
        entry_names.append(entry_name)
        records.append(Record(start, method, crc, packed, size))
        offset = start + packed
        if offset > directory.start:
            raise DamageError("it reaches into the central directory", _shown(entry_name))
        position = following
    _check_end(data, directory, position, offset)
    names = _checked_names(entry_names, _checked_root(root))
    _check_order(names, storages)
    manifest = records[-2]
    if manifest.size > limits.MAX_MANIFEST_BYTES or not manifest_fits(manifest.size, manifest.packed):
        raise _wrong_sizes(MANIFEST, manifest.method, manifest.packed, manifest.size)
    return dict(zip(names, records, strict=True))


def _check_end(data: Source, directory: Directory, position: int, offset: int) -> None:
    """Check that nothing lies around the directory, whose last entry ends at *position* of it.

    Args:
        data: The bytes of the archive.
        directory: Its central directory.
        position: Where the last entry ends, in the directory.
        offset: Where the last record ends, in the file.

    Raises:
        DamageError: if there is more, or the end record is another one.
    """
    stop = len(directory.block)
    if position != stop:
        raise DamageError(f"the central directory has {stop - position:,} bytes after its last record")
    if offset != directory.start:
        raise DamageError(
            f"there are {directory.start - offset:,} bytes between its last record and its directory"
        )
    tail = layout.end_records(directory.entries, stop, offset)
    if data[offset + stop : offset + stop + len(tail) + 1] != tail:
        raise DamageError("its end record is not as it was written, or something was appended")


def _read_unusual(block: bytes, position: int, number: int, offset: int) -> tuple[Entry, int]:
    """Read an entry that is not as most are: it has ZIP64 fields, or is damaged."""
    entry, following = _read_entry(block, position, number)
    wanted = layout.central_header(entry.name, entry.method, entry.crc, entry.packed, entry.size, offset)
    if block[position:following] != wanted:
        difference = _difference("central directory", block[position:following], wanted)
        raise DamageError(difference, _shown(entry.name))
    return entry, following


def _check_order(names: list[RecordName], storages: int) -> None:
    """Check the order of records (2.2), which also keeps names from coming twice."""
    if names[-2:] != [MANIFEST, SEAL]:
        raise DamageError("its last two records are not manifest and seal", names[-1] if names else None)
    ordinary = names[storages:-2]
    for before, name in pairwise(ordinary):
        if name <= before:
            raise DamageError(f"it comes after {before!r}; records are sorted and come once", name)
    for name in ordinary:
        if name.startswith(".") and (name in (MANIFEST, SEAL) or is_storage(name)):
            raise DamageError("it is not at its place", name)


def manifest_fits(size: int, packed: int) -> bool:
    """Tell whether a manifest of *size* may be deflated to *packed* bytes (docs/reference/format.md, 7)."""
    return size <= max(limits.FREE_MANIFEST_BYTES, packed * limits.MAX_MANIFEST_RATIO)


def _wrong_sizes(name: str, method: int, packed: int, size: int) -> DamageError:
    """Say which rule the sizes of a record break (1.2, 1.9, 7)."""
    if method not in (layout.STORED, layout.DEFLATED):
        return DamageError(f"its compression method is {method}; only 0 and 8 are allowed", name)
    most = limits.MAX_MANIFEST_BYTES if name == MANIFEST else limits.MAX_RECORD_BYTES
    if size > most:
        return DamageError(f"it has {size:,} bytes; at most {most:,} are allowed", name)
    most_inflated = limits.MAX_MANIFEST_RATIO if name == MANIFEST else limits.MAX_RATIO
    if method == layout.DEFLATED and size > packed * most_inflated:
        return DamageError(f"{packed:,} bytes cannot inflate to {size:,}", name)
    return DamageError(f"it cannot take {packed:,} bytes for a content of {size:,}", name)


def package_records(data: Source, directory: Directory) -> dict[RecordName, Record]:
    """Hold an archive of torch.package to section 8 of the format; return its records in its order.

    Raises:
        DamageError: if a name may not be, records overlap or are over a limit, or the two headers of a
            record contradict each other.
    """
    if directory.start != directory.declared_start:
        raise DamageError("its offsets do not count from its start; something was put before it")
    entries = read_entries(directory)
    root = _checked_root(entries[0].name.partition(b"/")[0] + b"/")
    names = _checked_names([entry.name for entry in entries], root)
    by_offset = sorted(entries, key=lambda entry: entry.offset)
    stops = [*(entry.offset for entry in by_offset[1:]), directory.start]
    stop_of = dict(zip((entry.name for entry in by_offset), stops, strict=True))
    records: dict[RecordName, Record] = {}
    for name, entry in zip(names, entries, strict=True):
        if name in records:
            raise DamageError("there are two records of this name", name)
        if entry.flags & 1:
            raise DamageError("it is encrypted", name)
        if stat.S_ISLNK(entry.attributes >> 16):
            raise DamageError("it is a symbolic link", name)
        _check_package_sizes(name, entry)
        start = _local_content(data, entry, name)
        if start + entry.packed > stop_of[entry.name]:
            raise DamageError("it reaches into the record that follows, or the directory", name)
        records[name] = Record(start, entry.method, entry.crc, entry.packed, entry.size)
    return records


_LISTS = frozenset({EXTERN_MODULES, "extern_modules", PYTHON_VERSION})
"""Records that are taken apart when an archive of torch.package is opened, and bound as a manifest is."""


def _check_package_sizes(name: RecordName, entry: Entry) -> None:
    method, packed, size = entry.method, entry.packed, entry.size
    over = size > limits.MAX_RECORD_BYTES and not is_storage(name)
    # Deflating may have made it larger.
    possible = packed == size if method == layout.STORED else size <= packed * limits.MAX_RATIO
    if name in _LISTS and not manifest_fits(size, packed):
        raise DamageError(f"{packed:,} bytes may not inflate to {size:,}", name)
    if over or not possible or method not in (layout.STORED, layout.DEFLATED):
        raise _wrong_sizes(name, method, packed, size)


def _local_content(data: Source, entry: Entry, name: RecordName) -> int:
    """Return where the content starts, after a local header that must agree with the directory."""
    if entry.offset + layout.LOCAL.size > len(data):
        raise DamageError("it lies beyond the end of the file", name)
    local = layout.LOCAL.unpack(data[entry.offset : entry.offset + layout.LOCAL.size])
    name_start = entry.offset + layout.LOCAL.size
    name_end: int = name_start + local[-2]
    if local[0] != layout.LOCAL_SIGNATURE or data[name_start:name_end] != entry.name:
        raise DamageError("there is no local header of its name where the directory says", name)
    if local[3] != entry.method:
        raise DamageError("its local header names another compression method than the directory", name)
    extra_length: int = local[-1]
    return name_end + extra_length


def _checked_root(root: bytes) -> str:
    """Return the folder of all entries with its slash (1.3)."""
    if root == b"/":
        raise DamageError("its names are absolute")
    name = root[:-1].decode("utf-8", "replace")
    try:
        return record_name(name) + "/"
    except ValueError as error:
        raise DamageError(str(error), name) from None


def _checked_names(entry_names: list[bytes], root: str) -> list[RecordName]:
    """Return the names of the records, all checked (1.3, 1.4).

    It decides as `wardian.domain.names.record_name` does, but for all at once and at the speed of memory:
    hundreds of thousands of long names must not take a minute.
    """
    names = _names_if_good(entry_names, root)
    if names is not None:
        return names
    while len(entry_names) > 1:
        half = entry_names[: len(entry_names) // 2]
        entry_names = half if _names_if_good(half, root) is None else entry_names[len(half) :]
    raise _wrong_name(entry_names[0], root)


def _names_if_good(entry_names: list[bytes], root: str) -> list[RecordName] | None:
    # A line for each name: none may hold a line feed.
    lines = b"\n".join([b"", *entry_names, b""])
    start = b"\n" + root.encode()
    if (
        len(lines) - len(lines.translate(None, _CONTROL)) != len(entry_names) + 1
        or lines.count(start) != len(entry_names)
        or max(map(len, entry_names), default=0) > len(root.encode()) + _LONGEST_NAME
        or any(bad in lines for bad in (b"\\", b"//", b"/\n", b"/./", b"/.\n", b"/../", b"/..\n"))
    ):
        return None
    try:
        text = lines.decode()
    except UnicodeDecodeError:
        return None
    if ":" in text and re.search(rf"\n{re.escape(root)}[^/]:[/\n]", text):
        return None
    return [RecordName(line) for line in text.replace(start.decode(), "\n").split("\n")[1:-1]]


def _wrong_name(entry_name: bytes, root: str) -> DamageError:
    """Say what is wrong with a name."""
    try:
        text = entry_name.decode()
    except UnicodeDecodeError:
        return DamageError(f"the name {_shown(entry_name)!r} is not UTF-8", _shown(entry_name))
    if not text.startswith(root):
        return DamageError(f"the name {text[:80]!r} does not start with {root!r}", text)
    try:
        record_name(text[len(root) :])
    except ValueError as error:
        return DamageError(str(error), text[len(root) :])
    raise AssertionError(f"record_name accepts {text!r}")


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
