"""Check the environment against what a case needs, before any packed code runs.

The rule, which docs/reference/environments.md explains: an extern distribution must be installed. A release
of an older major version is refused. Any other release is accepted if it is the recorded one or newer within
the same major version; otherwise it is accepted if it has every name that packed code imports from it. A
soft extern that breaks the rule counts as not installed, and is no reason to refuse the case.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys

from packaging.version import InvalidVersion, Version

from wardian.errors import EnvironmentMismatchError, Problem
from wardian.manifest import Extern, Manifest

__all__ = ["check_environment", "find_problem", "requirements"]


def check_environment(manifest: Manifest, path: str) -> None:
    """Compare the environment with the manifest.

    Raises:
        EnvironmentMismatchError: naming every distribution that is missing or does not fit, with the
            command that installs them.
    """
    problems = [
        problem
        for extern in manifest.externs
        if not extern.soft and (problem := find_problem(extern)) is not None
    ]
    if manifest.bytecode_only and manifest.python.tag != sys.implementation.cache_tag:
        names = manifest.bytecode_only
        listing = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        problems.insert(
            0,
            Problem(
                f"this is {sys.implementation.cache_tag}, and the case has code for {manifest.python.tag},"
                f" because its source was not there when it was packed: {listing}",
                f"load it with {manifest.python.implementation} {manifest.python.version}",
                manifest.bytecode_only[0],
            ),
        )
    if problems:
        raise EnvironmentMismatchError(
            f"{path} needs what this environment does not have", problems=tuple(problems), path=path
        )


def requirements(manifest: Manifest, *, soft: bool = False) -> tuple[str, ...]:
    """Return what the environment must have, as `wardian.requirements` says."""
    return tuple(
        f"{extern.distribution}=={_public(extern.version)}"
        for extern in manifest.externs
        if extern.distribution is not None and extern.version is not None and (soft or not extern.soft)
    )


def find_problem(extern: Extern) -> Problem | None:
    """Return what is wrong with an extern in this environment, None if it fits."""
    name = extern.distribution
    if name is None or extern.version is None:
        return None
    module = extern.modules[0] if extern.modules else None
    try:
        installed = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Problem(f"{name} is not installed", f"pip install {name}=={_public(extern.version)}", module)
    fix = f'pip install "{name}>={_public(extern.version)}"'
    try:
        have, packed = Version(installed), Version(extern.version)
    except InvalidVersion:
        return None
    if have.release[:1] < packed.release[:1] or have.epoch < packed.epoch:
        return Problem(
            f"{name} {installed} is too old, the case was packed with {extern.version}", fix, module
        )
    if have.release[:1] == packed.release[:1] and have.release >= packed.release:
        return None
    missing = [dotted for dotted in extern.names if not _exists(dotted)]
    if missing:
        listing = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        return Problem(
            f"{name} {installed} lacks {listing}; the case was packed with {extern.version}", fix, module
        )
    return None


def _public(version: str) -> str:
    # A local version (2.13.0+cpu) is not on any index.
    return version.partition("+")[0]


def _exists(dotted: str) -> bool:
    module, _, attribute = dotted.rpartition(".")
    try:
        found = importlib.import_module(module)
        if not hasattr(found, attribute):
            importlib.import_module(dotted)
    except ImportError:
        return False
    return True
