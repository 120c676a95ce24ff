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
    DigestMismatchError,
    EntryNotFoundError,
    EnvironmentMismatchError,
    MissingExternError,
    ModuleNotInCaseError,
    NotACaseError,
    PackError,
    PlanError,
    PolicyFileError,
    Problem,
    ProofError,
    RemoteError,
    SandboxError,
    SandboxUnavailableError,
    SignatureError,
    SigningError,
    TimeLimitError,
    UnpicklableError,
    UnsupportedFormatError,
    UntrustedCaseError,
    WardianError,
    WardianWarning,
    WeightsFileError,
    WeightsMismatchError,
)
from wardian.keywords import knowing_keywords as _knowing_keywords

if TYPE_CHECKING:
    import torch

    from wardian.domain.plan import Plan
    from wardian.domain.policy import Policy
    from wardian.loading.case import Case
    from wardian.packing.pack import PackReport, pack, plan
    from wardian.processes.templates import end_templates
    from wardian.pushing import push
    from wardian.sandbox.proxy import SandboxedObject, load_sandboxed
    from wardian.trust.policies import Trust
    from wardian.trust.signatures import Signature, verify_signatures
    from wardian.trust.signing import sign

__all__ = [
    "Case",
    "CaseError",
    "CheckError",
    "ClosedCaseError",
    "CodeNeededError",
    "CorruptCaseError",
    "DigestMismatchError",
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
    "PolicyFileError",
    "Problem",
    "ProofError",
    "RemoteError",
    "SandboxError",
    "SandboxUnavailableError",
    "SandboxedObject",
    "Signature",
    "SignatureError",
    "SigningError",
    "TimeLimitError",
    "Trust",
    "UnpicklableError",
    "UnsupportedFormatError",
    "UntrustedCaseError",
    "WardianError",
    "WardianWarning",
    "WeightsFileError",
    "WeightsMismatchError",
    "clear_cache",
    "end_templates",
    "load",
    "load_into",
    "load_sandboxed",
    "open",
    "pack",
    "plan",
    "push",
    "read_safetensors",
    "requirements",
    "sign",
    "verify_signatures",
]

__version__ = "0.2.0"

_LATE = {
    "Case": "wardian.loading.case",
    "PackReport": "wardian.packing.pack",
    "Plan": "wardian.domain.plan",
    "Policy": "wardian.domain.policy",
    "SandboxedObject": "wardian.sandbox.proxy",
    "Signature": "wardian.trust.signatures",
    "Trust": "wardian.trust.policies",
    "end_templates": "wardian.processes.templates",
    "load_sandboxed": "wardian.sandbox.proxy",
    "pack": "wardian.packing.pack",
    "plan": "wardian.packing.pack",
    "push": "wardian.pushing",
    "sign": "wardian.trust.signing",
    "verify_signatures": "wardian.trust.signatures",
}
_INTEGRATIONS = frozenset({"distributed", "lightning", "mlflow", "ray"})
"""Modules for tools that only some use: each imports its tool."""


@_knowing_keywords
def open(  # noqa: A001  the verb of the contract
    path: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO,
    *,
    verify: bool = True,
    mmap: bool = True,
    digest: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    trust: Trust | None = None,
) -> Case:
    """Open a case without running any of its code.

    It need not fit this environment; `Case.environment` tells what is missing.

    Args:
        path: The file, its URL, its content as bytes or another buffer, or an open binary file.
        verify: Check weights before their first use on this machine. With False a damaged weight is not
            noticed; code, pickles and manifest are always checked. `Case.verify` checks all, at once.
        mmap: Map weights from the file. The file must then not be overwritten in place while they are in use;
            to replace it by another is fine. With False they are read, which takes their memory, and what is
            read is checked each time. A file of up to 4 MiB is always read.
        digest: The digest that the case must have, all 64 hexadecimal digits; another one is refused.
        storage_options: For a URL, what fsspec's file system for it takes, such as `{"anon": True}`.
        trust: A policy that is asked before any code of the case runs; to look needs none. With
            `WARDIAN_TRUST=require` in the environment the user's policy is asked, too.

    Returns:
        The open case; a context manager.

    Raises:
        NotACaseError: if the file is of another kind; the message says which.
        UnsupportedFormatError: if it was written by a newer Wardian.
        CorruptCaseError: if it is truncated, damaged or altered.
        DigestMismatchError: if it is another case than *digest* says.
        OSError: if the file cannot be read; for a URL that cannot, it is a `RemoteError`.

    >>> import torch, wardian
    >>> report = wardian.pack(torch.nn.Linear(2, 1), "linear.case", prove=False)
    >>> with wardian.open("linear.case") as case:
    ...     case.manifest.entries[0].type
    'torch.nn.modules.linear.Linear'
    """
    from wardian.loading.case import Case

    return Case.open(
        path, verify=verify, mmap=mmap, digest=digest, storage_options=storage_options, trust=trust
    )


@_knowing_keywords
def load(
    path: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO,
    *,
    name: str | None = None,
    map_location: Any = None,
    share: bool = False,
    verify: bool = True,
    mmap: bool = True,
    digest: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    trust: Trust | None = None,
) -> Any:
    """Load an object from a case. The case stays open as long as the process runs.

    Args:
        path: The file, its URL, its content as bytes or another buffer, or an open binary file.
        name: The entry point; may be left out if there is one.
        map_location: Where tensors go, as for `torch.load`.
        share: Use the installed library instead of the packed copy where all its sources are the same,
            so that `isinstance(model, torchvision.models.ResNet)` holds.
        verify: Check weights before their first use on this machine, as for `open`.
        mmap: Map weights from the file, as for `open`.
        digest: The digest that the case must have. Another one is refused before anything is unpickled.
        storage_options: For a URL, as for `open`.
        trust: A policy that says whose code may run, and what it may hold, as for `open`.

    Returns:
        The object, an ordinary one: train it, compile it, save it.

    Raises:
        CaseError, OSError: as for `open`.
        UntrustedCaseError: if a policy refuses the code of the case; none of it has run then.
        EnvironmentMismatchError: if the environment lacks what the case needs; no packed code has run then.
        EntryNotFoundError: if there is no such entry point.

    >>> import torch, wardian
    >>> report = wardian.pack(torch.nn.Linear(2, 1), "linear.case", prove=False)
    >>> wardian.load("linear.case")
    Linear(in_features=2, out_features=1, bias=True)
    """
    from wardian.loading.case import Case

    case = Case.open(
        path,
        share=share,
        verify=verify,
        mmap=mmap,
        digest=digest,
        storage_options=storage_options,
        trust=trust,
        # Without a name it is the only object; on the meta device it has no weights.
        ahead=name is None and str(map_location).partition(":")[0] != "meta",
    )
    try:
        return case.load(name, map_location=map_location, alone=True)
    except BaseException:
        case.close()
        raise


@_knowing_keywords
def load_into(
    model: torch.nn.Module,
    path: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO,
    *,
    name: str | None = None,
    strict: bool = True,
    assign: bool = False,
    map_location: Any = None,
    verify: bool = True,
    digest: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Any:
    """Fill a module with the weights of a case. None of its code runs.

    As `model.load_state_dict`, and more: buffers that are in no state_dict are filled, too, for the case has
    them; of each `DTensor` this rank reads its own part and no more; what is on the meta device gets memory;
    tensors that are tied in the module, or share memory, stay so. What is wrong is told before anything is
    changed. Wrappers, such as those of `torch.compile` and `DataParallel`, are looked through.

    Args:
        model: Any module whose tensors have the names and shapes of those in the case.
        path: The file, its URL, its content as bytes or another buffer, or an open binary file.
        name: The entry point; may be left out if there is one.
        strict: Refuse names that only one of the two has.
        assign: Let the tensors of the case take the place of the module's, in their dtype and mapped from
            the file, in place of copying their values.
        map_location: Where tensors go that are on the meta device, or take the place of others: a device, as
            for `torch.load`. Without it that is the CPU, and for a `DTensor` the device of its mesh.
        verify: Check weights before their first use on this machine, as for `open`: one process of a machine
            reads and checks them, the others wait for it.
        digest: The digest that the case must have, as for `open`.
        storage_options: For a URL, as for `open`.

    Returns:
        What `load_state_dict` returns: `missing_keys` and `unexpected_keys`.

    Raises:
        TypeError: if *model* is no module, or of a kind that cannot be filled.
        ValueError: if *map_location* is the meta device.
        WeightsMismatchError: with every name, shape and layout that does not match, and what was made in
            inference mode and cannot be changed outside; with *strict* false without names.
        CodeNeededError: if a tensor is of a class of its own, and only the code of that can make it.
        CaseError, OSError: as for `open`.
        EntryNotFoundError: if there is no such entry point.

    >>> import torch, wardian
    >>> report = wardian.pack(torch.nn.Linear(2, 1), "linear.case", prove=False)
    >>> wardian.load_into(torch.nn.Linear(2, 1, device="meta"), "linear.case")
    <All keys matched successfully>
    """
    from wardian.loading.case import Case

    if isinstance(model, str | os.PathLike):
        raise TypeError(f"the module comes first, then the path: wardian.load_into(model, {model!r:.60})")
    with Case.open(path, verify=verify, digest=digest, storage_options=storage_options) as case:
        return case.load_into(model, name, strict=strict, assign=assign, map_location=map_location)


def requirements(
    path: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO,
    *,
    soft: bool = False,
    digest: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> tuple[str, ...]:
    """Return what a case needs installed, as PEP 508 lines for `pip install`.

    Nothing of the case is run, and it need not fit this environment.

    Args:
        path: The file, its URL, its content as bytes or another buffer, or an open binary file.
        soft: Also list what the case loads without, and what only code uses that its self-test does not
            reach.
        digest: The digest that the case must have, as for `open`.
        storage_options: For a URL, as for `open`.

    Returns:
        Distributions, pinned to the releases the case was proven with, sorted by name. Releases that
        differ may fit, too: docs/reference/environments.md.

    Raises:
        CaseError, OSError: as for `open`; also for an archive of torch.package, which names modules only.

    >>> import tempfile, torch, wardian
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = wardian.pack(torch.nn.Linear(2, 1), f"{folder}/linear.case", prove=False)
    ...     [line.partition("==")[0] for line in wardian.requirements(f"{folder}/linear.case")]
    ['torch']
    """
    from wardian.reading.fit import requirements_of
    from wardian.reading.foreign import read_manifest
    from wardian.reading.opening import open_archive

    archive = open_archive(path, digest=digest, storage_options=storage_options)
    try:
        return requirements_of(archive, read_manifest(archive), soft=soft)
    finally:
        archive.close()


def clear_cache(*, max_days: float | None = None, max_bytes: int | None = None) -> int:
    """Remove files of cases from the cache folder that no process uses; they are made again when needed.

    It is `$WARDIAN_CACHE`, else the user's cache folder by the rules of the platform. By itself Wardian keeps
    16 GiB at most, and nothing that was not used for 90 days; `$WARDIAN_CACHE_MAX_SIZE` (such as `2GiB`) and
    `$WARDIAN_CACHE_MAX_DAYS` change that.

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
    from wardian.environment.cache import cache_folder, clear

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

    >>> import torch, wardian
    >>> report = wardian.pack(torch.nn.Linear(2, 1), "linear.case", prove=False)
    >>> with wardian.open("linear.case") as case:
    ...     case.export_safetensors("linear.safetensors")
    >>> wardian.read_safetensors("linear.safetensors")["weight"].shape
    torch.Size([1, 2])
    """
    from wardian.tensors.safetensors import SafetensorsFile

    return SafetensorsFile(path)


def __getattr__(name: str) -> Any:
    # Verbs and types that need more than the standard library come when they are first used.
    import importlib

    if name in _INTEGRATIONS:
        return importlib.import_module(f"{__name__}.{name}")
    module = _LATE.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
