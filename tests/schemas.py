"""JSON schemas, apart from `tests.support`, with which some tests pack what they have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def validator_of(schema: Mapping[str, Any]) -> Any:
    """Return what checks documents against a JSON schema."""
    import jsonschema  # it may take seconds, and each process collects all tests

    return jsonschema.Draft202012Validator(schema)
