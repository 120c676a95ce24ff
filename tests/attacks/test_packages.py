"""Archives of torch.package, of which fewer bytes are fixed."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

import wardian
from tests import archives
from tests.archives import Forged, forge
from tests.attacks.refusal import CENTRAL_EXTERNAL, CENTRAL_OFFSET, LOCAL_METHOD, refuse
from wardian.archive import ArchiveReader
from wardian.errors import CorruptCaseError, NotACaseError

EXTERNS = Forged(b"resnet/.data/extern_modules", b"torch\n")


def test_the_forge_makes_valid_packages() -> None:
    data = forge([Forged(b"resnet/a.py", b"x"), EXTERNS], sealed=False)
    assert archives.contents(data) == {"a.py": b"x", ".data/extern_modules": b"torch\n"}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (Forged(b"resnet/../evil.py"), "record name"),
        (Forged(b"resnet/a\\b.py"), "record name"),
        (Forged(b"resnet//evil.py"), "record name"),
        (Forged(b"other/a.py"), "does not start with"),
        (Forged(b"resnet/a", both={"flags": 1}), "encrypted"),
        (Forged(b"resnet/a", both={"method": 14}), "compression method"),
        (Forged(b"resnet/a", central={CENTRAL_EXTERNAL: 0o120777 << 16}), "symbolic link"),
        (Forged(b"resnet/a", both={"size": 1 << 20}), "cannot take"),
        (Forged(b"resnet/a", both={"size": 1 << 20, "method": 8, "packed": 3}), "cannot inflate"),
        (Forged(b"resnet/a", both={"size": 4000, "packed": 4000}), "reaches into"),
        (Forged(b"resnet/a", central={CENTRAL_OFFSET: 1 << 31}), "beyond the end"),
        (Forged(b"resnet/a", central={CENTRAL_OFFSET: 0}), "reaches into|no local header"),
        (Forged(b"resnet/a", local={LOCAL_METHOD: 8}), "another compression method"),
        (Forged(b"resnet/.data/extern_modules", b"evil\n"), "two records"),
    ],
)
def test_a_package_that_is_hostile(entry: Forged, words: str) -> None:
    with pytest.raises(CorruptCaseError, match=words):
        archives.contents(forge([EXTERNS, entry], sealed=False))


def test_a_package_with_a_prefix() -> None:
    refuse(b"#!/bin/sh\n" + forge([EXTERNS], sealed=False), "put before it")


def test_a_package_with_absolute_names() -> None:
    refuse(forge([Forged(b"/.data/extern_modules"), Forged(b"/etc/passwd")], sealed=False), "absolute")


def test_a_package_cannot_pass_for_a_case() -> None:
    sealed = Forged(b"resnet/.wardian/seal", b"0" * 64 + b"\n")
    refuse(forge([EXTERNS, sealed], sealed=False), "not manifest and seal", ".wardian/seal")


def test_a_truncated_package(tmp_path: Path) -> None:
    data = forge([Forged(b"resnet/.data/0.storage", b"weights"), EXTERNS], sealed=False)
    refuse(data[:-1], "cut short")
    with pytest.raises(NotACaseError, match="cut short"):
        ArchiveReader.open(forge([EXTERNS], sealed=False)[:-1])


@pytest.mark.parametrize("root", ["a\x00b", "..", "a\\b", "a\nb", "C:"])
def test_a_package_in_a_folder_that_no_disk_should_have(root: str) -> None:
    refuse(forge([Forged(f"{root}/.data/extern_modules".encode())], sealed=False), "record name", root)


def test_records_that_inflate_far_are_not_inflated_to_see_what_they_are() -> None:
    zeros = Forged(b"r/m/a.pkl", bytes(16 << 20), deflate=True)
    pickle = Forged(b"r/m/b.pkl", b"\x80\x04N." + bytes(1 << 16), deflate=True)
    data = forge([Forged(b"r/.data/extern_modules"), zeros, pickle], sealed=False)
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    with wardian.open(data) as opened:
        assert [entry.name for entry in opened.manifest.entries] == ["m/b.pkl"]
    assert tracemalloc.get_traced_memory()[1] - before < 8 << 20


@pytest.mark.parametrize("record", [".data/extern_modules", ".data/python_version"])
def test_a_list_that_is_not_utf8(record: str) -> None:
    records = {".data/extern_modules": b"", "m/m.pkl": b"\x80\x02N.", record: b"\xff\xfe"}
    data = forge([Forged(b"r/" + name.encode(), content) for name, content in records.items()], sealed=False)
    for use in (wardian.open, wardian.requirements):
        with pytest.raises(CorruptCaseError, match="UTF-8") as caught:
            use(data)
        assert caught.value.record == record


@pytest.mark.parametrize("record", ["extern_modules", "python_version"])
def test_a_list_that_inflates_to_a_thousand_times_its_size(record: str) -> None:
    content = {"extern_modules": b"torch\n", record: b"a\n" * (8 << 20)}
    entries = [
        Forged(b"r/.data/" + name.encode(), data, deflate=len(data) > 99) for name, data in content.items()
    ]
    with pytest.raises(CorruptCaseError, match="may not inflate"):
        ArchiveReader.open(forge(entries, sealed=False))
