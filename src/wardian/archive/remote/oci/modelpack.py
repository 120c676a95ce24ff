"""The documents around a case in a registry: CNCF ModelPack, one raw layer.

https://github.com/modelpack/model-spec/tree/main/docs
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Blob", "CONFIG_TYPE", "MANIFEST_TYPE", "PackFacts", "config_of", "find_case", "manifest_of"]

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.cncf.model.config.v1+json"
_ARTIFACT_TYPE = "application/vnd.cncf.model.manifest.v1+json"
_WEIGHT = "application/vnd.cncf.model.weight.v1.raw"
_PATH = "org.cncf.model.filepath"
_TITLE = "org.opencontainers.image.title"
"""Names the file for `oras pull`."""
_ENDING = ".case"
_SCALES = (("T", 10**12), ("B", 10**9), ("M", 10**6), ("K", 10**3))


@dataclass(frozen=True, slots=True)
class Blob:
    """A piece of content that a registry keeps by its digest."""

    digest: str
    """`sha256:` and 64 digits."""
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PackFacts:
    """The facts about a case that the documents state."""

    name: str
    """The name of the file, without its ending."""
    parameters: int
    dtypes: Sequence[str]
    """Types of the weights, the largest part first."""
    licences: Sequence[str]
    """SPDX expressions of what is inside."""


def config_of(facts: PackFacts, case: Blob) -> bytes:
    """Return the configuration; the same case gives the same bytes."""
    model: dict[str, Any] = {"format": "wardian"}
    if facts.parameters:
        model["paramSize"] = _size_text(facts.parameters)
    if facts.dtypes:
        model["precision"] = facts.dtypes[0]
    descriptor: dict[str, Any] = {"name": facts.name, "title": facts.name}
    if facts.licences:
        descriptor["licenses"] = sorted(set(facts.licences))
    return _json(
        {
            "descriptor": descriptor,
            "config": model,
            "modelfs": {"type": "layers", "diffIds": [case.digest]},
        }
    )


def _size_text(count: int) -> str:
    """Return a number of parameters as ModelPack writes it.

    >>> _size_text(11_689_512), _size_text(7_000_000_000), _size_text(520)
    ('11.7M', '7B', '0.5K')
    """
    letter, scale = next((each for each in _SCALES if count >= each[1]), _SCALES[-1])
    return f"{count / scale:.1f}".removesuffix(".0") + letter


def manifest_of(facts: PackFacts, config: Blob, case: Blob) -> bytes:
    """Return the manifest."""
    file = f"{facts.name}{_ENDING}"
    return _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": _ARTIFACT_TYPE,
            "config": {"mediaType": CONFIG_TYPE, "digest": config.digest, "size": config.size},
            "layers": [
                {
                    "mediaType": _WEIGHT,
                    "digest": case.digest,
                    "size": case.size,
                    "annotations": {_PATH: file, _TITLE: file},
                }
            ],
        }
    )


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def find_case(manifest: object) -> Blob | str:
    """Return the layer of an artifact that is a case, or why there is none, as the end of a sentence.

    A layer is one if its file is called `*.case`, else if it is the only one with raw weights.
    """
    layers = manifest.get("layers") if isinstance(manifest, Mapping) else None
    if not isinstance(layers, list):
        kind = manifest.get("mediaType") if isinstance(manifest, Mapping) else None
        return f"is no artifact with layers, but {kind or 'something else'}"
    sound = [layer for layer in layers if isinstance(layer, dict)]
    named = [layer for layer in sound if _file_of(layer).endswith(_ENDING)]
    raw = [layer for layer in sound if layer.get("mediaType") == _WEIGHT]
    found = named or raw
    if len(found) != 1:
        there = ", ".join(_file_of(each) or str(each.get("mediaType")) for each in sound[:8])
        return f"has {len(found) or 'no'} layers that may be a case: {there or 'it is empty'}"
    digest, size = found[0].get("digest"), found[0].get("size")
    if not isinstance(digest, str) or not isinstance(size, int):
        return "has a layer without a digest or a size"
    return Blob(digest, size)


def _file_of(layer: Mapping[str, Any]) -> str:
    annotations = layer.get("annotations")
    if not isinstance(annotations, dict):
        return ""
    return str(annotations.get(_PATH) or annotations.get(_TITLE) or "")
