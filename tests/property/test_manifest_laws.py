"""Any manifest comes back from its JSON, which fits the schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_type_hints

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from wardian.archive import RecordDigest
from wardian.manifest import FORMAT_VERSION, Manifest

_SCHEMA = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[2] / "docs" / "manifest.schema.json").read_text())
)

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
MANIFESTS = st.builds(
    Manifest,
    **{name: st.from_type(hint) for name, hint in _HINTS.items() if name != "format"},
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
    _SCHEMA.validate(json.loads(data))
