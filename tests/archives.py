"""Small archives for tests: cases as the writer makes them, and forged ones that no writer would make."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wardian.archive import ArchiveReader, layout
from wardian.archive.deflate import deflate
from wardian.archive.writer import ArchiveWriter
from wardian.domain.digests import RecordDigest
from wardian.domain.names import RecordName
from wardian.domain.record_names import is_storage

LOCAL_FORM = struct.Struct("<4s5H3L2H")
CENTRAL_FORM = struct.Struct("<4s6H3L5H2L")


def name(text: str) -> RecordName:
    return RecordName(text)


def document(digests: Mapping[RecordName, RecordDigest]) -> bytes:
    """A manifest with the table of digests and nothing else."""
    table = {
        record: {"size": digest.size, digest.algorithm: digest.hex} for record, digest in digests.items()
    }
    return json.dumps({"records": table}, sort_keys=True, separators=(",", ":")).encode()


def table(manifest: bytes) -> dict[RecordName, RecordDigest]:
    """The digests in a manifest that `document` made."""
    found = {}
    for record, facts in json.loads(manifest)["records"].items():
        if "blake3" in facts:
            found[name(record)] = RecordDigest(facts["size"], "blake3", facts["blake3"])
        else:
            found[name(record)] = RecordDigest(facts["size"], "sha256", facts["sha256"])
    return found


def write(target: Path, storages: list[bytes], records: Mapping[str, bytes]) -> bytes:
    """Write a case; return its bytes."""
    with ArchiveWriter(target) as archive:
        for storage in storages:
            archive.add_storage(storage, len(storage))
        for record, content in records.items():
            archive.add(name(record), content)
        archive.finish(document)
        archive.publish()
    return target.read_bytes()


def small(target: Path) -> bytes:
    """Write a case with a record of each kind; return its bytes."""
    records = {".data/version": b"6\n", "mylib/models/resnet.py": b"class ResNet:\n    pass\n" * 4}
    return write(target, [b"\x00\x01\x02\x03" * 3], records)


def contents(data: bytes | Path) -> dict[str, bytes]:
    """Open, check and read everything, as a careful caller does."""
    with ArchiveReader.open(data) as archive:
        if archive.kind == "case" and archive.manifest != b"{}":
            archive.expect(table(archive.manifest))
        for record in archive.names:
            archive.verify(record, crc=True)
        return {record: archive.read(record) for record in archive.names}


@dataclass
class Forged:
    """An entry with consistent headers, except where told otherwise."""

    name: bytes
    content: bytes = b""
    deflate: bool = False
    local: dict[int, int] = field(default_factory=dict)
    """Values for fields of the local header, by their number."""
    central: dict[int, int] = field(default_factory=dict)
    """Values for fields of the central directory, by their number."""
    local_extra: bytes = b""
    central_extra: bytes = b""
    both: dict[str, int] = field(default_factory=dict)
    """Values for both headers: `flags`, `method`, `crc`, `packed`, `size`."""
    before: bytes = b""
    """Bytes in front of the local header."""
    after: bytes = b""
    """Bytes behind the content, such as a data descriptor."""


def forge(entries: list[Forged], *, sealed: bool = True, end: Mapping[int, int] | None = None) -> bytes:
    """Build an archive from forged entries, with manifest and seal that fit if *sealed*.

    *end* gives values for fields of the end record, by their number.
    """
    if sealed:
        manifest = document(
            {
                name(e.name.removeprefix(b"case/").decode("utf-8", "replace")): RecordDigest(
                    e.both.get("size", len(e.content)), "sha256", hashlib.sha256(e.content).hexdigest()
                )
                for e in entries
            }
        )
        seal = hashlib.sha256(manifest).hexdigest().encode() + b"\n"
        entries = [
            *entries,
            Forged(b"case/.wardian/manifest.json", manifest),
            Forged(b"case/.wardian/seal", seal),
        ]
    body, directory = b"", b""
    for e in entries:
        packed = e.content
        if e.deflate:
            packed = zlib.compress(e.content, 6, wbits=-15)
        facts = {
            "flags": 1 << 11,
            "method": 8 if e.deflate else 0,
            "crc": zlib.crc32(e.content),
            "packed": len(packed),
            "size": len(e.content),
            **e.both,
        }
        common = [facts["flags"], facts["method"], 0, 33, facts["crc"], facts["packed"], facts["size"]]
        local = [20, *common, len(e.name), len(e.local_extra)]
        central = [20, 20, *common, len(e.name), len(e.central_extra), 0, 0, 0, 0, len(body + e.before)]
        for number, value in e.local.items():
            local[number - 1] = value
        for number, value in e.central.items():
            central[number - 1] = value
        body += e.before + LOCAL_FORM.pack(b"PK\x03\x04", *local) + e.name + e.local_extra + packed + e.after
        directory += CENTRAL_FORM.pack(b"PK\x01\x02", *central) + e.name + e.central_extra
    fields = [0, 0, len(entries), len(entries), len(directory), len(body), 0]
    for number, value in (end or {}).items():
        fields[number - 1] = value
    return body + directory + struct.pack("<4s4H2LH", b"PK\x05\x06", *fields)


def exchange(path: Path, record: str, content: bytes) -> None:
    """Give a record of a case other content, and headers that fit it; manifest and seal stay as they are."""
    body, directory, count = b"", b"", 0
    with ArchiveReader.open(path) as archive:
        for name in archive.names:
            data = content if name == record else archive.read(name)
            entry, crc, offset = b"case/" + name.encode(), zlib.crc32(data), len(body)
            if is_storage(name):
                body += layout.storage_header(entry, crc, len(data), offset) + data
                directory += layout.central_header(entry, layout.STORED, crc, len(data), len(data), offset)
            else:
                packed = deflate(data)
                method, packed = (
                    (layout.DEFLATED, packed) if len(packed) < len(data) else (layout.STORED, data)
                )
                body += layout.local_header(entry, method, crc, len(packed), len(data)) + packed
                directory += layout.central_header(entry, method, crc, len(packed), len(data), offset)
            count += 1
    path.write_bytes(body + directory + layout.end_records(count, len(directory), len(body)))
