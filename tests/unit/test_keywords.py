"""A keyword argument that is not there is told with the one that may have been meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from wardian.keywords import knowing_keywords, unknown_keyword


@knowing_keywords
def prune(tree: str, *, height: int = 1, shape: str = "round") -> str:
    """Cut a tree."""
    return f"{tree} {height} {shape}"


def test_what_is_known_goes_through_and_the_signature_stays() -> None:
    assert prune("oak", height=2) == prune(tree="oak", height=2) == "oak 2 round"
    assert list(inspect.signature(prune).parameters) == ["tree", "height", "shape"]
    assert prune.__doc__ == "Cut a tree."


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda cut: cut("oak", heihgt=2), "wardian.prune has no argument heihgt; near to it: height"),
        (
            lambda cut: cut("oak", colour=2),
            "wardian.prune has no argument colour; it has height, shape, tree",
        ),
        (lambda cut: cut(), "missing 1 required positional argument: 'tree'"),
    ],
)
def test_what_is_not_is_told_with_what_is_near(call: Callable[[Any], Any], told: str) -> None:
    with pytest.raises(TypeError, match=told):
        call(prune)


def test_the_error_names_what_the_user_called() -> None:
    assert (
        str(unknown_keyword("f", "metdata", ["metadata"]))
        == "f has no argument metdata; near to it: metadata"
    )


def test_what_has_no_keywords_is_not_taken() -> None:
    with pytest.raises(TypeError, match="keyword-only"):
        knowing_keywords(len)
