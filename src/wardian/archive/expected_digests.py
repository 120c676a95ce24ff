"""The digests that records must have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wardian.archive.central_directory import Record
from wardian.archive.crc import crc32
from wardian.archive.digests import digest_of, new_blake3
from wardian.archive.refusals import Refusals
from wardian.archive.structure import Kind
from wardian.domain.digests import RecordDigest
from wardian.domain.names import RecordName
from wardian.domain.record_names import is_storage
from wardian.errors import CorruptCaseError

__all__ = ["ExpectedDigests"]


class ExpectedDigests:
    """The digest that each record must have; as long as it has none, its CRC-32 is checked.

    Args:
        kind: The kind of the archive.
        records: Its records, in file order.
        refusals: Makes its errors.
    """

    def __init__(self, kind: Kind, records: Mapping[RecordName, Record], refusals: Refusals) -> None:
        self._kind = kind
        self._records = records
        self._refusals = refusals
        self._digests: dict[RecordName, RecordDigest] = {}

    def __contains__(self, name: RecordName) -> bool:
        return name in self._digests

    def replace(self, digests: Mapping[RecordName, RecordDigest]) -> None:
        """Take the table of a manifest.

        Raises:
            CorruptCaseError: as for `ArchiveReader.expect`.
        """
        names = tuple(self._records)
        named = names[:-2] if self._kind == "case" else names
        for name in named:
            wanted = digests.get(name)
            if wanted is None:
                raise self._refusals.corrupt("the manifest does not name it", name)
            if wanted.size != self._records[name].size:
                raise self._refusals.corrupt(
                    f"it has {self._records[name].size:,} bytes, the manifest says {wanted.size:,}", name
                )
            if (wanted.algorithm == "blake3") is not is_storage(name):
                raise self._refusals.corrupt(f"the manifest gives its digest as {wanted.algorithm}", name)
        if len(digests) != len(named):
            missing = next(iter(digests.keys() - set(named)))
            raise self._refusals.corrupt("the manifest names it, but it is not in the archive", missing)
        self._digests = dict(digests)

    def add(self, name: RecordName, digest: RecordDigest) -> None:
        """Take the digest of a record that the table has not."""
        self._digests[name] = digest

    def check(self, name: RecordName, content: bytes | memoryview, *, crc: bool) -> None:
        """Check all bytes of a record; with *crc*, the CRC-32 of one that has a digest, too.

        Raises:
            CorruptCaseError: if its CRC-32 or its digest is another.
        """
        wanted = self._digests.get(name)
        if (crc or wanted is None) and crc32(content) != self._records[name].crc:
            raise self._wrong_crc(name)
        if wanted is not None and digest_of(content, wanted.algorithm).hex != wanted.hex:
            raise self._wrong_digest(name, wanted)

    def check_parts(self, name: RecordName, parts: Iterable[bytes | memoryview], *, crc: bool) -> None:
        """Check a storage as `check`, of which not all is held in memory."""
        wanted = self._digests.get(name)
        found, hasher = 0, None if wanted is None else new_blake3(all_cores=True)
        for part in parts:
            if crc or wanted is None:
                found = crc32(part, found)
            if hasher is not None:
                hasher.update(part)
        if (crc or wanted is None) and found != self._records[name].crc:
            raise self._wrong_crc(name)
        if hasher is not None and wanted is not None and hasher.hexdigest() != wanted.hex:
            raise self._wrong_digest(name, wanted)

    def _wrong_crc(self, name: RecordName) -> CorruptCaseError:
        return self._refusals.corrupt("its content does not have its CRC-32", name)

    def _wrong_digest(self, name: RecordName, wanted: RecordDigest) -> CorruptCaseError:
        if self._kind == "torch.package":  # which has no digests
            return self._refusals.corrupt("its content is not what was judged", name)
        return self._refusals.corrupt(
            f"its content does not have the {wanted.algorithm} digest in the manifest", name
        )
