from __future__ import annotations

import json
import typing
from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import Path


class Pruning(Enum):
    SOFT = "soft"
    HARD = "hard"


@dataclass(frozen=True)
class Config:
    width: int
    depth: int
    pruning: Pruning
    bias: typing.Optional[float] = None
    tags: tuple[str, ...] = field(default_factory=tuple)

    @classmethod
    def default(cls) -> Config:
        """Read defaults.json, turning each value into what the annotation says."""
        values = json.loads((Path(__file__).parent / "defaults.json").read_text())
        hints = typing.get_type_hints(cls)
        for f in fields(cls):
            hint = hints[f.name]
            if isinstance(hint, type) and issubclass(hint, Enum):
                values[f.name] = hint(values[f.name])
            elif typing.get_origin(hint) is tuple:
                values[f.name] = tuple(values[f.name])
        return cls(**values)
