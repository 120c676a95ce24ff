"""What a fuzzer throws bytes at: whatever they are, reading them ends in content or in one of our errors.

An input is one byte that says which of the targets gets the rest. The targets differ in how deep random
bytes get: the first check of the container stops most, so two targets put them behind digests that fit.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable

import wardian
from tests import archives
from tests.archives import Forged, forge
from wardian.errors import WardianError

__all__ = ["MANIFEST", "TARGETS", "read"]

_WEIGHTS = bytes(range(24))
_NOTHING = Forged(b"case/model/model.pkl", b"\x80\x04N.")

MANIFEST = b"m"
"""The first byte of an input that holds a manifest."""


def read_archive(data: bytes) -> None:
    """Read *data* as a whole file: a case, an archive of torch.package, or neither."""
    archives.contents(data)


def read_forged(data: bytes) -> None:
    """Read an archive of records with headers that *data* describes, sealed so that digests fit."""
    entries = []
    while len(data) >= 4:
        name_length, length, shape, field = data[:4]
        entry = Forged(
            name=b"case/" + data[4 : 4 + name_length],
            content=data[4 + name_length : 4 + name_length + length],
            deflate=bool(shape & 1),
        )
        data = data[4 + name_length + length :]
        if shape & 2:
            fact = ("flags", "method", "crc", "packed", "size")[field % 5]
            entry.both = {fact: 1 << field % (16 if field % 5 < 2 else 32)}
        if shape & 4:
            entry.local = {1 + field % 8: field}
        if shape & 8:
            entry.central = {1 + field % 9: field}
        if shape & 16:
            entry.local_extra = data[: field % 64]
        if shape & 32:
            entry.central_extra = data[: field % 64]
        entries.append(entry)
    archives.contents(forge(entries))


def read_manifest(data: bytes) -> None:
    """Open a sealed case of which *data* is the manifest, and read its tensors; no code of it runs."""
    seal = hashlib.sha256(data).hexdigest().encode() + b"\n"
    # 34 bytes of local header and field, 25 of name: the content is at 64.
    storage = Forged(b"case/.data/0.storage", _WEIGHTS, local_extra=b"FB\x0a\0" + bytes(10))
    manifest = Forged(b"case/.wardian/manifest.json", data)
    case_bytes = forge([storage, _NOTHING, manifest, Forged(b"case/.wardian/seal", seal)], sealed=False)
    with wardian.open(case_bytes) as case:
        for name in case.tensors:
            case.tensors[name].sum()
        case.state_dict()


TARGETS: dict[bytes, Callable[[bytes], None]] = {
    b"a": read_archive,
    b"f": read_forged,
    MANIFEST: read_manifest,
}


def read(data: bytes) -> None:
    """Give *data* to its target; a `WardianError` is an answer, anything else that it raises is a defect."""
    target = TARGETS.get(data[:1])
    if target is not None:
        with contextlib.suppress(WardianError):
            target(data[1:])
