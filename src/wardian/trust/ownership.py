"""Who can write what policies are read from: the user, or root, and nobody else, as ssh has it."""

from __future__ import annotations

import os
import shlex
import stat
from contextlib import suppress
from pathlib import Path

from wardian.errors import PolicyFileError

__all__ = ["require_own"]

_MOST_LINKS = 40
"""As many as Linux follows."""


def require_own(path: Path) -> None:
    """Refuse a file of a policy that others than the user, or root, can write or replace.

    Looked at are the file and its folder, and each link that leads to it with the folder of that. A folder in
    which only owners replace files, such as /tmp, is fine, and so is what is mounted read-only: a volume of
    Kubernetes, whose folders have the mode 0777. What is not there is told by whoever opens it.

    Args:
        path: The file, as an absolute path.

    Raises:
        PolicyFileError: naming what others can write, and what to do about it.
        OSError: if that cannot be found out.
    """
    if not hasattr(os, "getuid"):
        return
    with suppress(FileNotFoundError, NotADirectoryError):
        for _ in range(_MOST_LINKS):
            _check(path.parent, path.parent.stat())
            status = path.lstat()
            _check(path, status)
            if not stat.S_ISLNK(status.st_mode):
                return
            path = path.parent / path.readlink()


def _check(path: Path, status: os.stat_result) -> None:
    if status.st_uid not in (0, os.getuid()):
        raise PolicyFileError(
            f"{path}, of the policy, belongs to another user, who can change it\n"
            "    fix: use a copy that is yours, in a folder of yours",
            path=str(path),
        )
    # The mode of a link says nothing.
    if stat.S_ISLNK(status.st_mode) or (stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX):
        return
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return
    group, others = status.st_mode & stat.S_IWGRP, status.st_mode & stat.S_IWOTH
    if group or others:
        letters = ("g" if group else "") + ("o" if others else "")
        raise PolicyFileError(
            f"{'anybody' if others else 'its group'} can write {path}, of the policy\n"
            f"    fix: chmod {letters}-w {shlex.quote(str(path))}",
            path=str(path),
        )
