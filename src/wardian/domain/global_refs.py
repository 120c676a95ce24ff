"""References to globals: classes and functions by name."""

from __future__ import annotations

from dataclasses import dataclass

from wardian.domain.names import ModuleName

__all__ = ["GlobalRef"]


@dataclass(frozen=True, slots=True, order=True)
class GlobalRef:
    """A class or function by name, as a pickle names it.

    >>> str(GlobalRef(ModuleName("torch.nn"), "Linear"))
    'torch.nn.Linear'
    """

    module: ModuleName
    qualname: str
    """Empty for the module itself."""

    def __str__(self) -> str:
        return f"{self.module}.{self.qualname}" if self.qualname else self.module
