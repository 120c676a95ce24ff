"""A reader of cases from docs/reference/format.md alone: standard library only, no Wardian, no ZIP64."""

import hashlib
import itertools
import json
import re
import struct
import zlib
from typing import Any

LOCAL, CENTRAL, END = struct.Struct("<4s5H3L2H"), struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s4H2LH")
NAME = r"(?!case/.:(?:/|\Z))case(?:/(?!\.\.?(?:/|\Z))[^/\\\x00-\x1f\x7f]+)+"


class Case:
    def __init__(self, data: bytes) -> None:
        self.data, self.records, self.manifest = data, dict[str, Any](), dict[str, Any](records={})
        _, _, _, _, count, _, at, _ = END.unpack(data[-22:])
        offset, storages, index = 0, 0, b""
        for number in range(count):
            _, _, _, _, method, _, _, crc, packed, size, length, *_ = CENTRAL.unpack_from(data, at)
            entry = data[at + 46 : at + 46 + length]
            name, at = entry.decode()[5:], at + 46 + length
            assert re.fullmatch(NAME, f"case/{name}"), "1.4"
            storage = storages == number and name == f".data/{number}.storage"
            padding = -(offset + 30 + length + 4) % (4096 if size >= 1 << 20 else 64)
            extra, storages = struct.pack(f"<2H{padding}x", 0x4246, padding) * storage, storages + storage
            assert packed == size if method == 0 else method == 8 and packed < size and not storage, "1.9"
            assert storage or size <= min(1 << 30, packed * 1100), "7"
            fields = (20, 1 << 11, method, 0, 33, crc, packed, size, length)
            local = LOCAL.pack(b"PK\3\4", *fields, len(extra)) + entry + extra
            assert data[offset : offset + len(local)] == local, "1.10"
            index += CENTRAL.pack(b"PK\1\2", 20, *fields, 0, 0, 0, 0, 0, offset) + entry
            offset += len(local) + packed
            self.records[name] = offset - packed, method, crc, packed, size
        assert data[offset:] == index + END.pack(b"PK\5\6", 0, 0, count, count, len(index), offset, 0), "1.10"
        *others, manifest, seal = list(self.records)[storages:]
        assert (len(self.records), others) == (count, sorted(others, key=str.encode)), "2.2"
        assert [manifest, seal] == [".wardian/manifest.json", ".wardian/seal"], "2.2"
        assert self.read(seal) == hashlib.sha256(self.read(manifest)).hexdigest().encode() + b"\n", "3.2"
        self.manifest = json.loads(self.read(manifest))
        sizes = {name: r[4] for name, r in self.records.items() if name not in (manifest, seal)}
        assert self.manifest["format"] == 1, "3.1"
        assert sizes == {name: r["size"] for name, r in self.manifest["records"].items()}, "3.4"

    def read(self, name: str) -> bytes:
        offset, method, crc, packed, size = self.records[name]
        raw = self.data[offset : offset + packed]
        content = zlib.decompressobj(-15).decompress(raw, size + 1) if method else raw
        assert (len(content), zlib.crc32(content)) == (size, crc), "1.6"
        sha256 = hashlib.sha256(content).hexdigest()  # A storage has BLAKE3, which is not in the library.
        assert self.manifest["records"].get(name, {}).get("sha256", sha256) == sha256, "3.2"
        return content

    def values(self, entry: str, name: str) -> list[float]:
        (t,) = (t for t in self.manifest["tensors"] if (t["entry"], t["name"]) == (entry, name))
        form = {"float32": "<f", "int64": "<q"}[t["dtype"]]
        places = itertools.product(*map(range, t["shape"]))
        flat = [value for (value,) in struct.iter_unpack(form, self.read(t["record"]))]
        return [flat[t["offset"] + sum(map(int.__mul__, p, t["stride"]))] for p in places]
