"""What marshalled code claims is checked before `marshal` believes it; code that is shared is read once."""

from __future__ import annotations

import inspect
import json
import marshal
from pathlib import Path
from types import CodeType

import pytest

from wardian.inspection.bytecode import units_of_bytecode
from wardian.inspection.marshalled import check_marshalled

CONSTANTS = "x = (1, -2**40, 2**100, 1.5, 2j, ..., None, True, 'é', b'b', 'a' * 999, (1, (2,))), 3 in {4, 5}"


def _compile(source: str) -> CodeType:
    return compile(source, "m.py", "exec")


@pytest.mark.parametrize(
    "source", [CONSTANTS, Path(inspect.getfile(json.JSONDecoder)).read_text(), Path(__file__).read_text()]
)
def test_code_passes(source: str) -> None:
    check_marshalled(marshal.dumps(_compile(source)))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"(\xff\xff\xff\x7f",  # marshal.loads would allocate 16 GB
        b"[\xff\xff\xff\x07",
        b"(\x01\x00\x00\x00" * 1000 + b"N",
        b"s\xff\xff\xff\xff",
        b"l\x00\x00\x00\x80",
        b"r\x07",
        b"{NN",
        b"?",
        marshal.dumps(_compile("x = 1"))[:-1],
    ],
)
def test_what_claims_more_than_it_has_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^it is|^it has"):
        check_marshalled(data)
    with pytest.raises(ValueError, match="is no bytecode"):
        units_of_bytecode(bytes(16) + data, "yew", "yew.pyc")


def test_code_that_is_there_twice_at_each_level_is_read_once() -> None:
    code = _compile("import os")
    for level in range(40):
        code = code.replace(co_consts=(code, code), co_name=f"f{level}", co_flags=inspect.CO_OPTIMIZED)
    found = units_of_bytecode(bytes(16) + marshal.dumps(code), "yew", "yew.pyc")
    assert len(found.units) <= 41
