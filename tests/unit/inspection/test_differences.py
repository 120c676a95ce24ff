"""What two cases differ in, without running them."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import MANIFEST, write_case
from wardian.archive import ArchiveReader
from wardian.domain.manifest import Entry, Manifest, PackedDistribution, TensorEntry
from wardian.inspection import differences
from wardian.inspection.differences import Differences, _pairs, compare
from wardian.reading.foreign import read_manifest

YEW = "--- yew/__init__.py\nRINGS = 3\n"
WEIGHT = TensorEntry(
    entry="model",
    name="weight",
    dtype="float32",
    shape=(2,),
    stride=(1,),
    record=".data/0.storage",
    offset=0,
    kind="parameter",
    requires_grad=True,
)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[ArchiveReader, Manifest]]:
    with ArchiveReader.open(path) as archive:
        yield archive, read_manifest(archive)


def _compare(folder: Path, before: dict[str, Any], after: dict[str, Any]) -> Differences:
    for name, facts in (("before", before), ("after", after)):
        write_case(folder / f"{name}.case", facts.pop("sources", YEW), **facts)
    with _opened(folder / "before.case") as old, _opened(folder / "after.case") as new:
        return compare(old, new)


def _changes(found: Differences) -> list[tuple[str, str, str | None, str | None]]:
    return [(c.what, c.name, c.before, c.after) for c in found.changes]


def test_equal_cases_do_not_differ(tmp_path: Path) -> None:
    found = _compare(tmp_path, {}, {})
    assert not found
    assert found.to_plain() == {"equal": True, "changes": [], "tensors": [], "sources": {}}


def test_facts_of_the_manifests_are_compared_by_name(tmp_path: Path) -> None:
    oak = PackedDistribution(name="oak", version="1.0", roots=("yew",))
    torch = MANIFEST.externs[0]
    numpy = replace(torch, distribution=None, modules=("numpy",), version=None, soft=True)
    found = _compare(
        tmp_path,
        {"distributions": (oak,), "metadata": {"note": "a"}, "proof": "passed"},
        {
            "distributions": (replace(oak, version="2.0"),),
            "externs": (replace(torch, version="2.0"), numpy),
            "metadata": {"other": "b"},
        },
    )
    assert _changes(found) == [
        ("distribution", "oak", "1.0", "2.0"),
        ("extern", "numpy", None, "(optional)"),
        ("extern", "torch", "1.0 (needed)", "2.0 (needed)"),
        ("proof", "proof", "passed", "skipped"),
        ("note", "note", "a", None),
        ("note", "other", None, "b"),
    ]


def test_files_are_compared_by_digest_and_texts_by_line(tmp_path: Path) -> None:
    found = _compare(
        tmp_path,
        {"sources": {"yew.py": "A = 1\nB = 2\n", "old.txt": "x\n", "rings.bin": b"\0"}},
        {"sources": {"yew.py": "A = 1\nB = 3\n", "new.txt": "y\n", "rings.bin": b"\1"}},
    )
    assert [(c.name, c.before is None, c.after is None) for c in found.changes if c.what == "file"] == [
        ("new.txt", True, False),
        ("old.txt", False, True),
        ("rings.bin", False, False),
        ("yew.py", False, False),
    ]
    assert list(found.sources) == ["new.txt", "old.txt", "yew.py"]
    assert found.sources["yew.py"] == (
        "--- a/yew.py",
        "+++ b/yew.py",
        "@@ -1,2 +1,2 @@",
        " A = 1",
        "-B = 2",
        "+B = 3",
    )
    assert found.sources["new.txt"][:2] == ("--- /dev/null", "+++ b/new.txt")
    assert found.sources["old.txt"][:2] == ("--- a/old.txt", "+++ /dev/null")


def test_texts_that_take_too_long_are_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(differences, "_FREE_PAIRS", 3)
    monkeypatch.setattr(differences, "_MOST_PAIRS", 0)
    texts = {"a.txt": 1, "b.txt": 2, "c.txt": 1, "d.txt": 1, "e.txt": 1}
    sources = [{name: f"{n}\n" * lines for name, lines in texts.items()} for n in (1, 2)]
    found = _compare(tmp_path, {"sources": sources[0]}, {"sources": sources[1]})
    assert found.sources["a.txt"][2:] == ("@@ -1 +1 @@", "-1", "+2")
    (told,) = found.sources["b.txt"]
    assert told.startswith("b.txt: too much differs to be shown")
    # All texts together have one measure.
    assert [len(found.sources[name]) > 1 for name in ("c.txt", "d.txt", "e.txt")] == [True, True, False]


def test_a_self_test_that_holds_something_else_is_told(tmp_path: Path) -> None:
    entry = Entry(
        name="model", record="model/model.pkl", type="", test=".wardian/tests/model.pkl", outputs=False
    )

    def facts(inputs: object, *, outputs: bool = False) -> dict[str, Any]:
        sources = {".wardian/tests/model.pkl": pickle.dumps({"inputs": inputs})}
        return {"sources": sources, "entries": (replace(entry, outputs=outputs),)}

    assert _changes(_compare(tmp_path, facts(1), facts(1))) == []
    assert _changes(_compare(tmp_path, facts(1), facts(2))) == [
        ("self-test", "model", "inputs only", "other inputs")
    ]
    assert _changes(_compare(tmp_path, facts(1, outputs=True), facts(2, outputs=True))) == [
        ("self-test", "model", "with outputs", "with other inputs or outputs")
    ]
    assert _changes(_compare(tmp_path, facts(1), facts(2, outputs=True))) == [
        ("self-test", "model", "inputs only", "with outputs")
    ]


def _with(values: bytes, *tensors: TensorEntry) -> dict[str, Any]:
    return {"tensors": tensors or (WEIGHT,), "storages": (values,)}


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (_with(b"\0" * 8), []),
        (_with(b"\0\0\x80?" * 2), [("weight", "changed", "float32[2]", "float32[2]")]),
        (
            _with(b"\0" * 8, replace(WEIGHT, dtype="float16")),
            [("weight", "retyped", "float32[2]", "float16[2]")],
        ),
        (
            _with(b"\0" * 8, replace(WEIGHT, name="bias")),
            [("bias", "added", None, "float32[2]"), ("weight", "removed", "float32[2]", None)],
        ),
        # Other bytes around it are not its values.
        (_with(b"\1" * 8 + b"\0" * 8, replace(WEIGHT, offset=2)), []),
    ],
)
def test_tensors_are_compared_by_their_values(tmp_path: Path, after: dict[str, Any], told: list[Any]) -> None:
    found = _compare(tmp_path, _with(b"\0" * 8), dict(after))
    assert [(t.name, t.how, t.before, t.after) for t in found.tensors] == told
    assert bool(found) is bool(told)


def test_how_far_values_are_from_each_other_is_told(tmp_path: Path) -> None:
    (changed,) = _compare(tmp_path, _with(b"\0" * 8), _with(b"\0" * 4 + b"\0\0\x80?")).tensors
    assert changed.distance is not None
    assert not changed.distance.equal


lines = st.lists(st.sampled_from(["a", "b", "c"]), max_size=12)


@given(lines, lines, lines, lines)
def test_what_is_the_same_at_both_ends_costs_nothing_but_equal_lines(
    start: list[str], old: list[str], new: list[str], end: list[str]
) -> None:
    whole = _pairs([*start, *old, *end], [*start, *new, *end])
    equal = sum([*start, *new, *end].count(line) for line in [*start, *old, *end])
    assert equal <= whole <= len(old) * len(new) + equal
    assert _pairs(old, old) == sum(old.count(line) for line in old)
