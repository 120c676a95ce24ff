"""Check the environment against what a case needs, before any packed code runs.

The rule, which docs/reference/environments.md explains: an extern distribution must be installed. A release
of an older major version is refused. Any other release is accepted if it is the recorded one or newer within
the same major version; otherwise it is accepted if it has every name that packed code imports from it.
Another distribution that provides the same modules takes its place. A soft extern that breaks the rule counts
as not installed, and is no reason to refuse the case.

The names come from the file, and whoever looks at a file has not asked for anything to run. So modules are
found as the import system finds them, but none is imported: what a source binds is read from the source. If
that does not tell, as of compiled modules, the question waits until packed code is to run; then a module is
imported if the distribution in question has installed it.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from wardian.archive import ArchiveReader, FolderReader
from wardian.domain.manifest import Extern, Manifest
from wardian.domain.names import top_level
from wardian.environment.distributions import Distributions
from wardian.environment.modules import find_spec
from wardian.errors import EnvironmentMismatchError, NotACaseError, Problem
from wardian.reading.installed import Installed

if TYPE_CHECKING:
    from packaging.version import Version

__all__ = [
    "check_environment",
    "find_problem",
    "find_problems",
    "packed_elsewhere",
    "requirements",
    "requirements_of",
]


def check_environment(
    manifest: Manifest, archive: ArchiveReader | FolderReader, *, may_import: bool = False
) -> None:
    """Compare the environment with the manifest.

    Args:
        manifest: Of the case.
        archive: Its file, for messages: which module wants what is missing.
        may_import: Whether modules of installed distributions may be imported to see what names they have.

    Raises:
        EnvironmentMismatchError: naming every distribution that is missing or does not fit, with the
            command that installs them.
    """
    problems = find_problems(manifest, may_import=may_import)
    if problems:
        from wardian.reading.importers import with_importers  # it parses sources; most environments fit

        path = archive.label
        raise EnvironmentMismatchError(
            f"{path} needs what this environment does not have",
            problems=with_importers(problems, archive),
            path=path,
        )


def find_problems(
    manifest: Manifest, *, may_import: bool = False, known: Mapping[Extern, Problem | None] | None = None
) -> list[Problem]:
    """Return what this interpreter and the environment lack that a case needs; nothing if it fits.

    Args:
        manifest: Of the case.
        may_import: As for `check_environment`.
        known: What `find_problem` has told of its externs already.
    """
    # torch.package lists what it met, needed or not; there is nothing to tell of that.
    needed = [extern for extern in manifest.externs if not extern.soft and manifest.torch]
    if known is None:
        here = Installed()
        known = {extern: find_problem(extern, here, may_import=may_import) for extern in needed}
    found = [known[extern] for extern in needed]
    return [problem for problem in (_problem_of_interpreter(manifest), *found) if problem is not None]


def _problem_of_interpreter(manifest: Manifest) -> Problem | None:
    if not manifest.bytecode_only or manifest.python.tag == sys.implementation.cache_tag:
        return None
    names = manifest.bytecode_only
    listing = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return Problem(
        f"this is {sys.implementation.cache_tag}, and the case has code for {manifest.python.tag},"
        f" because its source was not there when it was packed: {listing}",
        f"load it with {manifest.python.implementation} {manifest.python.version}",
        names[0],
    )


def packed_elsewhere(manifest: Manifest) -> str:
    """Return what is not here as it was when the case was packed, as the end of a sentence."""
    here = {
        "Python": (manifest.python.version, platform.python_version()),
        "the platform": (
            f"{manifest.platform.system} {manifest.platform.machine}",
            f"{platform.system()} {platform.machine()}",
        ),
    }
    for extern in manifest.externs:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            if extern.distribution is not None and extern.version is not None:
                installed = importlib.metadata.version(extern.distribution)
                here[extern.distribution] = (extern.version, installed)
    others = [f"{what} {now} (was {then})" for what, (then, now) in here.items() if then != now]
    return f"; not as it was packed: {', '.join(others)}" if others else ""


def requirements(manifest: Manifest, *, soft: bool = False, exact: bool = True) -> tuple[str, ...]:
    """Return what the environment must have, as `wardian.requirements` says.

    Args:
        manifest: Of the case.
        soft: Also return what the case loads without.
        exact: Pin the releases that the case was packed with; otherwise return ranges of those that fit.
    """
    write = _pinned if exact else _compatible
    return tuple(
        write(extern.distribution, extern.version)
        for extern in manifest.externs
        if extern.distribution is not None and extern.version is not None and (soft or not extern.soft)
    )


def requirements_of(
    archive: ArchiveReader | FolderReader, manifest: Manifest, *, soft: bool = False, exact: bool = True
) -> tuple[str, ...]:
    """Return what the environment must have for an open case, as `requirements`.

    Raises:
        NotACaseError: for an archive of torch.package. A line for each name in it could install what
            somebody else has published under the name of a module.
    """
    if archive.kind == "torch.package":
        modules = sorted(module for extern in manifest.externs for module in extern.modules)
        raise NotACaseError(
            f"{archive.label} is an archive of torch.package, which names modules, and neither distributions"
            f" nor releases: {', '.join(modules) or 'none'}; load it where they are, and pack the object with"
            " wardian.pack",
            path=archive.label,
        )
    return requirements(manifest, soft=soft, exact=exact)


def find_problem(extern: Extern, here: Installed, *, may_import: bool = False) -> Problem | None:
    """Tell what is wrong with an extern in this environment.

    Args:
        extern: What the case needs.
        here: What is installed.
        may_import: As for `check_environment`.

    Returns:
        The problem, or None if it fits as far as one can tell.
    """
    name, version = extern.distribution, extern.version
    module = extern.modules[0] if extern.modules else None
    if name is None or version is None:
        lost = [name for name in _top_levels(extern) if not _is_there(name)]
        return _nowhere(lost) if lost else None
    label = name
    try:
        installed = here.version(name)
    except importlib.metadata.PackageNotFoundError:
        if not extern.modules or not all(map(_is_there, _top_levels(extern))):
            return Problem(f"{name} is not installed", _install(_pinned(name, version)), module)
        # Of one library there may be builds under several names: opencv-python and opencv-python-headless.
        label, installed = _provider_of(_top_levels(extern)[0])
    if installed == version:
        return None
    fix = _install(_compatible(name, version))
    have, packed = _parsed(installed), _parsed(version)
    if have is not None and packed is not None:
        if have.release[:1] < packed.release[:1] or have.epoch < packed.epoch:
            what = (
                f"{label} {installed} is too old, the case was packed with {_release(name, label, version)}"
            )
            return Problem(what, fix, module)
        if have.release[:1] == packed.release[:1] and have >= packed:
            return None
    elif installed is not None and packed is not None:
        return None  # by PEP 440 it is none; there is nothing to compare
    from wardian.reading.provided import lacking  # it reads sources; most releases need none

    missing, broken = lacking(extern.names, label, may_import=may_import)
    if not missing:
        return None
    listing = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
    what = f"{label} {installed or ''}".rstrip() + f" lacks {listing}"
    if broken:
        what += f" ({'; '.join(f'{name} cannot be imported: {why}' for name, why in broken.items())})"
    return Problem(f"{what}; the case was packed with {_release(name, label, version)}", fix, module)


def _nowhere(names: list[str]) -> Problem:
    listing, it, is_ = (
        (", ".join(names), "it", "is") if len(names) == 1 else (", ".join(names), "them", "are")
    )
    return Problem(
        f"{listing} {is_} not here, and no distribution that could be installed had {it} when the case was"
        " packed",
        f"put {it} into a folder of sys.path, or pack without the rule that leaves {it} outside",
        names[0],
    )


def _release(name: str, label: str, version: str) -> str:
    return version if label == name else f"{name} {version}"


def _top_levels(extern: Extern) -> list[str]:
    return sorted({top_level(module) for module in extern.modules})


def _is_there(top: str) -> bool:
    return top in sys.modules or find_spec(top) is not None


def _provider_of(top: str) -> tuple[str, str | None]:
    """Return the name and version of the distribution that provides a top-level name, if one does."""
    found = Distributions.current().providing(top)
    return (found[0].name, found[0].version) if found else (top, None)


def _parsed(version: str | None) -> Version | None:
    """Return a version without its local part, which says nothing about what is in it; None if it is none."""
    from packaging.version import InvalidVersion, Version  # the recorded release is known by its text

    try:
        return Version(Version(version or "").public)
    except InvalidVersion:
        return None


def _pinned(name: str, version: str) -> str:
    # A local version (2.13.0+cpu) is not on any index; what PEP 440 does not know has an operator of its own.
    parsed = _parsed(version)
    return f"{name}==={version}" if parsed is None else f"{name}=={version.partition('+')[0]}"


def _compatible(name: str, version: str) -> str:
    """Return the requirement of a release that fits whatever names it has."""
    parsed = _parsed(version)
    if parsed is None:
        return _pinned(name, version)
    epoch = f"{parsed.epoch}!" if parsed.epoch else ""
    return f"{name}>={version.partition('+')[0]},<{epoch}{parsed.release[0] + 1}"


def _install(*requirements: str) -> str:
    # Without quotes a shell takes < and > for files.
    return "pip install " + " ".join(f'"{r}"' if any(c in r for c in "<>! ") else r for r in requirements)
