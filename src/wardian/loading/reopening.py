"""Open again a case that another process has open, or that is given, for an object that comes from there."""

from __future__ import annotations

import os
from pathlib import Path

from wardian.archive import ArchiveReader, FolderReader
from wardian.domain.live_names import MountName, full_name
from wardian.errors import (
    CaseError,
    ModuleNotInCaseError,
)
from wardian.loading.announcements import Announced, announced, find_held
from wardian.loading.case import Case
from wardian.loading.closing.closed import how_to_load, open_again
from wardian.loading.given import find_given
from wardian.loading.importing.mount import Mount
from wardian.loading.installed_library import find_shared
from wardian.loading.open_mounts import (
    acquire_private,
    closed_path,
    find_open,
    get_mount,
    is_named_by,
)
from wardian.processes.starting import CASES_VARIABLE
from wardian.reading.fit import check_environment
from wardian.reading.foreign import read_manifest
from wardian.reading.opening import open_archive

__all__ = ["find_mount", "open_as"]


_reopened: list[Case] = []
"""Cases opened for an object that came from another process; held, as no `with` block does it."""


_private: list[Mount] = []
"""The same for mounts that a parent process has for itself."""


def find_mount(name: str) -> Mount | None:
    """Return the open mount *name*; open its case again if the parent process has it open, or it is given.

    A mount of the same case counts that was opened from a file of another name.

    Raises:
        CaseError: if the file the parent named is not usable any more.
        ModuleNotInCaseError: if the case was closed in this process, or others than it are given.
    """
    mount = get_mount(name)  # each import of a packed module asks
    if mount is not None:
        return mount
    parts = MountName.parse(name)
    told = announced(name)
    mount = find_open(name, None if told is None else told.outline)
    if mount is not None:
        return mount
    if told is None:
        if (closed := closed_path(name)) is not None:
            raise ModuleNotInCaseError(
                f"{full_name(name)} is {open_again(how_to_load(closed, shared=parts.is_shared))}",
                name=full_name(name),
            )
        given, wrong = find_given(name)
        if given is not None:
            return open_as(name, given, share=parts.is_shared)
        if wrong:
            raise ModuleNotInCaseError(
                f"{full_name(name)} is part of a case that is not open in this process, and not among those"
                f" of ${CASES_VARIABLE}: {'; '.join(wrong)}",
                name=full_name(name),
            )
        return None
    share = parts.is_shared and str(MountName.of_file(told.path.stem, parts.digest)) != name
    return open_as(name, _reopen(name, told), share=share)


def open_as(name: str, archive: ArchiveReader | FolderReader, *, share: bool) -> Mount:
    """Open an archive as the mount *name*, which another process has made, for as long as this one lives.

    Args:
        name: Name of the mount, without `wardian.live.`.
        archive: What the other process has open as this.
        share: As for `Case.open`.
    """
    stem = MountName.parse(name).stem
    path = str(archive.path)
    try:
        manifest = read_manifest(archive)
        if is_named_by(name, archive):
            check_environment(manifest, archive)
            shared = find_shared(manifest) if share else frozenset()
            case = Case(path, archive, manifest, stem, shared, name=name)
            _reopened.append(case)
            return case.mount
        mount = acquire_private(stem, archive, manifest, name)  # of a PackageImporter
        _private.append(mount)
    except BaseException:
        archive.close()
        raise
    return mount


def _reopen(name: str, told: Announced) -> ArchiveReader | FolderReader:
    """Return the archive that a process above this one has open as the mount *name*.

    Raises:
        CaseError: if it is gone.
    """
    path, digest = str(told.path), MountName.parse(name).digest
    lost = f"{path}, the case whose digest begins with {digest}, that the parent process has open,"
    if os.path.isdir(path):
        return FolderReader(path)
    try:
        archive = open_archive(path)
    except FileNotFoundError:
        problem = "is not there any more"
    else:
        # The directory of an archive of torch.package does not tell all of it.
        same = archive.kind == "case" or archive.stamp() == told.stamp
        if same and archive.outline == told.outline:
            return archive
        archive.close()
        problem = "was replaced by another file"
    held = find_held(name)  # the parent goes on with the file it has, and so does the child
    if held is None:
        raise CaseError(f"{lost} {problem}", path=path)
    archive = ArchiveReader.open(held)
    archive.path, archive.label = Path(path), path
    return archive
