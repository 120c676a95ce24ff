"""Whether the code that is running would go on without what it asks for."""

from __future__ import annotations

import ast
import dis
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import importable, write_tree
from wardian.packing.tracing import guards
from wardian.packing.tracing.guards import (
    IMPORTS,
    METADATA,
    Seen,
    _cover,
    _covered,
    _handles_all,
    _pieces_of,
    find_handler,
)

PROJECT = """
--- hedge.py
from contextlib import suppress

def bare(ask):
    return ask()

def handled(ask):
    try:
        return ask()
    except (ImportError, KeyError):
        return None

def of_metadata(ask):
    try:
        return ask()
    except PackageNotFoundError:
        return None

def raised_again(ask):
    try:
        return ask()
    except ImportError as error:
        raise RuntimeError("install it") from error

def of_another_kind(ask):
    try:
        return ask()
    except OSError:
        return None

def suppressed(ask):
    with suppress(Exception):
        return ask()

def in_a_handler(ask):
    try:
        raise ImportError
    except ImportError:
        return ask()

def by_a_caller(ask):
    try:
        return bare(ask)
    except:
        return None

try:
    def defined_in_a_try(ask):
        return ask()
except ImportError:
    pass
"""


@pytest.mark.parametrize(
    ("function", "imports", "metadata"),
    [
        ("bare", False, False),
        ("handled", True, True),
        ("of_metadata", False, True),
        ("raised_again", False, False),
        ("of_another_kind", False, False),
        ("suppressed", True, True),
        ("in_a_handler", False, False),
        ("by_a_caller", True, True),
        ("defined_in_a_try", False, False),
    ],
)
def test_it_is_handled_where_a_try_names_the_error_and_goes_on(
    function: str, imports: bool, metadata: bool, tmp_path: Path
) -> None:
    found: list[bool] = []

    until = sys._getframe()  # what calls this test handles everything

    def ask() -> None:
        frame = sys._getframe(1)
        found.extend(find_handler(frame, errors, until) is not None for errors in (IMPORTS, METADATA))

    with importable(write_tree(tmp_path, PROJECT)) as load:
        getattr(load("hedge"), function)(ask)
    assert found == [imports, metadata]


_STEPS = """
--- mower.py
def call(*steps):
    return steps[0](*steps[1:])

def handled(*steps):
    try:
        return steps[0](*steps[1:])
    except ImportError:
        return None

def twice(*steps):
    steps[0](*steps[1:])
    try:
        return steps[0](*steps[1:])
    except ImportError:
        return None

def generated(step, *steps):
    yield step(*steps)
    yield step(*steps)

def iterated(*steps):
    going = generated(*steps)
    next(going)
    try:
        next(going)
    except ImportError:
        pass
"""


@given(st.lists(st.sampled_from(["call", "handled", "twice", "iterated"]), max_size=6))
def test_what_earlier_searches_have_seen_changes_nothing(mower: Any, names: list[str]) -> None:
    seen = Seen()
    until = sys._getframe()

    def ask() -> None:
        frame = sys._getframe(1)
        for errors in (IMPORTS, METADATA, frozenset({"OSError"})):
            assert find_handler(frame, errors, until, seen) is find_handler(frame, errors, until)
        stack = []
        at: Any = frame
        while at is not None:
            stack.append(at)
            at = at.f_back
        # Nothing is held that has ended, and what is held is in the order of the stack.
        assert [at for at in reversed(stack) if at in seen.frames] == list(seen.frames)

    mower.call(*(getattr(mower, name) for name in names), ask)


@pytest.fixture(scope="module")
def mower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with importable(write_tree(tmp_path_factory.mktemp("mower"), _STEPS)) as load:
        yield load("mower")


def test_who_calls_a_frame_is_looked_at_once_while_it_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def noted(frame: Any, *rest: Any) -> bool:
        looked.append(frame.f_code.co_name)
        return handles(frame, *rest)

    handles = guards._handles
    monkeypatch.setattr(guards, "_handles", noted)
    seen, until = Seen(), sys._getframe()

    def ask() -> None:
        assert find_handler(sys._getframe(1), IMPORTS, until, seen)

    with importable(write_tree(tmp_path, _STEPS)) as load:
        mower = load("mower")
        mower.handled(mower.twice, ask)
    # `twice` is looked at each time it asks, and the one above only for the first time.
    assert looked == ["twice", "handled", "twice"]


def test_the_table_of_handlers_is_read_as_the_interpreter_reads_it() -> None:
    def nested(ask: Any) -> Any:
        with suppress(KeyError):
            for item in ask:
                try:
                    item()
                except ValueError:
                    ask = [x for x in item if x]
                finally:
                    print(item)
        return ask

    parse: Any = vars(dis)["_parse_exception_table"]
    for code in (nested.__code__, sys.modules["dis"].dis.__code__, ast.parse.__code__):
        entries = [(entry.start, entry.end) for entry in parse(code)]
        for offset in range(0, len(code.co_code), 2):
            covered = any(start <= offset < end for start, end in entries)
            assert _cover(list(_covered(code)), offset) is covered


def test_only_code_that_may_handle_an_error_of_imports_is_looked_at() -> None:
    def of_another_kind(ask: Any) -> Any:
        with open(ask) as file:
            try:
                return file.read()
            except OSError:
                return None

    def handled(ask: Any) -> Any:
        try:
            return ask()
        except ImportError:
            return None

    frame = sys._getframe()
    assert _pieces_of(of_another_kind.__code__, frame) == ()
    assert _pieces_of(handled.__code__, frame)


@pytest.mark.parametrize("line", ["except:", "    except :  # all", "except \\", "\texcept"])
def test_a_handler_of_all_errors_names_none(line: str) -> None:
    assert _handles_all(line)


@pytest.mark.parametrize("line", ["except OSError:", "# except:", "exception: int", "except* ValueError:"])
def test_other_lines_are_no_handler_of_all_errors(line: str) -> None:
    assert not _handles_all(line)
