"""`wardian.distributed` needs no extra: PyTorch has what it is for."""

from __future__ import annotations

from torch.distributed.checkpoint.storage import StorageReader

import wardian
from wardian.integrations import distributed


def test_the_reader_is_one_of_pytorch_and_is_found_by_its_public_name() -> None:
    assert issubclass(wardian.distributed.CaseReader, StorageReader)
    assert wardian.distributed.CaseReader is distributed.CaseReader
