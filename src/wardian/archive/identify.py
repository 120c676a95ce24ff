"""Names for files that are no case, each with the call that would load it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wardian.archive.central_directory import Source

__all__ = ["describe"]

_LEGACY_CHECKPOINT = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The magic number of torch.save before 1.6, pickled (torch/serialization.py, MAGIC_NUMBER)."""

_MAGIC = (
    (_LEGACY_CHECKPOINT, "a checkpoint of torch.save in its old format; torch.load(path) loads it"),
    (
        b"\x89HDF\r\n\x1a\n",
        "an HDF5 file; h5py.File(path) opens it, keras.models.load_model(path) if it is of Keras",
    ),
    (b"GGUF", "a GGUF file; llama.cpp and gguf.GGUFReader(path) read it"),
    (b"\x93NUMPY", "a NumPy array; numpy.load(path) loads it"),
    (b"\x1f\x8b", "a gzip file; decompress it first: gzip.open(path)"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file; decompress it first: zstd -d"),
    (b"\xfd7zXZ\0", "an xz file; decompress it first: lzma.open(path)"),
    (b"BZh", "a bzip2 file; decompress it first: bz2.open(path)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive; extract it first: 7z x"),
    (b"\x7fELF", "a shared library or program; torch.ops.load_library(path) loads operators"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself; fetch it: git lfs pull"),
)

_MAGIC_AT_4 = (
    (b"TFL3", "a TensorFlow Lite model; tf.lite.Interpreter(path) loads it"),
    (b"PTMF", "a mobile TorchScript model; torch.jit.load(path) loads it"),
    (b"ET12", "an ExecuTorch program; executorch.runtime.Runtime loads it"),
)

_MEMBERS = (
    # The order matters: the first that fits is the most special.
    (r"constants\.pkl|code/.*", "a TorchScript archive; torch.jit.load(path) loads it"),
    (
        r"archive_format|models/.*\.json|serialized_exported_program\.json",
        "a PT2 archive; torch.export.load(path) or, compiled, torch._inductor.aoti_load_package loads it",
    ),
    (r"data\.pkl", "a checkpoint of torch.save, without code; torch.load(path) loads it"),
)

_OTHER_MEMBERS = (
    (r"[^/]*\.npy", "NumPy arrays in a ZIP archive; numpy.load(path) loads them"),
    (r"model\.weights\.h5", "a Keras model; keras.models.load_model(path) loads it"),
    (r"[^/]*\.dist-info/WHEEL", "a Python wheel; pip install it"),
)


def describe(data: Source, entries: Iterable[bytes] = ()) -> str:
    """Say what a file is.

    Args:
        data: Its content.
        entries: The names of its entries, if it is a ZIP archive that can be read.

    Returns:
        A phrase that follows "it is", with the call that loads such a file where there is one.
    """
    if not len(data):
        return "empty"
    names = [name.decode("utf-8", "replace") for name in entries]
    if names:
        return _zip(names)
    head = data[:1024]
    for magic, text in _MAGIC:
        if head.startswith(magic):
            return text
    for magic, text in _MAGIC_AT_4:
        if head[4:8] == magic:
            return text
    if head.startswith(b"PK\x03\x04"):
        return "a ZIP archive that is cut short or damaged; get the file again"
    if head.startswith(b"PK\x05\x06"):
        return "an empty ZIP archive"
    if len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= len(data) - 8:
        return "a safetensors file; safetensors.torch.load_file(path) loads it"
    if len(head) > 1 and head[0] == 0x80 and head[1] <= 5:
        return "a pickle; torch.load(path) or, if you trust it, pickle.load(file) loads it"
    if head[257:262] == b"ustar":
        return "a tar archive; extract it first: tar -xf"
    return _guess(head)


def _zip(names: list[str]) -> str:
    below = [name.partition("/")[2] for name in names]
    for pattern, text in _MEMBERS:
        if any(re.fullmatch(pattern, name) for name in below):
            return text
    for pattern, text in _OTHER_MEMBERS:
        if any(re.fullmatch(pattern, name) for name in names):
            return text
    return f"another kind of ZIP archive; it starts with {names[0][:80]!r}"


def _guess(head: bytes) -> str:
    """Describe a file without a magic number."""
    if not head.strip(b"\0"):
        return "full of zero bytes; the download may not be complete"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page; the download may have failed or need a login"
    # An ONNX model starts with its ir_version, then the name of its producer or a later field.
    if head[0] == 0x08 and len(head) > 2 and head[1] < 32 and head[2] in (0x12, 0x1A, 0x22, 0x3A, 0x42):
        return "an ONNX model or other protobuf message; onnx.load(path) loads it"
    if not re.search(rb"[\x00-\x08\x0e-\x1f\x7f]", head) and _is_utf8(head):
        return f"a text file; it starts with {head[:40].decode('utf-8', 'ignore')!r}"
    return f"none that Wardian knows; it starts with the bytes {head[:8].hex(' ')}"


def _is_utf8(head: bytes) -> bool:
    try:
        # The last character may be cut.
        head[: max(len(head) - 3, 1)].decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 6
    return True
