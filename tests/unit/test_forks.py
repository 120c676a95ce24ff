"""State of the process: what a forked one must not go on with, and why a copy of the rest is right."""

from __future__ import annotations

import ast
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import run_python
from wardian import forks

_SOURCE = Path(forks.__file__).parent
_OF_NO_FORK = {"forks.py", "capture/runtime.py", "pickling/reducers/process.py"}
"""What makes the locks; what is packed and cannot import it; and what only names their types."""

_COPIED = {
    "the copy has the same cases open, or had": {
        *("loading/open_mounts.py:_" + name for name in ("alone", "mounts", "private", "told", "used")),
        *("loading/reopening.py:_private", "loading/reopening.py:_reopened"),
        *("loading/closing/leftovers.py:_" + name for name in ("left", "lives", "put_off")),
        "loading/stand_ins/externs.py:_used",
    },
    "the copy has the same things registered in libraries, and loaded": {
        *("loading/importing/files.py:_libraries", "loading/importing/files.py:_placed"),
        "loading/registering/installed_modules.py:_registering",
        *("loading/registering/lifetimes.py:" + name for name in ("_definers", "_users", "libraries")),
        *("loading/registering/second_copies.py:_" + name for name in ("before", "implemented", "warned")),
        "tensors/operators.py:_declared",
    },
    "the copy has the same objects": {
        *("capture/runtime.py:_whole", "capture/runtime.py:changed"),
        "loading/closing/leftovers.py:_of_torch_alone",
    },
    "what is remembered follows from its key": {
        *("archive/batches.py:_lasting", "archive/descriptors.py:_function", "archive/digests.py:_blake3"),
        *("capture/homes.py:_importable", "capture/usage.py:find_usage"),
        *("capture/texts.py:_text", "capture/texts.py:_process_start"),
        "domain/manifest.py:_field_names",
        *("environment/distributions.py:_" + name for name in ("current", "forms", "metadata_in")),
        *("environment/distributions.py:_real_folder", "environment/unpacking.py:_unpacked"),
        "loading/importing/libraries.py:_torch_release",
        *("packing/tracing/guards.py:_blocks_of", "packing/tracing/guards.py:_pieces"),
        "packing/tracing/recorder.py:_with_parents",
        *("pickling/reducers/process.py:_known", "pickling/reducers/sharded.py:_known"),
        *("pickling/reducers/state.py:_setting", "pickling/reducers/training.py:_known"),
        *("reading/provided.py:_names_of", "reading/installed.py:_names_in", "source/rewriting.py:_patterns"),
        *(
            "source/locations.py:_as_few",
            "source/remembered.py:_code",
            "source/remembered.py:_facts",
            "source/remembered.py:_kept",
            "source/remembered.py:_mentioned",
            "source/kept_facts.py:_scanner",
            "packing/tracing/ahead.py:_ready",
            "packing/tracing/need.py:_definitions",
            "packing/tracing/need.py:_names",
        ),
        *("tensors/index.py:_dtype_name", "tensors/matching.py:_casts"),
        "tensors/storages.py:_reduces_as_known",
    },
    "the user has been told": {"cli/output.py:_kept", "environment/cache.py:_told"},
    "it is of the thread that has forked": {"loading/registering/second_copies.py:_thread"},
    "a clean process forks for one request, and the copy answers it": {
        *("packing/tracing/in_child.py:_before", "packing/tracing/in_child.py:_begun"),
        *("processes/fence.py:_refused", "processes/fence.py:_watched"),
    },
    "numbers that the parent has given are not given again": {"package/_mangling.py:_numbers"},
    "a file that is removed when the process ends; forks of multiprocessing end without that": {
        "reading/opening.py:_temporary"
    },
    "its key is the number of the process": {"sandbox/launching.py:_lasting_thread"},
    "it is of what was imported": {"packing/proving/in_child.py:_stamps"},
    "it is complete when its module is imported": {
        *("package/importer.py:sys_importer", "pickling/reducers/python.py:_ANSWERS"),
    },
}
"""Reason → state of the process that a fork may copy."""

_MENDED = {
    *("archive/digests.py:_pool_lost", "archive/digests.py:_pool_made"),
    *("loading/registering/second_copies.py:_depth", "loading/registering/second_copies.py:_wrapped"),
    *("processes/templates.py:_templates", "processes/templates.py:_not_ready"),
    "packing/proving/again.py:_last",
    *("forks.py:_acts", "forks.py:_locks"),
}
"""State of modules that say what happens after a fork."""

_CHANGING = {
    *("add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "setdefault"),
    "update",
}
_CONSTANT = {"CDLL", "NewType", "argument", "compile", "import_module", "option", "_find_lightning"}
"""Functions that make no state where they are called for a name in lower case."""
_LOCKS = {"Lock", "RLock", "new_lock", "new_reentrant_lock"}


def _top_statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With | ast.For):
            yield from _top_statements([n for n in ast.iter_child_nodes(node) if isinstance(n, ast.stmt)])


def _called(node: ast.AST | None) -> str:
    function = node.func if isinstance(node, ast.Call) else None
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _state_of(tree: ast.Module) -> Iterator[str]:
    """Yield the names of a module whose values change, or may, as long as the process lives."""
    changed = {name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if method in _CHANGING:
                changed.add(name)
            case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
                changed.add(name)
    for statement in _top_statements(tree.body):
        if isinstance(statement, ast.FunctionDef):
            decorators = " ".join(map(ast.unparse, statement.decorator_list))
            if "lru_cache" in decorators or decorators in ("cache", "functools.cache"):
                yield statement.name
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
        is_made = isinstance(value, ast.Dict | ast.List | ast.Set | ast.Call)
        for name in (target.id for target in targets if isinstance(target, ast.Name)):
            may_change = is_made and name.islower() and not name.startswith("__")
            if _called(value) not in _LOCKS and (
                name in changed or (may_change and _called(value) not in _CONSTANT)
            ):
                yield name


def _trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(_SOURCE.rglob("*.py")):
        yield path.relative_to(_SOURCE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def test_all_state_of_the_process_is_mended_after_a_fork_or_may_be_copied() -> None:
    there = {f"{file}:{name}" for file, tree in _trees() for name in _state_of(tree)}
    known = set().union(*_COPIED.values()) | _MENDED
    assert sorted(there - known) == []
    assert sorted(known - there) == []


def test_every_lock_is_one_that_a_fork_frees() -> None:
    others = [
        f"{file}: {ast.unparse(node)}"
        for file, tree in _trees()
        if file not in _OF_NO_FORK
        for node in ast.walk(tree)
        if _called(node) in ("Lock", "RLock") and ast.unparse(node).startswith("threading.")
    ]
    assert others == []


_FORKED = """
import os, threading
from wardian.forks import after_fork, new_lock, new_reentrant_lock

plain, of_another, own = new_lock(), new_reentrant_lock(), new_reentrant_lock()
held, done, told = threading.Event(), threading.Event(), []

@after_fork
def tell():
    told.append(plain.locked())

def hold():
    with plain, of_another:
        held.set()
        done.wait()

thread = threading.Thread(target=hold, daemon=True)
thread.start()
held.wait()
with own:
    child = os.fork()
    if child == 0:
        assert plain.acquire(timeout=10)
        assert of_another.acquire(timeout=10)
        assert told == [False]
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert told == []
done.set()
thread.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fork_frees_the_locks_of_other_threads_and_keeps_its_own(tmp_path: Path) -> None:
    run_python(_FORKED, folder=tmp_path)


def test_a_lock_is_forgotten_with_what_holds_it() -> None:
    before = len(forks._locks)
    lock = forks.new_lock()
    assert isinstance(lock, type(threading.Lock()))
    assert len(forks._locks) == before + 1
    del lock
    assert len(forks._locks) == before
