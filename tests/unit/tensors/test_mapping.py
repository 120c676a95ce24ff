"""Tensors of a case by name: records are checked before they are used, and errors name file and tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support import MANIFEST, TENSOR, write_case
from wardian.archive import ArchiveReader
from wardian.domain.digests import RecordDigest
from wardian.domain.manifest import Entry, Manifest, TensorEntry, TensorForm, TensorPart
from wardian.domain.names import RecordName
from wardian.errors import CodeNeededError, CorruptCaseError
from wardian.tensors.mapping import TensorMapping, named_entries


def entry(name: str, record: str | None = ".data/0.storage", **changes: Any) -> TensorEntry:
    plain = replace(TENSOR, name=name, record=record, requires_grad=False)
    return replace(plain, **changes)


def part(record: str, shape: tuple[int, ...], stride: tuple[int, ...] | None = None) -> TensorPart:
    return TensorPart(record=record, dtype="int64", shape=shape, stride=stride or (1,) * len(shape), offset=0)


ENTRIES = (
    entry("weight"),
    entry("tied", shape=(3,), stride=(1,), offset=3),
    entry("bias", ".data/1.storage", shape=(2,), stride=(1,)),
    entry("turned", shape=(3, 2), stride=(1, 3)),
    entry("long", shape=(7,), stride=(1,)),
    entry("nowhere", ".data/2.storage"),
    entry("odd", ".data/00.storage"),
    entry("code", "mylib.py"),
    entry("grown", None, form=TensorForm(type="mylib.Grown")),
)

Opened = Callable[..., TensorMapping]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    storages = (torch.arange(6.0).numpy().tobytes(), torch.ones(2).numpy().tobytes())
    path = write_case(tmp_path / "net.case", {"mylib.py": "x = 1"}, storages=storages, tensors=ENTRIES)
    with ExitStack() as opened:

        def open_mapping(**options: Any) -> TensorMapping:
            archive = opened.enter_context(ArchiveReader.open(path))
            manifest = Manifest.from_json(archive.manifest, path=archive.label)
            return TensorMapping(archive, manifest, named_entries(manifest, None, archive.label), **options)

        yield open_mapping


def test_tensors_come_by_name_and_share_what_they_shared(opened: Opened) -> None:
    tensors = opened()
    assert list(tensors) == [entry.name for entry in ENTRIES]
    assert len(tensors) == len(ENTRIES)
    assert tensors["weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert tensors["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]
    tensors["tied"][0] = -1
    assert tensors["weight"][1, 0] == -1
    assert tensors["bias"].tolist() == [1, 1]


def test_records_are_checked_before_they_are_used(opened: Opened) -> None:
    checked: list[list[RecordName]] = []
    tensors = opened(check=lambda names: checked.append(list(names)))
    assert checked == []
    tensors["bias"]
    assert checked == [[".data/1.storage"]]

    def refuse(names: Iterable[RecordName]) -> None:
        raise CorruptCaseError("damaged", path="x", record=next(iter(names)))

    with pytest.raises(CorruptCaseError, match="damaged"):
        opened(check=refuse)["bias"]


def test_tensors_that_are_read_together_are_checked_at_once(opened: Opened) -> None:
    checked: list[list[RecordName]] = []
    tensors = opened(check=lambda names: checked.append(list(names)))
    found = tensors.read(iter(["bias", "tied", "weight"]))
    assert list(found) == ["bias", "tied", "weight"]
    assert checked == [[".data/0.storage", ".data/1.storage"]]
    tensors["bias"]
    assert checked[1:] == [[".data/1.storage"]]
    with pytest.raises(KeyError):
        tensors.read(["bias", "nothing"])


def test_all_records_that_there_are_can_be_checked_beforehand(opened: Opened) -> None:
    checked: list[list[RecordName]] = []
    tensors = opened(check_together=lambda names: checked.append(list(names)))
    tensors.check(["bias", "tied", "grown", "nowhere"])
    tensors.check()
    known = [".data/0.storage", ".data/1.storage"]
    assert checked == [known, [*known, "mylib.py"]]
    opened().check()  # nothing is absent, so there is nothing to fetch
    with pytest.raises(KeyError):
        tensors.check(["nothing"])


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("long", "outside of its record"),
        ("nowhere", "not in a storage of the case"),
        ("odd", "not in a storage of the case"),
        ("code", ""),
    ],
)
def test_a_wrong_description_is_damage_and_says_of_which_tensor(opened: Opened, name: str, what: str) -> None:
    tensors = opened()
    with pytest.raises(CorruptCaseError) as caught:
        tensors[name]
    assert f"net.case: tensor {name!r} in {tensors.describe(name).record}" in str(caught.value)
    assert what in str(caught.value)
    assert caught.value.record == tensors.describe(name).record


def test_what_needs_code_says_so(opened: Opened) -> None:
    with pytest.raises(
        CodeNeededError, match=r"'grown' is a mylib\.Grown, .*wardian\.load\(path\)"
    ) as caught:
        opened()["grown"]
    assert caught.value.tensor == "grown"


def test_a_name_that_is_nearly_right_gets_a_hint(opened: Opened) -> None:
    with pytest.raises(KeyError, match="weight"):
        opened()["wieght"]
    with pytest.raises(KeyError, match="weight"):
        opened().describe("wieght")


def test_a_part_is_the_part_of_the_tensor(opened: Opened) -> None:
    tensors = opened()
    for name, region in (
        ("weight", (slice(1, 2), slice(0, 3))),  # in one piece
        ("weight", (slice(0, 2), slice(1, 3))),
        ("turned", (slice(1, 3), slice(0, 2))),
        ("tied", (slice(1, 3),)),
        ("tied", (slice(1, 1),)),
    ):
        assert tensors.part(name, region).tolist() == tensors[name][region].tolist()
    with pytest.raises(CorruptCaseError):
        tensors.part("long", (slice(0, 1),))
    with pytest.raises(KeyError):
        tensors.part("nothing", (slice(0, 1),))


def test_its_repr_is_short(opened: Opened) -> None:
    found = repr(opened())
    assert found.startswith("<9 tensors of ")
    assert found.endswith("net.case: weight, tied, bias, ...>")


# Names.


def with_tensors(*tensors: TensorEntry, entries: tuple[str, ...] = ("model",), stored: int = 0) -> Manifest:
    (model,) = MANIFEST.entries
    points: tuple[Entry, ...] = tuple(replace(model, name=name) for name in entries)
    records = {".data/0.storage": RecordDigest(stored, "blake3", "0" * 64)} if stored else {}
    return replace(MANIFEST, entries=points, tensors=tensors, records=records)


def test_with_several_entry_points_a_name_says_of_which() -> None:
    manifest = with_tensors(entry("w", entry="one"), entry("w", entry="two"), entries=("one", "two"))
    assert list(named_entries(manifest, None, "x.case")) == ["one:w", "two:w"]
    assert named_entries(manifest, "two", "x.case") == {"w": manifest.tensors[1]}
    assert list(named_entries(with_tensors(entry("w")), None, "x.case")) == ["w"]


@pytest.mark.parametrize("wanted", [None, "model"])
def test_two_of_one_name_or_of_no_entry_point_are_damage(wanted: str | None) -> None:
    with pytest.raises(CorruptCaseError, match=r"x\.case: tensor 'w' .*two of this name"):
        named_entries(with_tensors(entry("w"), entry("w", offset=1)), wanted, "x.case")
    with pytest.raises(CorruptCaseError, match="no entry point 'other'"):
        named_entries(with_tensors(entry("w", entry="other")), wanted, "x.case")


def test_parts_have_no_more_elements_than_the_file_can_account_for() -> None:
    def sparse(elements: int) -> TensorEntry:
        parts = {"indices": part(".data/0.storage", (elements,), (0,)), "values": part(".data/0.storage", ())}
        return entry("w", None, form=TensorForm(layout="sparse_coo", parts=parts))

    free = 1 << 20  # elements that are free of charge
    named_entries(with_tensors(sparse(free - 1)), None, "x.case")
    with pytest.raises(CorruptCaseError, match="far more elements than 0 bytes"):
        named_entries(with_tensors(sparse(free)), None, "x.case")
    named_entries(with_tensors(sparse(free + 3), stored=1), None, "x.case")
    with pytest.raises(CorruptCaseError, match="far more elements than 1 bytes"):
        named_entries(with_tensors(sparse(free + 4), stored=1), None, "x.case")
