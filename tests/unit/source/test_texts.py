"""Texts that are known before the code runs."""

from __future__ import annotations

import ast

import pytest

from wardian.source.texts import KnownTexts

TEXTS = KnownTexts("nets.oak", "nets")


@pytest.mark.parametrize(
    ("source", "text", "beginning"),
    [
        ("'nets.elm'", "nets.elm", "nets.elm"),
        ("__name__", "nets.oak", "nets.oak"),
        ("__package__ + '.' + 'elm'", "nets.elm", "nets.elm"),
        ("'nets.' + name", None, "nets."),
        ("'nets.' + name + '.leaf'", None, "nets."),
        ("f'{__package__}.elm'", "nets.elm", "nets.elm"),
        ("f'{__package__}.{name}.leaf'", None, "nets."),
        ("f'{__name__!r}'", None, ""),
        ("name", None, ""),
        ("b'nets'", None, ""),
    ],
)
def test_constants_and_the_own_name_are_known(source: str, text: str | None, beginning: str) -> None:
    node = ast.parse(source, mode="eval").body
    assert TEXTS.text(node) == text
    assert TEXTS.beginning(node) == beginning


def test_an_argument_that_is_not_there_is_not_known() -> None:
    assert TEXTS.text(None) is None
    assert TEXTS.beginning(None) == ""
