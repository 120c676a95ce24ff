"""Lightning: `CaseCheckpoint` writes cases while a model is trained."""

from __future__ import annotations

from wardian.integrations import needing

with needing("lightning"):
    from wardian.integrations.lightning import CaseCheckpoint

__all__ = ["CaseCheckpoint"]
