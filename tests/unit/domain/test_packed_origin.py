"""Open cases as places that packed modules come from."""

from __future__ import annotations

import pytest

from wardian.domain.packed_origin import PackedOrigin

ORIGIN = PackedOrigin(
    path="fern.case",
    module_prefix="wardian.live.fern_3f9a2c1b.",
    roots=frozenset({"meadow"}),
    modules={},
    versions={},
    files={},
    metadata={},
    absent=(),
    materialised=(),
)


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("wardian.live.fern_3f9a2c1b.meadow.soil", "meadow.soil"),
        ("wardian.live.fern_3f9a2c1b.torch", None),
        ("wardian.live.moss_3f9a2c1b.meadow", None),
        ("meadow.soil", None),
    ],
)
def test_the_own_name_of_a_module_is_one_that_the_case_serves(name: str, own: str | None) -> None:
    assert ORIGIN.original(name) == own
