"""Cases that the environment gives to workers: a variable names files and URLs.

A worker of Ray, Dask or Spark is no child of the process that has the case open, nor always on the same
machine: nothing tells it of the case. An object of the case that is sent to it says which one it is of.
"""

from __future__ import annotations

import os
import re

from wardian.archive import ArchiveReader
from wardian.errors import CaseError
from wardian.loading.open_mounts import is_named_by
from wardian.processes.starting import CASES_VARIABLE, MARKER_VARIABLE
from wardian.reading.opening import open_archive

__all__ = ["find_given", "given"]

# The separator of PATH, which is in URLs, too: before what follows the scheme, and before a port.
_SEPARATOR = re.compile(rf"{re.escape(os.pathsep)}(?!//|\d+/)")


def given() -> tuple[str, ...]:
    """Return the paths and URLs in the variable; none in a clean process, which finds nothing."""
    if MARKER_VARIABLE in os.environ:
        return ()
    return tuple(filter(None, _SEPARATOR.split(os.environ.get(CASES_VARIABLE, ""))))


def find_given(name: str) -> tuple[ArchiveReader | None, tuple[str, ...]]:
    """Return the archive of the mount *name*, and what is wrong with those that were looked at before it.

    Args:
        name: Name of the mount, without `wardian.live.`.
    """
    wrong: list[str] = []
    for place in given():
        try:
            archive = open_archive(place)
        except (CaseError, OSError, TypeError, ValueError) as error:
            wrong.append(str(error) if place in str(error) else f"{place}: {error}")
            continue
        if is_named_by(name, archive):
            return archive, ()
        wrong.append(f"{archive.label} is another case, whose digest begins with {archive.outline[:8]}")
        archive.close()
    return None, tuple(wrong)
