"""The documents around a case, and the case in the documents of others."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.archive.remote.oci.modelpack import Blob, PackFacts, config_of, find_case, manifest_of

CASE, CONFIG = Blob("sha256:" + "a" * 64, 1234), Blob("sha256:" + "b" * 64, 99)
FACTS = PackFacts(
    name="oak", parameters=11_689_512, dtypes=("float32", "int64"), licences=("MIT", "BSD", "MIT")
)
RAW = "application/vnd.cncf.model.weight.v1.raw"
PATH, TITLE = "org.cncf.model.filepath", "org.opencontainers.image.title"


def layer(digest: str = "d", **facts: Any) -> dict[str, Any]:
    return {"digest": digest, "size": 1, **facts}


def test_the_case_is_found_in_the_manifest_that_is_written() -> None:
    assert find_case(json.loads(manifest_of(FACTS, CONFIG, CASE))) == CASE


def test_the_configuration_states_the_facts_and_leaves_out_what_there_is_not() -> None:
    assert json.loads(config_of(FACTS, CASE)) == {
        "descriptor": {"name": "oak", "title": "oak", "licenses": ["BSD", "MIT"]},
        "config": {"format": "wardian", "paramSize": "11.7M", "precision": "float32"},
        "modelfs": {"type": "layers", "diffIds": [CASE.digest]},
    }
    bare = json.loads(config_of(PackFacts(name="oak", parameters=0, dtypes=(), licences=()), CASE))
    assert (bare["config"], bare["descriptor"]) == ({"format": "wardian"}, {"name": "oak", "title": "oak"})


def test_the_order_of_what_is_stated_changes_no_byte() -> None:
    other = PackFacts(name="oak", parameters=11_689_512, dtypes=("float32",), licences=("BSD", "MIT"))
    assert config_of(other, CASE) == config_of(FACTS, CASE)


@given(st.integers(1, 10**13))
def test_a_number_of_parameters_is_written_in_few_digits(count: int) -> None:
    text = json.loads(config_of(PackFacts(name="o", parameters=count, dtypes=(), licences=()), CASE))
    shown = text["config"]["paramSize"]
    scale = {"T": 10**12, "B": 10**9, "M": 10**6, "K": 10**3}[shown[-1]]
    assert abs(float(shown[:-1]) * scale - count) <= scale / 20
    assert not shown[:-1].endswith(".0")


@pytest.mark.parametrize(
    "layers",
    [
        [layer(annotations={TITLE: "oak.case"}), layer("x", mediaType=RAW)],
        [layer(annotations={PATH: "oak.case", TITLE: "oak.bin"})],
        [layer("x", annotations={TITLE: "README.md"}), layer(mediaType=RAW)],
        [layer("x", annotations={TITLE: "doc"}), "text", layer(mediaType=RAW, annotations="none")],
    ],
)
def test_a_layer_is_the_case_by_its_name_or_as_the_only_weights(layers: list[Any]) -> None:
    assert find_case({"layers": layers}) == Blob("d", 1)


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (None, "is no artifact with layers, but something else"),
        ([], "is no artifact with layers, but something else"),
        ({"mediaType": "index"}, "is no artifact with layers, but index"),
        ({"layers": {}}, "is no artifact with layers"),
        ({"layers": []}, "has no layers that may be a case: it is empty"),
        ({"layers": [layer(mediaType="tar")]}, "has no layers that may be a case: tar"),
        ({"layers": [layer(mediaType=RAW)] * 2}, "has 2 layers that may be a case"),
        ({"layers": [{"mediaType": RAW, "size": 1}]}, "without a digest or a size"),
        ({"layers": [{"mediaType": RAW, "digest": "d", "size": "1"}]}, "without a digest or a size"),
    ],
)
def test_why_there_is_none_is_the_end_of_a_sentence(manifest: object, words: str) -> None:
    found = find_case(manifest)
    assert isinstance(found, str)
    assert found.startswith(("is ", "has "))
    assert words in found
