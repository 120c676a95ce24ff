"""A proof begins with the externs of the last one only if nothing but weights and notes is another."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from tests.support import MANIFEST, run_python, write_tree
from wardian.domain.digests import RecordDigest
from wardian.domain.manifest import Extern, Manifest
from wardian.domain.names import RecordName
from wardian.packing.proving import again
from wardian.packing.proving.again import find_last, note_proven
from wardian.processes.clean import Start
from wardian.processes.folders import WorkFolder

START = Start("shed.prepare")
CODE, WEIGHTS = RecordName("grove/oak.py"), RecordName(".data/0.storage")


def _digest(of: str) -> RecordDigest:
    return RecordDigest(size=3, algorithm="sha256", hex=of * 64)


PROVEN = replace(MANIFEST, records={**MANIFEST.records, CODE: _digest("a"), WEIGHTS: _digest("b")})


@pytest.fixture(autouse=True)
def _nothing_before() -> Iterator[None]:
    before = again._last[:]
    again._last.clear()
    yield
    again._forget()
    again._last[:] = before


def proven(manifest: Manifest, allow: tuple[str, ...], start: Start, externs: list[str]) -> WorkFolder:
    """Note a proof; return the folder of its files."""
    files = WorkFolder()
    note_proven(manifest, allow, start, externs, files, "0" * 64)
    return files


def test_nothing_is_known_before_a_proof_has_passed() -> None:
    assert find_last(PROVEN, ()) is None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"records": {**PROVEN.records, WEIGHTS: _digest("c")}},
        {"metadata": {"epoch": "2"}},
        {"tensors": ()},
    ],
)
def test_other_weights_and_notes_begin_with_the_same_externs(changes: dict[str, Any]) -> None:
    files = proven(PROVEN, (), START, ["shop", "shop.till"])
    found = find_last(replace(PROVEN, **changes), ())
    assert found is not None
    assert found.further.arguments["externs"] == ("shop", "shop.till")
    assert found.take_files() is files


@pytest.mark.parametrize(
    "changes",
    [
        {"records": {**PROVEN.records, CODE: _digest("c")}},
        {"records": {**PROVEN.records, RecordName("grove/ash.py"): _digest("a")}},
        {"externs": (Extern(distribution="shop", version="2", modules=("shop",), names=(), soft=False),)},
        {"deferred": ("grove",)},
        {"absent": ("grove",)},
    ],
)
def test_other_code_and_other_needs_are_proven_anew(changes: dict[str, Any]) -> None:
    proven(PROVEN, (), START, ["shop"])
    assert find_last(replace(PROVEN, **changes), ()) is None


def test_what_is_allowed_otherwise_is_proven_anew() -> None:
    proven(PROVEN, (), START, ["shop"])
    assert find_last(PROVEN, ("processes",)) is None


def test_only_the_last_proof_is_remembered() -> None:
    proven(PROVEN, (), START, ["shop"])
    proven(replace(PROVEN, deferred=("grove",)), (), START, ["shop"])
    assert find_last(PROVEN, ()) is None


def test_files_are_there_until_another_proof_is_the_last_one() -> None:
    first = proven(PROVEN, (), START, ["shop"])
    note_proven(PROVEN, (), START, ["shop"], first, "1" * 64)  # of the next epoch
    assert first.path.is_dir()
    second = proven(replace(PROVEN, deferred=("grove",)), (), START, ["shop"])
    assert not first.path.exists()
    assert second.path.is_dir()
    again._forget()  # when the process ends
    assert not second.path.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_copy_of_the_process_leaves_the_files_alone() -> None:
    files = proven(PROVEN, (), START, ["shop"])
    child = os.fork()
    if child == 0:
        knows = find_last(PROVEN, ()) is not None
        again._forget()
        os._exit(knows)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert files.path.is_dir()


def test_files_whose_folder_was_cleaned_up_are_no_more() -> None:
    files = proven(PROVEN, (), START, ["shop"])
    shutil.rmtree(files.path)
    files.path.mkdir(0o700)  # by somebody else, or by who made its parts anew
    found = find_last(PROVEN, ())
    assert found is not None
    assert found.take_files() is None
    files.path.rmdir()


def prove_in_a_child(folder: Connection) -> None:
    files = proven(PROVEN, (), START, ["shop"])
    found = find_last(PROVEN, ())
    folder.send((str(files.path), found is not None and found.take_files() is None))


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_what_ends_without_the_end_of_python_keeps_no_files(method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("no forks here")
    context: Any = multiprocessing.get_context(method)
    mine, theirs = context.Pipe(duplex=False)
    child = context.Process(target=prove_in_a_child, args=(theirs,))
    child.start()
    path, is_remembered_without_files = mine.recv()
    child.join()
    assert is_remembered_without_files
    assert not os.path.exists(path)


def test_where_no_extern_was_imported_nothing_is_begun_with() -> None:
    proven(PROVEN, (), START, [])
    assert find_last(PROVEN, ()) is None


_BEFOREHAND = """
import sys
from wardian.packing.proving.in_child import import_externs, prove_in_child

allowed = {"roots": ["shop"], "distributions": []}
request = {"allowed": allowed, "externs": ["shop"], "path": "", "cache": "cache", "files_of": None}
import_externs(request)
print(sys.modules["shop"].price)
open(sys.modules["shop"].__file__, "a").close()
try:
    print(prove_in_child(request))
except OSError:
    print("as before")
open(sys.modules["shop"].__file__, "a").write("price = 3")
print(prove_in_child(request))
"""


def test_a_process_whose_files_have_changed_says_that_it_is_outdated(tmp_path: Path) -> None:
    folder = write_tree(tmp_path, "--- shop.py\nprice = 2\n")
    told = run_python(_BEFOREHAND, folder=tmp_path, paths=(folder,)).splitlines()
    assert told == ["2", "as before", "{'outdated': True}"]
