from __future__ import annotations

import os

import pytest

from wardian.loading.given import given
from wardian.processes.starting import CASES_VARIABLE, MARKER_VARIABLE


@pytest.mark.parametrize(
    "places",
    [
        (),
        ("/models/net.case",),
        ("net.case", "other.case"),
        ("s3://models/net.case", "/mnt/net.case"),
        ("https://models.example:8080/net.case", "hf://me/net/model.case", "other.case"),
    ],
)
def test_places_are_separated_as_in_path(places: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CASES_VARIABLE, os.pathsep.join(places))
    assert given() == places


def test_a_clean_process_is_given_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CASES_VARIABLE, "/models/net.case")
    monkeypatch.setenv(MARKER_VARIABLE, "1")
    assert given() == ()
