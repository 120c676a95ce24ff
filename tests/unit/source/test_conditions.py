"""Conditions that are known before the code runs."""

from __future__ import annotations

import ast

import pytest

from wardian.source.conditions import truth


@pytest.mark.parametrize(
    ("test", "value"),
    [
        ("0", False),
        ("'x'", True),
        ("TYPE_CHECKING", False),
        ("CHECKING", False),
        ("typing.TYPE_CHECKING", False),
        ("not TYPE_CHECKING", True),
        ("not fast", None),
        ("fast", None),
        ("fast and TYPE_CHECKING", False),
        ("fast and not TYPE_CHECKING", None),
        ("True and not TYPE_CHECKING", True),
        ("fast or 1", True),
        ("fast or 0", None),
        ("0 or TYPE_CHECKING", False),
    ],
)
def test_a_value_is_known_if_it_is_the_same_whatever_happens(test: str, value: bool | None) -> None:
    assert truth(ast.parse(test, mode="eval").body, {"TYPE_CHECKING", "CHECKING"}) is value
