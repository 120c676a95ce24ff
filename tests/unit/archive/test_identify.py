"""A file that is no case is named, with the call that loads it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from wardian.archive import ArchiveReader
from wardian.archive import identify as kinds
from wardian.errors import NotACaseError


def refusal(source: Path | bytes) -> str:
    with pytest.raises(NotACaseError) as caught:
        ArchiveReader.open(source)
    assert isinstance(caught.value, ValueError)
    assert caught.value.path == (str(source) if isinstance(source, Path) else None)
    return str(caught.value)


def tar(data: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo("model.pth")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for text in names:
            archive.writestr(text, "x")
    return stream.getvalue()


SAFETENSORS = (2).to_bytes(8, "little") + b"{}"

FILES = {
    "it is empty": b"",
    "h5py": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "GGUF": b"GGUF\x03\0\0\0" + bytes(100),
    "numpy.load": b"\x93NUMPY\x01\0" + bytes(100),
    "gzip": gzip.compress(b"x"),
    "Zstandard": b"\x28\xb5\x2f\xfd" + bytes(20),
    "an xz": lzma.compress(b"x"),
    "bzip2": bz2.compress(b"x"),
    "7-Zip": b"7z\xbc\xaf\x27\x1c" + bytes(20),
    "shared library": b"\x7fELF" + bytes(60),
    "git lfs pull": b"version https://git-lfs.example/spec/v1\noid sha256:00\nsize 3\n",
    "safetensors": SAFETENSORS,
    "a tar archive": tar(b"x"),
    "zero bytes": bytes(100),
    "web page": b"<!DOCTYPE html><html><body>Sign in</body></html>",
    "ONNX": b"\x08\x07\x12\x07pytorch\x1a\x05" + bytes(30),
    "a text file; it starts with": "naïve text".encode(),
    "bytes de ad be ef": b"\xde\xad\xbe\xef\x00\x01\x02\x03",
    "TensorFlow Lite": b"\x1c\0\0\0TFL3" + bytes(20),
    "a pickle": pickle.dumps(OrderedDict(weight=1.0), protocol=4),
    "an empty ZIP": zipped(),
    "NumPy arrays": zipped("weight.npy", "bias.npy"),
    "Keras": zipped("metadata.json", "model.weights.h5"),
    "wheel": zipped("mylib/__init__.py", "mylib-1.0.dist-info/WHEEL"),
    "another kind of ZIP archive": zipped("docs/readme.txt"),
    "torch.export.load": zipped("resnet/archive_format", "resnet/models/model.json"),
    "cut short": zipped("docs/readme.txt")[:-30],
}


@pytest.mark.parametrize("words", FILES, ids=lambda words: words)
def test_a_file_is_named(words: str) -> None:
    assert words in refusal(FILES[words])


def test_files_of_torch_are_named(tmp_path: Path) -> None:
    linear = torch.nn.Linear(2, 2)
    torch.save(linear.state_dict(), tmp_path / "weights.pth")
    assert "torch.load(path)" in refusal(tmp_path / "weights.pth")
    torch.save(linear.state_dict(), tmp_path / "case.pt")
    assert "torch.load(path)" in refusal(tmp_path / "case.pt")
    torch.save(linear.state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert "old format; torch.load(path)" in refusal(tmp_path / "old.pth")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(linear), tmp_path / "scripted.pt")
    assert "torch.jit.load(path)" in refusal(tmp_path / "scripted.pt")


@pytest.mark.slow
def test_an_exported_program_is_named(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),))
        torch.export.save(program, tmp_path / "exported.pt2")
    assert "torch.export.load(path)" in refusal(tmp_path / "exported.pt2")


@pytest.mark.parametrize("length", range(1, 40))
def test_any_short_file_is_described(length: int) -> None:
    for data in (b"\x80" * length, b"P" * length, b"PK\x03\x04".ljust(length, b"\0"), b"\x08" * length):
        assert kinds.describe(data[:length])
