"""Any manifest comes back from its JSON, which fits the schema."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import get_type_hints

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.schemas import validator_of
from wardian.domain.digests import RecordDigest
from wardian.domain.manifest import FORMAT_VERSION, Manifest, TensorEntry

_SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "reference" / "manifest.schema.json").read_text())

# JSON in UTF-8 has no lone surrogates.
st.register_type_strategy(str, st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
st.register_type_strategy(int, st.integers(0, 2**63 - 1))
_DIGESTS = st.builds(
    RecordDigest,
    st.integers(0, 2**63 - 1),
    st.sampled_from(["sha256", "blake3"]),
    st.text("0123456789abcdef", min_size=64, max_size=64),
)
st.register_type_strategy(RecordDigest, _DIGESTS)
_HINTS = get_type_hints(Manifest)
_SORTED = ("absent", "bytecode_only", "deferred", "materialised", "mocks")
_NAMES = st.lists(st.from_type(str), max_size=4).map(lambda names: tuple(sorted(set(names))))


def _with_small_shape(tensor: TensorEntry) -> TensorEntry:
    """Let a tensor, and its parts, have no more elements than PyTorch counts."""

    def small(shape: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(size % 1000 for size in shape[:5])

    form = tensor.form and replace(
        tensor.form,
        parts={role: replace(part, shape=small(part.shape)) for role, part in tensor.form.parts.items()},
    )
    return replace(tensor, shape=small(tensor.shape), form=form)


st.register_type_strategy(TensorEntry, st.builds(TensorEntry).map(_with_small_shape))
MANIFESTS = st.builds(
    Manifest,
    **{
        name: _NAMES if name in _SORTED else st.from_type(hint)
        for name, hint in _HINTS.items()
        if name != "format"
    },
    format=st.just(FORMAT_VERSION),
)


@settings(max_examples=30)
@given(MANIFESTS)
def test_a_manifest_comes_back_from_its_json(manifest: Manifest) -> None:
    data = manifest.to_json()
    again = Manifest.from_json(data, path=None)
    assert again == manifest
    assert again.to_json() == data
    canonical = json.dumps(json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert data.decode() == canonical
    validator_of(_SCHEMA).validate(json.loads(data))
