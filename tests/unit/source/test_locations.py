"""Code without columns is as an interpreter compiles it that notes none."""

from __future__ import annotations

import asyncio
import contextlib
import dis
import email
import itertools
import json
import marshal
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import run_python
from wardian.source import locations
from wardian.source.locations import without_columns
from wardian.source.rewriting import dump_code

LONG = """
def far(x):
    y = [x,

         {wide},
    ]; z = (
        x
    )
    for i in y:
        try:
            return i{wide}
        except ValueError: continue
        finally:
            x.y.z(i)(
            i)
""".replace("{wide}", " + x" * 60)

COMPILER = """
    import sys
    from pathlib import Path
    from wardian.source.rewriting import dump_code

    for name in sys.argv[1:]:
        print(dump_code(compile(Path(name).read_bytes(), "m.py", "exec", dont_inherit=True)).hex())
"""


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _sources(folder: Path) -> list[Path]:
    (folder / "long.py").write_text(LONG)
    (folder / "empty.py").write_text("")
    packages = [Path(module.__file__ or "").parent for module in (asyncio, email, json)]
    return [
        folder / "long.py",
        folder / "empty.py",
        *(p for each in packages for p in sorted(each.glob("*.py"))),
    ]


def _without_table(code: types.CodeType) -> bytes:
    constants = tuple(c for c in code.co_consts if not isinstance(c, types.CodeType))
    return dump_code(code.replace(co_linetable=b"", co_consts=constants))


def test_it_answers_as_what_an_interpreter_compiles_that_notes_no_columns(tmp_path: Path) -> None:
    sources = _sources(tmp_path)
    told = run_python(COMPILER, *sources, folder=tmp_path, isolated=True, PYTHONNODEBUGRANGES="1").split()
    for source, theirs in zip(sources, told, strict=True):
        ours = without_columns(compile(source.read_bytes(), "m.py", "exec", dont_inherit=True))
        known = marshal.loads(bytes.fromhex(theirs))
        for one, other in zip(_codes(ours), _codes(known), strict=True):
            assert list(one.co_positions()) == list(other.co_positions()), (source, one)
            assert list(dis.findlinestarts(one)) == list(dis.findlinestarts(other))
            assert _without_table(one) == _without_table(other)
        assert len(dump_code(ours)) <= len(bytes.fromhex(theirs))


def test_tracing_shows_the_same_lines() -> None:
    code = compile(LONG + "far(1 if A\n  else 2)\n", "m.py", "exec")
    seen: dict[bool, list[int]] = {True: [], False: []}
    for is_bare, run in enumerate((code, without_columns(code))):

        def trace(frame: types.FrameType, event: str, argument: object, is_bare: int = is_bare) -> Any:
            if frame.f_code.co_filename == "m.py":
                seen[bool(is_bare)].append(frame.f_lineno)
                return trace
            return None

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            with contextlib.suppress(AttributeError):
                exec(run, {"A": 1})
        finally:
            sys.settrace(before)
    assert seen[True] == seen[False]
    assert len(seen[True]) > 5


def test_lines_stay_and_columns_go() -> None:
    for before in _codes(compile(LONG, "m.py", "exec")):
        after = without_columns(before)
        assert list(dis.findlinestarts(after)) == list(dis.findlinestarts(before))
        assert {(first, last) for _, _, first, last in after.co_positions()} == {(None, None)}


def test_code_without_columns_stays() -> None:
    code = without_columns(compile(LONG, "m.py", "exec"))
    assert dump_code(without_columns(code)) == dump_code(code)


def _number(value: int) -> bytes:
    digits = []
    while value > 0x3F:
        digits.append(value & 0x3F | 0x40)
        value >>= 6
    return bytes([*digits, value])


_NUMBERS = st.integers(0, 1 << 20).map(_number)
_COLUMN = st.integers(0, 0x7F)


def _entry(kind: int, length: int, *rest: bytes) -> bytes:
    return bytes([0x80 | kind << 3 | length]) + b"".join(rest)


@st.composite
def _entries(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Draw an entry of a table, and what it is without columns: see Objects/locations.md of CPython."""
    kind, length = draw(st.integers(0, 15)), draw(st.integers(0, 7))
    if kind < 10:
        return _entry(kind, length, bytes([draw(_COLUMN)])), _entry(13, length, b"\0")
    if kind < 13:
        further = bytes([(kind - 10) << 1])
        return _entry(kind, length, bytes([draw(_COLUMN), draw(_COLUMN)])), _entry(13, length, further)
    if kind == 15:
        return _entry(kind, length), _entry(kind, length)
    further = draw(_NUMBERS)
    rest = [draw(_NUMBERS) for _ in range(3)] if kind == 14 else []
    return _entry(kind, length, further, *rest), _entry(13, length, further)


def _split(table: bytes) -> list[tuple[int, bytes]]:
    """Return of each entry how many units it is of, and by how many lines the line is further."""
    return [((entry[0] & 7) + 1, entry[1:]) for entry in re.findall(rb"[\x80-\xff][\x00-\x7f]*", table)]


def _of_units(table: bytes) -> list[bytes | None]:
    return [
        by if not number else b"\0" if by else None for units, by in _split(table) for number in range(units)
    ]


@given(st.lists(_entries()))
def test_each_kind_of_entry_keeps_its_units_and_its_line(entries: list[tuple[bytes, bytes]]) -> None:
    code = compile("x = 1", "m.py", "exec").replace(co_linetable=b"".join(before for before, _ in entries))
    found = without_columns(code).co_linetable
    assert {byte >> 3 for byte in found if byte >= 0x80} <= {0x80 + 13 * 8 >> 3, 0x80 + 15 * 8 >> 3}
    expected = b"".join(after for _, after in entries)
    assert [by or None for by in _of_units(found)] == [by or None for by in _of_units(expected)]
    # No two could be one.
    assert not any(
        after == b"\0" and by and units < 8 for (units, by), (_, after) in itertools.pairwise(_split(found))
    )


@given(st.binary(max_size=40))
def test_a_damaged_table_does_not_fail(table: bytes) -> None:
    without_columns(compile("x = 1", "m.py", "exec").replace(co_linetable=table))


def test_a_table_of_another_form_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locations, "_IS_KNOWN", False)
    code = compile(LONG, "m.py", "exec")
    assert without_columns(code) is code


def test_the_form_is_known_to_the_interpreters_that_are_tested() -> None:
    assert locations._IS_KNOWN is (sys.implementation.name == "cpython" and sys.version_info < (3, 15))
