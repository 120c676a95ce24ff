"""The names of records, each spelled once (docs/reference/format.md, 2)."""

from __future__ import annotations

import re

from wardian.domain.names import RecordName

__all__ = [
    "BYTECODE",
    "BYTE_ORDER",
    "EXTERN_MODULES",
    "IMPORTS",
    "LEFT_OUT",
    "LICENCES",
    "LICENCE_FILES",
    "MANIFEST",
    "METADATA",
    "OF_PYTORCH",
    "OF_WARDIAN",
    "PYTHON_VERSION",
    "SCRIPTS",
    "SEAL",
    "SERIALIZATION_ID",
    "TESTS",
    "VERSION",
    "bytecode_record",
    "is_storage",
    "metadata_record",
    "storage_entry",
    "storage_key",
    "storage_record",
]

OF_WARDIAN = ".wardian/"
"""Prefix of the names of records that torch.package does not know."""
BYTECODE = f"{OF_WARDIAN}bytecode/"
METADATA = f"{OF_WARDIAN}metadata/"
LEFT_OUT = "left_out"
"""Among the metadata of a distribution: the names of its modules that stayed outside."""
LICENCES = "licenses/"
"""Prefix of the names of licences there, as in a `.dist-info` folder (PEP 639)."""
LICENCE_FILES = "licence_files"
"""The list of them, which may name some whose text is elsewhere."""
TESTS = f"{OF_WARDIAN}tests/"
IMPORTS = RecordName(f"{OF_WARDIAN}imports")
"""Imports that lead to the modules (docs/reference/format.md, 5.11)."""
MANIFEST = RecordName(f"{OF_WARDIAN}manifest.json")
SEAL = RecordName(f"{OF_WARDIAN}seal")

OF_PYTORCH = ".data/"
"""Prefix of the names of records that torch.package or PyTorch's own writer makes."""
EXTERN_MODULES = RecordName(f"{OF_PYTORCH}extern_modules")
PYTHON_VERSION = RecordName(f"{OF_PYTORCH}python_version")
SERIALIZATION_ID = RecordName(f"{OF_PYTORCH}serialization_id")
VERSION = RecordName(f"{OF_PYTORCH}version")
SCRIPTS = f"{OF_PYTORCH}ts_code/"
BYTE_ORDER = RecordName("byteorder")

_STORAGE = re.compile(r"\.data/[0-9]+\.storage", re.ASCII)


def bytecode_record(tag: str | None, stem: str) -> RecordName:
    """Return the record of a module's bytecode.

    Args:
        tag: Of the interpreter, as `sys.implementation.cache_tag`.
        stem: The record of the module's source without `.py`.

    >>> bytecode_record("cpython-312", "torchvision/models/__init__")
    '.wardian/bytecode/cpython-312/torchvision/models/__init__.pyc'
    """
    return RecordName(f"{BYTECODE}{tag}/{stem}.pyc")


def metadata_record(distribution: str, file: str) -> RecordName:
    """Return the record of a `.dist-info` file of a packed distribution.

    >>> metadata_record("torchvision", "METADATA")
    '.wardian/metadata/torchvision/METADATA'
    """
    return RecordName(f"{METADATA}{distribution}/{file}")


def storage_record(number: int | str) -> RecordName:
    """Return the record of the storage with this number.

    >>> storage_record(3)
    '.data/3.storage'
    """
    return RecordName(f"{OF_PYTORCH}{number}.storage")


def storage_entry(root: bytes, number: int) -> bytes:
    """Return the name that a storage's record has in a zip file.

    >>> storage_entry(b"case", 3)
    b'case/.data/3.storage'
    """
    return b"%b/.data/%d.storage" % (root, number)


def storage_key(record: str) -> str:
    """Return the number of the storage in a record: what `storage_record` takes.

    >>> storage_key(".data/3.storage")
    '3'
    """
    return record.removeprefix(OF_PYTORCH).removesuffix(".storage")


def is_storage(record: str) -> bool:
    """Tell whether a record has the bytes of tensors.

    >>> is_storage(".data/3.storage"), is_storage(".data/version")
    (True, False)
    """
    return _STORAGE.fullmatch(record) is not None
