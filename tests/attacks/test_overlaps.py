"""Bytes that two records share, or that belong to none: overlaps, gaps, prefixes, suffixes, polyglots."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from tests import archives
from tests.archives import Forged, forge
from tests.attacks.refusal import CENTRAL_OFFSET, HARMLESS, refuse
from wardian.errors import CorruptCaseError


def test_records_that_overlap() -> None:
    # The second is the first by another name: both of its headers say so, at one place.
    first = Forged(b"case/a", b"x" * 40)
    refuse(forge([first, Forged(b"case/b", b"", central={CENTRAL_OFFSET: 0})]), "offset", "b")


def test_a_record_that_reaches_into_the_directory() -> None:
    entry = Forged(b"case/a", b"x", both={"size": 5000, "packed": 5000})
    refuse(forge([entry]), "reaches into the central directory", "a")


def test_a_gap_before_the_directory() -> None:
    data = forge([HARMLESS])
    directory = data.index(b"PK\x01\x02")
    end = bytearray(data[directory:])
    end[-6:-2] = struct.pack("<L", directory + 7)
    refuse(data[:directory] + b"hidden!" + bytes(end), "7 bytes between")


def test_a_prefix() -> None:
    data = forge([HARMLESS])
    refuse(b"#!/bin/sh\nrm -rf ~\n" + data, "local header", "mylib/models.py")


def test_a_prefix_with_offsets_that_fit() -> None:
    data = forge([Forged(HARMLESS.name, HARMLESS.content, before=b"MZ" + bytes(98))])
    refuse(data, "offset", "mylib/models.py")


@pytest.mark.parametrize("suffix", [b"\n", b"<script>", bytes(70_000), b"PK\x05\x06" + bytes(18)])
def test_a_suffix(suffix: bytes) -> None:
    with pytest.raises(CorruptCaseError, match="appended"):
        archives.contents(forge([HARMLESS]) + suffix)


def test_a_suffix_as_a_comment() -> None:
    data = forge([HARMLESS], end={7: 5})
    refuse(data + b"hello", "end record")


def test_an_archive_behind_a_case() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("case/evil.py", "x")
    refuse(forge([HARMLESS]) + stream.getvalue(), "appended")


def test_a_case_behind_an_archive() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("evil.py", "x")
    with pytest.raises(CorruptCaseError):
        archives.contents(stream.getvalue() + forge([HARMLESS]))
