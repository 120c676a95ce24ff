"""Records to bytes and back: the container of a case (docs/reference/format.md, sections 1, 2, 7 and 8).

This layer knows names, bytes and digests. It does not know what a manifest says, and does not import torch.

- `writer`: records to a file, with `batches`, `streaming`, `deflate` and `replacing`; `layout`: its bytes
- `content`, `file`: where the bytes of a file are; `descriptors`, `ahead`: what only Linux can say or do
- `reader`, `extracted`: a file, or a folder, to records; `structure`, `central_directory`: where they lie
- `inflating`, `limits`, `parsing`: no more than was asked for
- `digests`, `crc`: what is computed of a record; `expected_digests`: compared with what it must be
- `identify`, `refusals`: what else a file is, and the errors
- `remote`: cases behind URLs

The package itself names what reads: to load a case needs nothing that writes one.
"""

from __future__ import annotations

from wardian.archive.extracted import FolderReader
from wardian.archive.parsing import ParsingBudget
from wardian.archive.reader import ArchiveReader

__all__ = ["ArchiveReader", "FolderReader", "ParsingBudget"]
