"""Records to bytes and back: the container of a case, its limits, its digests.

docs/reference/format.md, sections 1, 2, 7 and 8. This layer knows names, bytes and digests. It does not
know what a manifest says or what a storage holds, and it does not import torch.
"""

from __future__ import annotations

from wardian.archive.extracted import FolderReader
from wardian.archive.parsing import ParsingBudget
from wardian.archive.reader import ArchiveReader
from wardian.archive.replacing import ReplacingFile
from wardian.archive.writer import ArchiveWriter

__all__ = ["ArchiveReader", "ArchiveWriter", "FolderReader", "ParsingBudget", "ReplacingFile"]
