"""Names of records that must not be."""

from __future__ import annotations

import pytest

from tests import archives
from tests.archives import Forged, forge
from tests.attacks.refusal import HARMLESS, refuse
from wardian.errors import CorruptCaseError


@pytest.mark.parametrize(
    "text",
    [
        "../evil.py",
        "mylib/../../evil.py",
        "mylib/..",
        "./a.py",
        "a//b.py",
        "/etc/cron.d/evil",
        "C:/evil.py",
        "C:",
        "a\\..\\evil.py",
        "a\x00.py",
        "a\n.py",
        "a\x7f.py",
        "folder/",
        "",
        "a" * 1025,
    ],
)
def test_a_name_that_is_no_path_below_the_root(text: str) -> None:
    data = forge([Forged(b"case/" + text.encode(), b"x")])
    refuse(data, "record name", text)


def test_a_name_that_is_not_utf8() -> None:
    refuse(forge([Forged(b"case/a\xff.py")]), "not UTF-8", "a\\xff.py")


def test_a_name_with_an_encoded_surrogate() -> None:
    with pytest.raises(CorruptCaseError, match="not UTF-8"):
        archives.contents(forge([Forged(b"case/\xed\xa0\x80.py")]))


def test_a_name_in_another_root() -> None:
    refuse(forge([HARMLESS, Forged(b"casf/a.py")]), "does not start with 'case/'", "casf/a.py")


def test_an_absolute_name() -> None:
    refuse(forge([HARMLESS, Forged(b"/etc/passwd")]), "does not start with 'case/'", "/etc/passwd")
    refuse(forge([Forged(b"/etc/passwd")]), "its names are absolute", None)


def test_two_records_of_one_name() -> None:
    refuse(forge([HARMLESS, Forged(HARMLESS.name, b"evil")]), "come once", "mylib/models.py")


def test_another_name_in_the_local_header() -> None:
    data = bytearray(forge([HARMLESS]))
    data[30 + 5 : 30 + 10] = b"other"
    refuse(bytes(data), "local header", "mylib/models.py")


def test_records_out_of_order() -> None:
    refuse(forge([Forged(b"case/b.py"), Forged(b"case/a.py")]), "sorted", "a.py")


def test_a_storage_out_of_order() -> None:
    refuse(forge([Forged(b"case/.data/1.storage")]), "not at its place", ".data/1.storage")


def test_a_storage_with_leading_zeros() -> None:
    refuse(forge([Forged(b"case/.data/00.storage")]), "not at its place", ".data/00.storage")


def test_a_second_seal() -> None:
    refuse(forge([Forged(b"case/.wardian/seal", b"0" * 64 + b"\n")]), "not at its place", ".wardian/seal")


def test_no_seal() -> None:
    refuse(
        forge([Forged(b"case/.wardian/manifest.json", b"{}")], sealed=False),
        "not manifest and",
        ".wardian/manifest.json",
    )


def test_no_manifest() -> None:
    refuse(
        forge([Forged(b"case/.wardian/seal", b"0" * 64)], sealed=False), "not manifest and", ".wardian/seal"
    )
