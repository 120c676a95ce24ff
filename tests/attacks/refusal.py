"""What the attacks share: a harmless record, the fields of headers by number, and what a refusal is."""

from __future__ import annotations

import pytest

from tests import archives
from tests.archives import Forged
from wardian.errors import CorruptCaseError

HARMLESS = Forged(b"case/mylib/models.py", b"class ResNet: ...\n")

# Numbers of fields in headers, as `Forged` wants them.
LOCAL_VERSION, LOCAL_FLAGS, LOCAL_METHOD, LOCAL_DATE, LOCAL_CRC, LOCAL_PACKED, LOCAL_SIZE = (
    1,
    2,
    3,
    5,
    6,
    7,
    8,
)
CENTRAL_SYSTEM, CENTRAL_FLAGS, CENTRAL_CRC, CENTRAL_SIZE, CENTRAL_COMMENT, CENTRAL_DISK = 1, 3, 7, 9, 12, 13
CENTRAL_EXTERNAL, CENTRAL_OFFSET = 15, 16


def refuse(data: bytes, words: str, record: str | None = None) -> None:
    """Expect that reading *data* fails with *words*, and names *record*."""
    with pytest.raises(CorruptCaseError, match=words) as caught:
        archives.contents(data)
    assert caught.value.record == record
