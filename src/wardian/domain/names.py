"""Typed names: module names, record names, references to tensors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, NewType

__all__ = [
    "LOGGING_LIBRARIES",
    "ModuleName",
    "PlainTensor",
    "RecordName",
    "SHIMMED",
    "ancestors",
    "is_module_name",
    "module_name",
    "module_of",
    "normalised",
    "record_name",
    "top_level",
]

ModuleName = NewType("ModuleName", str)
"""A dotted module name as the packed object's author knows it, never a name below `wardian.live`."""

RecordName = NewType("RecordName", str)
"""A relative POSIX path that has passed `record_name` (docs/reference/format.md, 1.4)."""

LOGGING_LIBRARIES = frozenset(
    {
        *(
            "aim",
            "clearml",
            "comet_ml",
            "dvclive",
            "mlflow",
            "neptune",
            "swanlab",
            "tensorboard",
            "tensorboardX",
        ),
        *("trackio", "wandb"),
    }
)
"""Top-level names of libraries that only note what a training does: no object needs one to compute."""

SHIMMED = frozenset({"importlib", "importlib_metadata", "importlib_resources", "pkgutil"})
"""Modules that are never packed and for which a mount serves its own: they find modules and files by name.

They are roots for `wardian.source.rewriting.compile_module`. `sys` is one more, in modules that look into
`sys.modules`.
"""

_MAX_RECORD_NAME = 1024
_SEPARATORS = re.compile("[-_.]+")
_USUAL = re.compile(r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*", re.ASCII)
"""Names that need no closer look, unless a part begins with a dot."""


class PlainTensor(NamedTuple):
    """A tensor of one storage, in the terms in which pickles call `torch._utils._rebuild_tensor_v2`."""

    storage: str
    """Number of the storage (docs/reference/format.md, 4.2)."""
    kind: str
    """Name of its class in `torch`."""
    elements: int
    """Number of elements of the storage."""
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    requires_grad: bool


def is_module_name(text: str) -> bool:
    """Tell whether *text* is a dotted module name, whose parts may begin with a digit.

    No statement can name such a part, but a relative import leads to it: transformers loads code that comes
    with weights into a package named by its hash.

    >>> [is_module_name(text) for text in ("torchvision.models", "dynamic.5ad9.net", "<string>", "")]
    [True, True, False, False]
    """
    return all(f"_{part}".isidentifier() and part for part in text.split("."))


def module_name(text: str) -> ModuleName:
    """Check that *text* is a dotted module name.

    Raises:
        ValueError: if it is empty or has a part that cannot be one.

    >>> module_name("torchvision.models")
    'torchvision.models'
    """
    if not is_module_name(text):
        raise ValueError(f"not a module name: {text!r}")
    return ModuleName(text)


def module_of(record: str) -> ModuleName | None:
    """Return the module whose source a record is, None if it is none.

    >>> module_of("torchvision/models/__init__.py"), module_of("torchvision/notes.txt")
    ('torchvision.models', None)
    """
    stem, point, suffix = record.rpartition(".")
    parts = stem.split("/")
    if not point or suffix != "py" or not all(part.isidentifier() for part in parts):
        return None
    return ModuleName(".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts))


def ancestors(name: ModuleName) -> Iterator[ModuleName]:
    """Yield the packages above *name*, outermost first.

    >>> list(ancestors(ModuleName("a.b.c")))
    ['a', 'a.b']
    """
    position = name.find(".")
    while position != -1:
        yield ModuleName(name[:position])
        position = name.find(".", position + 1)


def top_level(name: str) -> ModuleName:
    """Return the first part of *name*.

    >>> top_level("a.b.c")
    'a'
    """
    return ModuleName(name.partition(".")[0])


def normalised(distribution: str) -> str:
    """Return the name of a distribution as all of its spellings have it in common (PEP 503).

    Not by `packaging.utils`: it brings logging and all about wheels into each process that loads a case.

    >>> normalised("Typing_Extensions")
    'typing-extensions'
    """
    return _SEPARATORS.sub("-", distribution).lower()


def record_name(text: str) -> RecordName:
    """Check that *text* may name a record (docs/reference/format.md, 1.4).

    Raises:
        ValueError: if it could leave the folder it is extracted to, or is not portable.

    >>> record_name("mylib/data/labels.json")
    'mylib/data/labels.json'
    """
    if _USUAL.fullmatch(text) and text[0] != "." and len(text) <= _MAX_RECORD_NAME and "/." not in text:
        return RecordName(text)
    if not text or len(text.encode("utf-8", "replace")) > _MAX_RECORD_NAME:
        raise ValueError(f"record name is empty or longer than {_MAX_RECORD_NAME} bytes: {text[:80]!r}")
    if "\\" in text or any(ord(c) < 0x20 or ord(c) == 0x7F for c in text):
        raise ValueError(f"record name has a backslash or a control character: {text!r}")
    if any(0xD800 <= ord(c) < 0xE000 for c in text):
        raise ValueError(f"record name is not UTF-8: {text!r}")
    parts = text.split("/")
    if any(part in ("", ".", "..") for part in parts) or (len(parts[0]) == 2 and parts[0][1] == ":"):
        raise ValueError(f"record name is not a relative path below its folder: {text!r}")
    return RecordName(text)
