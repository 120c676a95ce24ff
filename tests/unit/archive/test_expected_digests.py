"""What records are held to, before and after digests are known."""

from __future__ import annotations

import pytest

from wardian.archive import layout
from wardian.archive.central_directory import Record
from wardian.archive.crc import crc32
from wardian.archive.digests import digest_of
from wardian.archive.expected_digests import ExpectedDigests
from wardian.archive.refusals import Refusals
from wardian.archive.structure import Kind
from wardian.domain.names import RecordName
from wardian.domain.record_names import MANIFEST, SEAL
from wardian.errors import CorruptCaseError

CONTENTS = {
    RecordName(".data/0.storage"): b"weights",
    RecordName("oak.py"): b"class Oak: ...",
    MANIFEST: b"{}",
    SEAL: b"seal\n",
}
STORAGE, SOURCE, *_ = CONTENTS
DIGESTS = {STORAGE: digest_of(b"weights", "blake3"), SOURCE: digest_of(b"class Oak: ...", "sha256")}


def expected(kind: Kind = "case") -> ExpectedDigests:
    records = {
        name: Record(0, layout.STORED, crc32(data), len(data), len(data)) for name, data in CONTENTS.items()
    }
    return ExpectedDigests(kind, records, Refusals(None))


def test_without_a_digest_the_crc_is_checked() -> None:
    of_case = expected()
    of_case.check(SOURCE, CONTENTS[SOURCE], crc=False)
    of_case.check_parts(SOURCE, [b"class ", b"Oak: ..."], crc=False)
    with pytest.raises(CorruptCaseError, match="does not have its CRC-32"):
        of_case.check(SOURCE, b"class Elm: ...", crc=False)
    with pytest.raises(CorruptCaseError, match="does not have its CRC-32"):
        of_case.check_parts(SOURCE, [b"class ", b"Elm: ..."], crc=False)


@pytest.mark.parametrize("crc", [False, True])
def test_with_a_digest_that_is_checked(crc: bool) -> None:
    of_case = expected()
    of_case.replace(DIGESTS)
    of_case.check(STORAGE, b"weights", crc=crc)
    of_case.check_parts(STORAGE, [b"wei", b"ghts"], crc=crc)
    wrong = "CRC-32" if crc else "does not have the blake3 digest in the manifest"
    with pytest.raises(CorruptCaseError, match=wrong):
        of_case.check(STORAGE, b"weighed", crc=crc)
    with pytest.raises(CorruptCaseError, match=wrong):
        of_case.check_parts(STORAGE, [b"wei", b"ghed"], crc=crc)


def test_a_record_of_torch_package_is_held_to_what_was_judged() -> None:
    of_package = expected("torch.package")
    assert SOURCE not in of_package
    of_package.add(SOURCE, DIGESTS[SOURCE])
    assert SOURCE in of_package
    of_package.check(SOURCE, CONTENTS[SOURCE], crc=False)
    with pytest.raises(CorruptCaseError, match=r"'oak\.py': its content is not what was judged"):
        of_package.check(SOURCE, b"class Elm: ...", crc=False)


def test_a_table_that_is_refused_changes_nothing() -> None:
    of_case = expected()
    with pytest.raises(CorruptCaseError, match="the manifest does not name it"):
        of_case.replace({STORAGE: DIGESTS[STORAGE]})
    assert STORAGE not in of_case
