"""The model card says what is in the file, and nothing of the file is read as Markdown or HTML."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support import write_case
from wardian.archive import ArchiveReader
from wardian.domain.manifest import Entry, PackedDistribution
from wardian.inspection.model_cards import MADE_BY, model_card
from wardian.inspection.summary import Summary, WeightFacts

URL = "hf://grove/oak/model.case"


def _summary(folder: Path, **facts: Any) -> Summary:
    path = write_case(folder / "oak.case", "--- yew/__init__.py\n", **facts)
    with ArchiveReader.open(path) as archive:
        return Summary.of(archive, str(path))


def test_a_card_says_how_the_case_is_loaded_and_which_it_is(tmp_path: Path) -> None:
    summary = _summary(tmp_path, proof="passed")
    card = model_card(summary, URL)
    assert card.startswith("---\nlibrary_name: wardian\n")
    assert MADE_BY in card
    assert "# grove/oak\n" in card
    assert f"model = wardian.load('{URL}', digest='{summary.digest}')" in card
    assert f"Proven when it was packed: {summary.proof}." in card


def test_one_of_several_entry_points_is_named(tmp_path: Path) -> None:
    entries = tuple(
        Entry(name=name, record=f"{name}/{name}.pkl", type="yew.Yew", test=None, outputs=False)
        for name in ("oak", "elm")
    )
    sources: dict[str, str | bytes] = {
        "yew.py": "",
        "oak/oak.pkl": b"\x80\x04N.",
        "elm/elm.pkl": b"\x80\x04N.",
    }
    path = write_case(tmp_path / "oak.case", sources, entries=entries)
    with ArchiveReader.open(path) as archive:
        card = model_card(Summary.of(archive, str(path)), URL)
    assert ", name='oak', digest=" in card
    assert "- `oak`: `yew.Yew`\n- `elm`: `yew.Yew`\n" in card


def test_weights_code_and_needs_are_listed(tmp_path: Path) -> None:
    summary = _summary(tmp_path)
    weights = (
        WeightFacts(dtype="float32", tensors=1, parameters=1200, bytes=4800),
        WeightFacts(dtype="int64", tensors=2, parameters=0, bytes=16),
    )
    card = model_card(replace(summary, weights=weights), URL)
    assert "\n1,200 parameters: 1 tensor of float32, 4.8 kB; 2 tensors of int64, 16 bytes.\n" in card
    assert "\n0 parameters.\n" in model_card(summary, URL)
    assert "- `first-party`\n" in card
    assert "```\ntorch" in card
    empty = replace(summary, manifest=replace(summary.manifest, distributions=(), externs=()))
    assert "It has no code of its own." in model_card(empty, URL)


def test_what_the_file_says_is_no_markup(tmp_path: Path) -> None:
    hostile = "yew` <script>\n# [x](http://a)"
    packed = PackedDistribution(name=hostile, version="1.0", roots=("yew",))
    summary = _summary(tmp_path)
    manifest = replace(
        summary.manifest,
        distributions=(packed,),
        entries=(replace(summary.manifest.entries[0], type=hostile),),
        torch=hostile,
    )
    card = model_card(replace(summary, manifest=manifest, licences=()), URL)
    assert "- `model`: `yew <script> # [x](http://a)`\n" in card
    assert "- `yew <script> # [x](http://a) 1.0`\n" in card
    made = next(line for line in card.splitlines() if line.startswith("Made with"))
    assert "<" not in made
    assert "[" not in made
