"""The corpus of the fuzzer, read without it: inputs that once broke something, and seeds."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz import targets

CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.name)
def test_an_input_of_the_corpus_ends_well(file: Path) -> None:
    targets.read(file.read_bytes())


@pytest.mark.parametrize(
    "file", [file for file in CORPUS if file.name.startswith("valid-")], ids=lambda f: f.name
)
def test_a_valid_seed_is_valid(file: Path) -> None:
    # Else the fuzzer would start from where the first check stops it.
    data = file.read_bytes()
    targets.TARGETS[data[:1]](data[1:])


def test_every_target_has_a_valid_seed() -> None:
    valid = [file.read_bytes()[:1] for file in CORPUS if file.name.startswith("valid-")]
    assert set(valid) == set(targets.TARGETS)


STRANGE = ["", "\0", "../..", "a" * 5000, "a.b..c", "é", "\ud7ff", "C:", "0", "-1", "os", "torch", "wardian"]
VALUES: list[Any] = [None, True, 0, 2**63 - 1, [], {}, *STRANGE]


def _places(value: Any, place: tuple[Any, ...] = ()) -> Any:
    yield place
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        yield from _places(item, (*place, key))


def test_no_value_at_any_place_of_a_manifest_causes_another_error() -> None:
    seed = (Path(__file__).parent / "corpus" / "valid-manifest").read_bytes()
    places = [place for place in _places(json.loads(seed[1:])) if place and "records" not in place]
    for (*above, last), value in itertools.product(places, VALUES):
        document = json.loads(seed[1:])
        here = document
        for key in above:
            here = here[key]
        here[last] = value
        written = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        targets.read(targets.MANIFEST + written.encode("utf-8", "surrogatepass"))
