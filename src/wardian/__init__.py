"""Pack a live PyTorch model into one sealed file that loads anywhere torch runs.

    wardian.pack(model, "resnet18.case", inputs=(x,))   # one call: code, weights, data, self-test
    model = wardian.load("resnet18.case")               # a normal nn.Module

Look before you load, and ask why:

    with wardian.open("resnet18.case") as case:
        case.manifest.distributions                     # what is inside, with versions
        case.state_dict()                               # weights without running code
        case.check()                                    # run the self-test here

    print(wardian.plan(model, inputs=(x,)))             # what pack would do, module by module
    wardian.requirements("resnet18.case")               # what must be installed: torch==2.15.0

Importing this package imports neither torch nor anything large.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from wardian.errors import (
    CaseError,
    CheckError,
    ClosedCaseError,
    CodeNeededError,
    CorruptCaseError,
    EntryNotFoundError,
    EnvironmentMismatchError,
    MissingExternError,
    ModuleNotInCaseError,
    NotACaseError,
    PackError,
    PlanError,
    Problem,
    ProofError,
    TimeLimitError,
    UnpicklableError,
    UnsupportedFormatError,
    WardianError,
    WardianWarning,
    WeightsFileError,
)

if TYPE_CHECKING:
    import torch

    from wardian.decisions import Plan
    from wardian.live.case import Case
    from wardian.packing import PackReport, pack, plan
    from wardian.policy import Policy

__all__ = [
    "Case",
    "CaseError",
    "CheckError",
    "ClosedCaseError",
    "CodeNeededError",
    "CorruptCaseError",
    "EntryNotFoundError",
    "EnvironmentMismatchError",
    "MissingExternError",
    "ModuleNotInCaseError",
    "NotACaseError",
    "PackError",
    "PackReport",
    "Plan",
    "PlanError",
    "Policy",
    "Problem",
    "ProofError",
    "TimeLimitError",
    "UnpicklableError",
    "UnsupportedFormatError",
    "WardianError",
    "WardianWarning",
    "WeightsFileError",
    "clear_cache",
    "load",
    "open",
    "pack",
    "plan",
    "read_safetensors",
    "requirements",
]

__version__ = "0.1.0"

_LATE = {
    "Case": "wardian.live.case",
    "PackReport": "wardian.packing",
    "Plan": "wardian.decisions",
    "Policy": "wardian.policy",
    "pack": "wardian.packing",
    "plan": "wardian.packing",
}


def open(  # noqa: A001  the verb of the contract
    path: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO,
    *,
    verify: bool = True,
    mmap: bool = True,
) -> Case:
    """Open a case without running any of its code.

    It need not fit this environment; `Case.environment` tells what is missing.

    Args:
        path: The file, its content as bytes or another buffer, or an open binary file.
        verify: Check weights before their first use on this machine. With False a damaged weight is not
            noticed; code, pickles and manifest are always checked. `Case.verify` checks all, at once.
        mmap: Map weights from the file. The file must then not be overwritten in place while they are in use;
            to replace it by another is fine. With False they are read, which takes their memory, and what is
            read is checked each time. A file of up to 4 MiB is always read.

    Returns:
        The open case; a context manager.

    Raises:
        NotACaseError: if the file is of another kind; the message says which.
        UnsupportedFormatError: if it was written by a newer Wardian.
        CorruptCaseError: if it is truncated, damaged or altered.
        OSError: if the file cannot be read.
    """
    from wardian.live.case import Case

    return Case.open(path, verify=verify, mmap=mmap)


def load(
    path: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO,
    *,
    name: str | None = None,
    map_location: Any = None,
    share: bool = False,
    verify: bool = True,
    mmap: bool = True,
) -> Any:
    """Load an object from a case. The case stays open as long as the process runs.

    Args:
        path: The file, its content as bytes or another buffer, or an open binary file.
        name: The entry point; may be left out if there is one.
        map_location: Where tensors go, as for `torch.load`.
        share: Use the installed library instead of the packed copy where all its sources are the same,
            so that `isinstance(model, torchvision.models.ResNet)` holds.
        verify: Check weights before their first use on this machine, as for `open`.
        mmap: Map weights from the file, as for `open`.

    Returns:
        The object, an ordinary one: train it, compile it, save it.

    Raises:
        CaseError, OSError: as for `open`.
        EnvironmentMismatchError: if the environment lacks what the case needs; no packed code has run then.
        EntryNotFoundError: if there is no such entry point.
    """
    from wardian.live.case import Case

    case = Case.open(path, share=share, verify=verify, mmap=mmap)
    try:
        return case.load(name, map_location=map_location)
    except BaseException:
        case.close()
        raise


def requirements(
    path: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO, *, soft: bool = False
) -> tuple[str, ...]:
    """Return what a case needs installed, as PEP 508 lines for `pip install`.

    Nothing of the case is run, and it need not fit this environment.

    Args:
        path: The file, its content as bytes or another buffer, or an open binary file.
        soft: Also list what the case loads without, and what only code uses that its self-test does not
            reach.

    Returns:
        Distributions, pinned to the releases the case was proven with, sorted by name. Releases that
        differ may fit, too: docs/reference/environments.md.

    Raises:
        CaseError, OSError: as for `open`.

    >>> import tempfile, torch, wardian
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = wardian.pack(torch.nn.Linear(2, 1), f"{folder}/linear.case", prove=False)
    ...     [line.partition("==")[0] for line in wardian.requirements(f"{folder}/linear.case")]
    ['torch']
    """
    from wardian.archive import ArchiveReader
    from wardian.live.audit import requirements as find_requirements
    from wardian.live.foreign import read_manifest

    archive = ArchiveReader.open(path)
    try:
        return find_requirements(read_manifest(archive), soft=soft)
    finally:
        archive.close()


def clear_cache(*, max_days: float | None = None, max_bytes: int | None = None) -> int:
    """Remove files of cases from the cache folder that no process uses; they are made again when needed.

    It is `$WARDIAN_CACHE`, else the user's cache folder by the rules of the platform. By itself Wardian keeps
    16 GiB at most, and nothing that was not used for 90 days.

    Args:
        max_days: Remove what was not used for so many days.
        max_bytes: Remove what was not used for longest, until no more than so many bytes are left. Without
            both, everything goes, also the notes that weights were checked.

    Returns:
        The size of what was removed, in bytes.

    >>> import wardian
    >>> wardian.clear_cache(max_days=30, max_bytes=1 << 30)
    0
    """
    from wardian.live.cache import cache_folder, clear

    folder = cache_folder()
    return 0 if folder is None else clear(folder, max_days=max_days, max_bytes=max_bytes)


def read_safetensors(path: str | os.PathLike[str]) -> Mapping[str, torch.Tensor]:
    """Open a `.safetensors` file as a mapping of names to tensors, without reading them.

    Each tensor is mapped from the file when it is asked for, and the file never changes. So a model gets
    other weights, and is packed with them, without a copy of them in memory:

        model = wardian.load("llama.case", map_location="meta")
        model.load_state_dict(wardian.read_safetensors("tuned.safetensors"), assign=True)
        wardian.pack(model, "tuned.case")

    `Case.export_safetensors` goes the other way.

    Args:
        path: The file.

    Returns:
        Name → tensor; also the names that its metadata have as another name of a tensor.

    Raises:
        WeightsFileError: if it is no such file, or damaged.
        OSError: if it cannot be read.
    """
    from wardian.tensors.safetensors import SafetensorsFile

    return SafetensorsFile(path)


def __getattr__(name: str) -> Any:
    # Verbs and types that need more than the standard library come when they are first used.
    module = _LATE.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
