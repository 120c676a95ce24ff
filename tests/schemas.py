"""JSON schemas, apart from `tests.support`, with which some tests pack what they have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def validator_of(schema: Mapping[str, Any]) -> Any:
    """Return what checks documents against a JSON schema."""
    import jsonschema  # it may take seconds, and each process collects all tests

    return jsonschema.Draft202012Validator(schema)


def find_error_in_bill(text: str) -> Any:
    """Return what CycloneDX's validator has against a bill of materials; None if that is valid."""
    from cyclonedx.schema import SchemaVersion  # it brings jsonschema
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
