"""Files and environments that do not fit: said before packed code runs, with the way out."""

from __future__ import annotations

import gzip
import importlib.metadata
import io
import json
import pickle
import struct
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import wardian
from tests.support import MANIFEST, write_case
from wardian.archive import ArchiveReader
from wardian.domain.manifest import Extern
from wardian.domain.names import RecordName


def _torch_save() -> bytes:
    buffer = io.BytesIO()
    torch.save({"weight": torch.ones(2)}, buffer)
    return buffer.getvalue()


def _zip(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "content")
    return buffer.getvalue()


def _safetensors() -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4)


OTHERS: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "empty"),
    "text": (lambda: b"import torch\n", "text"),
    "a picture": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(64), "starts with the bytes 89 50 4e 47"),
    "a pickle": (lambda: pickle.dumps({"a": 1}), "pickle"),
    "a gzip file": (lambda: gzip.compress(b"model"), "gzip"),
    "weights of safetensors": (_safetensors, "safetensors"),
    "weights of torch.save": (_torch_save, "torch.load"),
    "a ZIP archive": (lambda: _zip("notes.txt"), "another kind of ZIP archive; it starts with 'notes.txt'"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_another_kind_of_file_is_named(kind: str, tmp_path: Path) -> None:
    make, words = OTHERS[kind]
    path = tmp_path / "model.case"
    path.write_bytes(make())
    for verb in (wardian.open, wardian.load):
        with pytest.raises(wardian.NotACaseError) as caught:
            verb(path)
        assert words.lower() in str(caught.value).lower()
        assert str(path) in str(caught.value)
        assert isinstance(caught.value, ValueError)


def test_a_truncated_case_is_told(tmp_path: Path) -> None:
    content = write_case(tmp_path / "whole.case", "--- fern/__init__.py\nFROND = 1").read_bytes()
    for size in (len(content) // 3, len(content) - 30, len(content) - 1):
        with pytest.raises(wardian.CorruptCaseError, match=r"cut short|damaged"):
            wardian.open(content[:size])


def test_an_altered_record_is_named(tmp_path: Path) -> None:
    marker = b"FROND = 'q8Xz'"  # too short to be deflated
    sources = {"fern/__init__.py": b"", "fern/frond.py": marker + b"\n"}
    path = write_case(tmp_path / "fern.case", sources, storages=(bytes(range(64)),))
    content = path.read_bytes()
    with ArchiveReader.open(path) as archive:
        places = {"fern/frond.py": content.index(marker) + 9}
        places[".data/0.storage"] = archive.location(RecordName(".data/0.storage"))[0] + 5
    for record, place in places.items():
        damaged = bytearray(content)
        damaged[place] ^= 1
        with wardian.open(bytes(damaged)) as case, pytest.raises(wardian.CorruptCaseError) as caught:
            case.read(record)
        assert caught.value.record == record
        assert record in str(caught.value)


def test_altered_code_does_not_run(tmp_path: Path) -> None:
    path = write_case(tmp_path / "fern.case", {"fern.py": "OPEN = 1"})
    damaged = path.read_bytes().replace(b"OPEN = 1", b"1 / 0 # ")
    with wardian.open(damaged) as case, pytest.raises(wardian.CorruptCaseError, match=r"'fern\.py'"):
        case.import_module("fern")


def test_a_newer_format_says_what_to_install(tmp_path: Path) -> None:
    path = write_case(tmp_path / "later.case", format=99)
    with pytest.raises(
        wardian.UnsupportedFormatError, match=r"has format 99.*pip install --upgrade wardian"
    ) as e:
        wardian.open(path)
    assert e.value.format == 99


def _extern(name: str, version: str, *names: str, soft: bool = False) -> Extern:
    return Extern(distribution=name, version=version, modules=(name,), names=names, soft=soft)


SOURCES = "--- fern/__init__.py\nraise AssertionError('packed code ran')"
SPORE = b"\x80\x04cfern\nspore\n."


def _open_and_import(path: Path) -> Any:
    with wardian.open(path) as case:
        return case.import_module("fern")


def _open_and_load(path: Path) -> Any:
    with wardian.open(path) as case:
        return case.load()


@pytest.mark.parametrize("verb", [_open_and_import, _open_and_load, wardian.load])
def test_missing_and_old_externs_are_told_together_before_packed_code_runs(
    verb: Callable[[Path], Any], tmp_path: Path
) -> None:
    externs = (
        _extern("packaging", "9999.1"),
        _extern("nobody-has-this", "1.2.3+cpu"),
        *MANIFEST.externs,
    )
    path = write_case(tmp_path / "fern.case", SOURCES, pickle=SPORE, externs=externs)
    before = set(sys.modules)
    with pytest.raises(wardian.EnvironmentMismatchError) as caught:
        verb(path)
    installed = importlib.metadata.version("packaging")
    assert [problem.what for problem in caught.value.problems] == [
        f"packaging {installed} is too old, the case was packed with 9999.1",
        "nobody-has-this is not installed",
    ]
    assert [problem.fix for problem in caught.value.problems] == [
        'pip install "packaging>=9999.1,<10000"',
        "pip install nobody-has-this==1.2.3",
    ]
    assert isinstance(caught.value, ImportError)
    assert not [name for name in set(sys.modules) - before if name.startswith("wardian.live.fern")]


def test_what_does_not_fit_here_can_be_looked_at(tmp_path: Path) -> None:
    externs = (_extern("nobody-has-this", "1.2.3"), *MANIFEST.externs)
    path = write_case(tmp_path / "fern.case", SOURCES, pickle=SPORE, externs=externs)
    with wardian.open(path) as case:
        assert [str(problem) for problem in case.environment()] == [
            "nobody-has-this is not installed\n    fix: pip install nobody-has-this==1.2.3"
        ]
        assert case.read("fern/__init__.py").startswith(b"raise")
        assert case.state_dict() == {}
        case.verify()
        with pytest.raises(wardian.EnvironmentMismatchError):
            case.load()


def test_what_does_not_fit_here_names_the_packed_module_that_asks_for_it(tmp_path: Path) -> None:
    extern = Extern(
        distribution="nobody-has-this", version="1.2.3", modules=("nobody",), names=(), soft=False
    )
    sources = "--- fern/__init__.py\n--- fern/frond.py\n\nfrom nobody import spores\n"
    with wardian.open(write_case(tmp_path / "fern.case", sources, externs=(extern,))) as case:
        [problem] = case.environment()
    assert problem.chain == ("fern/frond.py:1: fern.frond imports nobody (unconditional)",)
    assert str(problem).splitlines()[1].strip() == problem.chain[0]


def test_what_fits_has_nothing_to_tell(tmp_path: Path) -> None:
    with wardian.open(write_case(tmp_path / "empty.case")) as case:
        assert case.environment() == ()


def test_an_older_release_of_the_same_major_version_will_do_if_it_has_the_names(tmp_path: Path) -> None:
    have = importlib.metadata.version("packaging")
    later = f"{have.partition('.')[0]}.9999"
    enough = _extern("packaging", later, "packaging.version.Version", "packaging.tags")
    too_little = replace(enough, names=("packaging.version.NewThing", "packaging.version.Version"))
    with wardian.open(write_case(tmp_path / "enough.case", externs=(enough,))) as case:
        assert case.load() is None
    with pytest.raises(wardian.EnvironmentMismatchError, match=r"lacks packaging\.version\.NewThing;"):
        wardian.load(write_case(tmp_path / "lacking.case", externs=(too_little,)))


def test_what_is_soft_may_be_missing(tmp_path: Path) -> None:
    path = write_case(tmp_path / "soft.case", externs=(_extern("nobody-has-this", "1.0", soft=True),))
    with wardian.open(path) as case:
        assert case.load() is None
