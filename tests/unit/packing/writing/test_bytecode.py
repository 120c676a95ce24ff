"""The bytecode that comes along, and what its header says."""

from __future__ import annotations

import importlib.util
import marshal
import sys
import types
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support import PLAN
from wardian.domain.decisions import PackedFile
from wardian.domain.manifest import PackedDistribution
from wardian.domain.names import ModuleName, record_name
from wardian.packing.writing.bytecode import compiled_modules, is_library, without_path

UNCHECKED = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little")


def _file(record: str, module: str | None, distribution: str | None = None) -> PackedFile:
    return PackedFile(
        record_name(record), "", 0, None if module is None else ModuleName(module), distribution
    )


def _compiled(*sources: tuple[str, str | None, bytes], loaded: tuple[str, ...]) -> dict[str, bytes]:
    plan = replace(PLAN, loaded=frozenset(map(ModuleName, loaded)))
    files = {_file(record, module): source for record, module, source in sources}
    return {str(record): data for record, data in compiled_modules(plan, files, frozenset({"elm"}))}


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def test_only_modules_that_run_and_that_compile_have_bytecode() -> None:
    tag = sys.implementation.cache_tag
    found = _compiled(
        ("elm/__init__.py", "elm", b"RINGS = 3\n"),
        ("elm/unused.py", "elm.unused", b""),
        ("elm/newer.py", "elm.newer", b"match = (\n"),
        ("elm/data.json", None, b"{}"),
        ("elm/oak.py", "elm.oak", b""),
        loaded=("elm", "elm.newer", "elm.oak"),
    )
    assert list(found) == [f".wardian/bytecode/{tag}/elm/{name}.pyc" for name in ("__init__", "oak")]


def test_bytecode_is_unchecked_and_of_the_source() -> None:
    source = b"RINGS = 3\n"
    (data,) = _compiled(("elm.py", "elm", source), loaded=("elm",)).values()
    assert data[:16] == UNCHECKED + importlib.util.source_hash(source)
    made: dict[str, object] = {}
    exec(marshal.loads(data[16:]), made)
    assert made["RINGS"] == 3


def test_bytecode_without_source_names_its_record_and_no_path_of_the_packer() -> None:
    code = compile("def act():\n    return lambda: 1\n", "/home/me/elm/bark.py", "exec")
    record = ".wardian/bytecode/cpython-311/elm/bark.pyc"
    data = without_path(bytes(16) + marshal.dumps(code), record, of_distribution=False)
    assert data[:16] == UNCHECKED + bytes(8)
    assert b"/home/me" not in data
    assert [code.co_filename for code in _codes(marshal.loads(data[16:]))] == ["elm/bark.py"] * 3


def _has_columns(code: types.CodeType) -> bool:
    return any(column is not None for _, _, column, _ in code.co_positions())


LIBRARY = PackedDistribution(name="elm", version="1.0", roots=("elm",))
OWN = PackedDistribution(name="first-party", version=None, roots=("elm",))


# What a library has rendered beside its own modules is of nobody, and of the library when it is packed again.
@pytest.mark.parametrize(
    ("packed", "has_columns"), [((OWN,), True), ((LIBRARY,), False), ((LIBRARY, OWN), True)]
)
def test_only_code_of_the_user_has_columns(packed: tuple[PackedDistribution, ...], has_columns: bool) -> None:
    source = b"def act(x):\n    return lambda: x.y.z\n"
    plan = replace(PLAN, loaded=frozenset({ModuleName("elm")}), distributions=packed)
    sources = {_file("elm.py", "elm", "elm"): source}
    ((_, data),) = compiled_modules(plan, sources, frozenset({"elm"}))
    path = bytes(16) + marshal.dumps(compile(source, "elm.py", "exec"))
    library = is_library(plan, ModuleName("elm"))
    bare = without_path(path, ".wardian/bytecode/x/elm.pyc", of_distribution=library)
    for made in (data, bare):
        codes = list(_codes(marshal.loads(made[16:])))
        assert [_has_columns(code) for code in codes] == [has_columns] * 3
        assert codes[2].co_firstlineno == 2
