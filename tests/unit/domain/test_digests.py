"""A digest is a value: what is equal in all parts is the same record."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from wardian.domain.digests import RecordDigest


def test_digests_are_equal_in_all_parts_or_differ_and_do_not_change() -> None:
    digest = RecordDigest(3, "sha256", "0" * 64)
    assert {digest, RecordDigest(3, "sha256", "0" * 64)} == {digest}
    others = {replace(digest, size=4), replace(digest, algorithm="blake3"), replace(digest, hex="1" * 64)}
    assert len({digest, *others}) == 4
    with pytest.raises(FrozenInstanceError):
        digest.size = 4  # type: ignore[misc]
