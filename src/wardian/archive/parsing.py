"""How much of an archive may be parsed to look at it."""

from __future__ import annotations

import math

from wardian.archive import limits
from wardian.archive.extracted import FolderReader
from wardian.archive.reader import ArchiveReader
from wardian.domain.names import RecordName

__all__ = ["ParsingBudget"]


class ParsingBudget:
    """The code and pickles that are parsed in one look at an archive: no more than its size warrants.

    What inflates to a thousand times its size would cost a hundred thousand times its size as a syntax tree
    (docs/reference/format.md, 7). What is over the budget is not read.

    Args:
        archive: An open archive; a folder has no deflated bytes, and no bound.
    """

    def __init__(self, archive: ArchiveReader | FolderReader) -> None:
        self._archive = archive
        self._left = (
            limits.FREE_PARSED_BYTES + limits.MAX_PARSED_RATIO * len(archive)
            if isinstance(archive, ArchiveReader)
            else math.inf
        )
        self._counted: set[RecordName] = set()

    def read(self, name: RecordName) -> bytes | None:
        """Return the content of a record that is going to be parsed; None if it is over the budget.

        Raises:
            KeyError: if there is no such record.
            CorruptCaseError: if it is damaged.
        """
        if name not in self._counted:
            size = self._archive.size(name)
            if size > self._left:
                return None
            self._left -= size
            self._counted.add(name)
        return self._archive.read(name)
