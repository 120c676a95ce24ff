"""`torch.distributed`: `CaseReader` lets `torch.distributed.checkpoint` load from a case."""

from __future__ import annotations

from wardian.integrations.distributed import CaseReader

__all__ = ["CaseReader"]
