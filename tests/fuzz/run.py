"""Fuzz with coverage: `python -m tests.fuzz.run [libFuzzer's arguments] [folders]`; `make fuzz` does it.

Atheris (https://github.com/google/atheris) instruments Wardian's bytecode and keeps inputs that reach new
branches. What makes it stop is written to a file; put that into `tests/fuzz/corpus`, where `test_corpus.py`
reads it for ever.
"""

from __future__ import annotations

import json
import random
import sys
from typing import Any

import atheris

with atheris.instrument_imports(include=["wardian"]):
    import wardian.loading.case
    import wardian.tensors.named  # noqa: F401  it would be imported later, without instruments

from tests.fuzz.targets import MANIFEST, read

NUMBERS = [0, 1, 24, 2**31, 2**62, 2**63 - 1, 2**64, -1]
VALUES: list[Any] = [None, True, *NUMBERS, [], {}, "", "\0", "..", "C:", "os"]


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change one value of a manifest as JSON; change other inputs, and one manifest of four, as bytes."""
    chance = random.Random(seed)
    if data[:1] == MANIFEST and chance.random() < 0.75:
        try:
            document = json.loads(data[1:])
        except (ValueError, RecursionError):
            document = None
        places = list(_places(document))
        if places:
            above, key = chance.choice(places)
            other, other_key = chance.choice(places)
            # A copy: a value must not get into itself.
            above[key] = chance.choice([*VALUES, json.loads(json.dumps(other[other_key]))])
            changed = MANIFEST + json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
            if len(changed) <= max_size:
                return changed
    return bytes(atheris.Mutate(data, max_size))


def _places(value: Any) -> Any:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        yield value, key
        yield from _places(item)


if __name__ == "__main__":
    atheris.Setup(sys.argv, read, custom_mutator=mutate)
    atheris.Fuzz()
