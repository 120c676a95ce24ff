"""A bill of materials of a case: CycloneDX 1.6, with the object as a machine-learning model (ML-BOM).

It is written by hand: cyclonedx-python-lib has no model cards. Its strict validator reads what comes out
(tests/oracles). Nothing in it depends on the time or the machine, so that one case has one bill.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from wardian.archive import ArchiveReader
from wardian.domain.manifest import Extern, PackedDistribution
from wardian.domain.names import normalised
from wardian.inspection.summary import Summary

__all__ = ["bill_of_materials"]

_MODEL = "model"
"""How the bill refers to the object."""


def bill_of_materials(archive: ArchiveReader, name: str) -> dict[str, Any]:
    """Return the bill of materials of an open archive, as JSON-able data.

    Args:
        archive: A case, or an archive of torch.package.
        name: What the model is called, such as the name of the file.

    Raises:
        CorruptCaseError, UnsupportedFormatError: if its manifest cannot be read.
    """
    summary = Summary.of(archive, name)
    components = list(_components(summary))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, summary.digest)}",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "wardian"}]},
            "component": _model(summary),
        },
        "components": components,
        "dependencies": [
            {"ref": _MODEL, "dependsOn": [component["bom-ref"] for component in components]},
            *({"ref": component["bom-ref"]} for component in components),
        ],
    }


def _model(summary: Summary) -> dict[str, Any]:
    manifest = summary.manifest
    types = dict.fromkeys(entry.type for entry in manifest.entry_points if entry.type)
    parameters = {"modelArchitecture": ", ".join(types)} if types else {}
    return {
        "type": "machine-learning-model",
        "bom-ref": _MODEL,
        "name": summary.path,
        "hashes": [{"alg": "SHA-256", "content": summary.digest}],
        "modelCard": {
            "bom-ref": f"{_MODEL}-card",
            "modelParameters": parameters,
            "properties": _properties(_facts(summary)),
        },
    }


def _facts(summary: Summary) -> Iterator[tuple[str, str]]:
    """Yield facts that CycloneDX has no place for."""
    manifest = summary.manifest
    yield "kind", summary.kind
    yield "digest", summary.digest
    yield "size", str(summary.size)
    for entry in manifest.entry_points:
        yield "entry", f"{entry.name}: {entry.type}" if entry.type else entry.name
    yield "parameters", str(summary.parameters)
    for weights in summary.weights:
        yield f"weights:{weights.dtype}", f"{weights.tensors} tensors, {weights.bytes} bytes"
    yield "proof", summary.proof
    if manifest.python.version:
        yield "python", manifest.python.version
        yield "torch", manifest.torch
        yield "platform", f"{manifest.platform.system} {manifest.platform.machine}".strip()
    for key, value in manifest.metadata.items():
        yield f"metadata:{key}", value


def _properties(facts: Iterator[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": f"wardian:{name}", "value": value} for name, value in facts]


def _components(summary: Summary) -> Iterator[dict[str, Any]]:
    """Yield what is inside, then what the environment must provide."""
    licences = {licence.distribution: licence.expression for licence in summary.licences}
    manifest = summary.manifest
    for packed in manifest.distributions:
        yield _packed(packed, licences)
    for extern in sorted(manifest.externs, key=lambda e: (e.soft, e.name)):
        yield _extern(extern)
    for mock in manifest.mocks:
        yield _library(mock, None, None, "mocked", "excluded")


def _packed(packed: PackedDistribution, licences: Mapping[str, str | None]) -> dict[str, Any]:
    component = _library(packed.name, packed.version, packed.version and packed.name, "inside", "required")
    licence = licences.get(packed.name)
    return component | ({"licenses": [_licence(licence)]} if licence else {})


def _extern(extern: Extern) -> dict[str, Any]:
    scope = "optional" if extern.soft else "required"
    return _library(extern.name, extern.version, extern.distribution, "outside", scope)


def _library(
    name: str, version: str | None, distribution: str | None, where: str, scope: str
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "library",
        # A distribution can be inside in part, and outside with its compiled modules.
        "bom-ref": f"{where}:{name}",
        "name": name,
        "scope": scope,
        "properties": _properties(iter([("where", where)])),
    }
    if version is not None:
        found["version"] = version
    if distribution:
        found["purl"] = _purl(distribution, version)
    return found


def _purl(distribution: str, version: str | None) -> str:
    """Return the package URL of a distribution of PyPI.

    >>> _purl("Torch_Geometric", "2.8.1+cu132")
    'pkg:pypi/torch-geometric@2.8.1%2Bcu132'
    """
    name = f"pkg:pypi/{quote(normalised(distribution), safe='')}"
    return name if version is None else f"{name}@{quote(version, safe='')}"


def _licence(text: str) -> dict[str, Any]:
    """Return a licence as an SPDX expression if it is one, else as a name."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        return {"expression": str(canonicalize_license_expression(text))}
    except InvalidLicenseExpression:
        return {"license": {"name": text}}
