"""A lock file (PEP 751, `pylock.toml`) of what a case needs.

A lock file has a hash for each file that is installed. A case knows releases and not files, so the files come
from a folder that `pip download` has filled; it also has what the requirements need themselves.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardian.domain.names import normalised

if TYPE_CHECKING:
    from packaging.pylock import Package
    from packaging.version import Version

__all__ = ["lock"]


def lock(requirements: Iterable[str], folder: Path) -> tuple[str, tuple[str, ...]]:
    """Write a lock file of the wheels and source archives in a folder.

    Args:
        requirements: What the case needs, as PEP 508 lines.
        folder: What `pip download` has filled; the lock file has paths relative to the current folder.

    Returns:
        The lock file, and the requirements of which the folder has no release that fits.

    Raises:
        OSError: if the folder cannot be read.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lock(["torch>=2"], Path(folder))[1]
    ('torch>=2',)
    """
    from packaging.pylock import Pylock
    from packaging.requirements import Requirement
    from packaging.version import Version

    found: dict[str, dict[Version, list[Path]]] = {}
    for name, version, path in _files(folder):
        found.setdefault(name, {}).setdefault(version, []).append(path)
    missing: list[str] = []
    wanted: dict[str, Version] = {}
    for line in requirements:
        requirement = Requirement(line)
        name = normalised(requirement.name)
        fitting = [
            v for v in found.get(name, ()) if requirement.specifier.contains(v.public, prereleases=True)
        ]
        if fitting:
            wanted[name] = max(fitting)
        else:
            missing.append(line)
    packages = [
        _package(name, version := wanted.get(name) or max(releases), releases[version])
        for name, releases in sorted(found.items())
    ]
    locked = Pylock(lock_version=Version("1.0"), created_by="wardian", packages=packages)
    locked.validate()
    return "".join(_toml(locked.to_dict())), tuple(missing)


def _files(folder: Path) -> Iterator[tuple[str, Version, Path]]:
    from packaging.utils import (
        InvalidSdistFilename,
        InvalidWheelFilename,
        parse_sdist_filename,
        parse_wheel_filename,
    )

    for path in sorted(folder.iterdir()):
        try:
            if path.suffix == ".whl":
                name, version, _, _ = parse_wheel_filename(path.name)
            else:
                name, version = parse_sdist_filename(path.name)
        except (InvalidWheelFilename, InvalidSdistFilename):
            continue  # some other file
        yield str(name), version, path


def _package(name: str, version: Version, paths: Sequence[Path]) -> Package:
    from packaging.pylock import Package, PackageSdist, PackageWheel
    from packaging.utils import canonicalize_name

    wheels: list[PackageWheel] = []
    sdist: PackageSdist | None = None
    for path in paths:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        facts: dict[str, Any] = {
            "name": path.name,
            "path": Path(os.path.relpath(path)).as_posix(),
            "size": path.stat().st_size,
            "hashes": {"sha256": digest},
        }
        if path.suffix == ".whl":
            wheels.append(PackageWheel(**facts))
        else:
            sdist = PackageSdist(**facts)
    return Package(name=canonicalize_name(name), version=version, wheels=wheels or None, sdist=sdist)


def _toml(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield a lock file: what PEP 751 needs of TOML, which are texts, numbers, and tables of them."""
    for key, value in document.items():
        if key != "packages":
            yield f"{key} = {_value(value)}\n"
    for package in document["packages"]:
        yield "\n[[packages]]\n"
        for key, value in package.items():
            yield f"{key} = {_value(value)}\n"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)  # texts and numbers are written alike
