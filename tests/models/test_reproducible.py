"""Same input, same bytes: whatever the file's name, the hash seed, and what else the process packed."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.models.conftest import Nursery

pytestmark = pytest.mark.models


@pytest.mark.parametrize("name", ["resnet18", "bert"])
def test_two_packs_are_the_same_file(name: str, nursery: Nursery) -> None:
    first = nursery.packed(name)
    nursery.pack(f"{name}={name}_again", hash_seed="4242")
    second = nursery.result(f"{name}_again")
    if first.read_bytes() != second.read_bytes():
        pytest.fail(f"two packs of {name} differ: {_differing(first, second)}", pytrace=False)


_AGAIN = """
import sys, torch, wardian
inputs = torch.load(sys.argv[1] + ".pt")["inputs"]
with wardian.open(sys.argv[1] + ".case") as case:
    wardian.pack(case.load(), sys.argv[2], inputs=inputs)
"""


def test_what_was_loaded_is_packed_to_the_same_bytes(nursery: Nursery) -> None:
    first, second = nursery.packed("resnet18"), nursery.folder / "resnet18_loaded.case"
    done = nursery.run("-c", _AGAIN, str(first.with_suffix("")), str(second))
    assert done.returncode == 0, done.stderr
    assert first.read_bytes() == second.read_bytes(), _differing(first, second)


def _differing(first: Path, second: Path) -> str:
    with zipfile.ZipFile(first) as one, zipfile.ZipFile(second) as other:
        sums = {info.filename: info.CRC for info in one.infolist()}
        others = {info.filename: info.CRC for info in other.infolist()}
    names = sorted(n for n in sums.keys() | others.keys() if sums.get(n) != others.get(n))
    return ", ".join(names[:20]) or "only in the order or the headers of the records"
