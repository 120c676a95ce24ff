"""What each entry point gets in a case: pickles, self-tests, groups."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wardian.archive.writer import ArchiveWriter
from wardian.capture.session import Capture
from wardian.domain.trace import Evidence
from wardian.packing.drafting.entries import pickle_entries
from wardian.packing.drafting.live_object import LiveObject
from wardian.packing.drafting.origins import Origins
from wardian.packing.drafting.pickling import Pickling
from wardian.packing.drafting.reductions import Reductions
from wardian.packing.tracing.observe import Observation
from wardian.tensors.scripts import ScriptingStorageWriter

EVIDENCE = Evidence(
    modules=(), imports=(), absent=(), files=(), libraries=(), operators=(), schemas=(), ran=True, used=()
)


class Entries:
    """Entry points as they are pickled for a case."""

    def __init__(self, archive: ArchiveWriter) -> None:
        origins = Origins()
        self.capture = Capture(origins)
        storages = ScriptingStorageWriter(archive)
        self.pickling = Pickling(self.capture, origins, Reductions(self.capture, storages), storages)

    def of(
        self, objects: dict[str, Any], calls: dict[str, Any], observation: Observation | None = None
    ) -> tuple[dict[str, tuple[str, bool]], dict[str, Any]]:
        """Return type of each entry and whether it has outputs; and what is in the records."""
        live = LiveObject(
            "entries" if len(objects) > 1 else next(iter(objects)), objects, calls, self.capture
        )
        whole = self.pickling.pickle_with_effects(live.whole, live.name)
        entries, records = pickle_entries(live, whole, (), observation, self.pickling)
        loaded = {str(record): pickle.loads(pickled.data) for record, pickled in records.items()}
        return {entry.name: (entry.type, entry.outputs) for entry in entries}, loaded


@pytest.fixture
def entries(tmp_path: Path) -> Iterator[Entries]:
    with ArchiveWriter(tmp_path / "grove.case") as archive:
        yield Entries(archive)


def test_one_entry_point_has_the_pickle_of_the_whole(entries: Entries) -> None:
    found, records = entries.of({"oak": [1, 2]}, {})
    assert found == {"oak": ("builtins.list", False)}
    assert records == {"oak/oak.pkl": [1, 2]}


def test_a_call_gives_a_self_test_with_what_it_returned_and_changed(entries: Entries) -> None:
    ran = Observation(EVIDENCE, {"oak": 3}, {"oak": {"rings": 4}})
    found, records = entries.of({"oak": [1, 2], "elm": {3}}, {"oak": (5,), "elm": (6,)}, ran)
    assert found == {"oak": ("builtins.list", True), "elm": ("builtins.set", False)}
    assert records[".wardian/tests/oak.pkl"] == {
        "inputs": (5,),
        "outputs": 3,
        "seed": 0,
        "changes": {"rings": 4},
    }
    assert records[".wardian/tests/elm.pkl"] == {"inputs": (6,), "outputs": None, "seed": 0}


def test_what_shares_something_is_in_a_group_too(entries: Entries) -> None:
    roots, bark = ["shared"], {"other"}
    objects = {"elm": [bark], "oak": [roots], "birch": {"below": roots}, "ash": [bark, roots], "fir": [7]}
    found, records = entries.of(objects, {})
    assert list(found) == ["elm", "oak", "birch", "ash", "fir", "elm+oak+birch+ash"]
    (group,) = [value for record, value in records.items() if record.split("/")[0] not in objects]
    assert group["oak"][0] is group["birch"]["below"] is group["ash"][1]


def test_what_shares_nothing_is_in_no_group(entries: Entries) -> None:
    found, _ = entries.of({"oak": [["mine"]], "birch": [["mine"]]}, {})
    assert list(found) == ["oak", "birch"]
