"""Tiny projects for tests: written from a tree in one text, loaded where they are not installed."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.interpreters import Process, may_share, start, without_leaks
from tests.private_root import tree
from wardian.archive.writer import ArchiveWriter
from wardian.domain.graph import ImportGraph
from wardian.domain.manifest import (
    FORMAT_VERSION,
    Entry,
    Extern,
    Interpreter,
    Manifest,
    PackedDistribution,
    Platform,
    TensorEntry,
)
from wardian.domain.names import RecordName
from wardian.domain.plan import Plan

SOURCE = Path(__file__).parents[1] / "src"
NOTHING = b"\x80\x04N."
"""The pickle of None."""

MANIFEST = Manifest(
    format=FORMAT_VERSION,
    python=Interpreter(version="3.11.7", implementation="cpython", tag="cpython-311"),
    torch="2.8.0",
    platform=Platform(system="Linux", machine="x86_64"),
    entries=(
        Entry(name="model", record="model/model.pkl", type="builtins.NoneType", test=None, outputs=False),
    ),
    distributions=(),
    externs=(Extern(distribution="torch", version="1.0", modules=("torch",), names=(), soft=False),),
    absent=(),
    mocks=(),
    deferred=(),
    libraries=(),
    materialised=(),
    bytecode_only=(),
    tensors=(),
    records={},
    proof="skipped",
)
"""The manifest of a case without code; change it with `dataclasses.replace`."""

TENSOR = TensorEntry(
    entry="model",
    name="weight",
    record=".data/0.storage",
    dtype="float32",
    shape=(2, 3),
    stride=(3, 1),
    offset=0,
    requires_grad=True,
    kind="parameter",
)
"""A tensor of 24 bytes."""

PLAN = Plan(
    entry="model",
    decisions=(),
    files=(),
    distributions=(),
    externs=(),
    indirect=(),
    absent=(),
    mocks=(),
    deferrable=(),
    materialised=(),
    libraries=(),
    operators=(),
    loaded=frozenset(),
    bytecode_only=(),
    left_out=(),
    metadata={},
    graph=ImportGraph([]),
)
"""The plan of a case without code."""


def files_of(text: str) -> dict[str, str]:
    """Return the files of *text*, in which `--- path` stands above each; each ends with one newline."""
    return {name: content.strip("\n") + "\n" for name, content in tree(text).items()}


def write_tree(folder: Path, text: str) -> Path:
    """Write the files of *text* (see `files_of`); return *folder*."""
    for name, content in files_of(text).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder


def write_case(
    target: Path,
    sources: str | Mapping[str, str | bytes] = "",
    *,
    pickle: bytes = NOTHING,
    storages: tuple[bytes, ...] = (),
    **facts: Any,
) -> Path:
    """Write a case of *sources* without packing anything; *facts* replace those of `MANIFEST`.

    The top-level names of the sources count as packed first-party code unless *facts* say otherwise.
    """
    files = files_of(sources) if isinstance(sources, str) else sources
    roots = sorted({name.partition("/")[0].removesuffix(".py") for name in files if not name.startswith(".")})
    first_party = PackedDistribution(name="first-party", version=None, roots=tuple(roots))
    manifest = replace(MANIFEST, distributions=(first_party,) if roots else ())
    manifest = replace(manifest, **facts)
    with ArchiveWriter(target) as archive:
        for content in storages:
            archive.add_storage(memoryview(content), len(content))
        archive.add(RecordName("model/model.pkl"), pickle)
        for name, source in files.items():
            archive.add(RecordName(name), source if isinstance(source, bytes) else source.encode())
        archive.finish(
            lambda digests: replace(manifest, records={str(k): v for k, v in digests.items()}).to_json()
        )
        archive.publish()
    return target


@contextmanager
def importable(*folders: Path) -> Iterator[Callable[[str], Any]]:
    """Put *folders* on `sys.path`; afterwards forget all that came from them. Yields `import_module`."""
    before = set(sys.modules)
    entries = [str(folder) for folder in folders]
    sys.path[:0] = entries
    importlib.invalidate_caches()
    try:
        yield importlib.import_module
    finally:
        sys.path[:] = [entry for entry in sys.path if entry not in entries]
        new = [name for name in sys.modules if name not in before]
        for name in [name for name in new if _comes_from(sys.modules[name], entries)]:
            del sys.modules[name]


def _comes_from(module: Any, folders: list[str]) -> bool:
    own = vars(module)  # `torch.classes` has whatever it is asked for
    places = [own.get("__file__") or "", *(own.get("__path__") or ())]
    return any(place.startswith(folder + os.sep) for place in places for folder in folders)


def start_python(
    script: str,
    *arguments: object,
    folder: Path,
    paths: tuple[Path, ...] = (),
    isolated: bool = False,
    **environment: str,
) -> subprocess.Popen[str] | Process:
    """Start a new process that knows this repository's `src` and *paths*, and no project of a test.

    Args:
        script: The code it runs.
        arguments: Its `sys.argv[1:]`.
        folder: Where it starts, and where its cache is.
        paths: What else it can import from.
        isolated: Start an interpreter; see `tests.interpreters`.
        environment: Changes to the environment variables, for which an interpreter is started.
    """
    variables = without_leaks(os.environ) | {
        "PYTHONPATH": os.pathsep.join(map(str, (SOURCE, *paths))),
        "WARDIAN_CACHE": str(folder / "cache"),
        **environment,
    }
    words = ["-c", textwrap.dedent(script), *map(str, arguments)]
    if not isolated and not environment and may_share(variables):
        return start(words, folder=folder, environment=variables, flags=["-P"])
    return subprocess.Popen(
        [sys.executable, "-P", *words],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str] | Process) -> str:
    """Wait for a process of `start_python`; return what it printed, or fail with what went wrong."""
    out, err = process.communicate()
    assert process.returncode == 0, f"the process ended with {process.returncode}:\n{out}\n{err}"
    return out


def run_python(
    script: str,
    *arguments: object,
    folder: Path,
    paths: tuple[Path, ...] = (),
    isolated: bool = False,
    **environment: str,
) -> str:
    """Run *script* in a new process and return what it printed; see `start_python`."""
    return finish(
        start_python(script, *arguments, folder=folder, paths=paths, isolated=isolated, **environment)
    )


def ends(process: int) -> bool:
    """Wait until a process that is no child of this one has ended, and `init` has its status or may ask."""
    while True:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):  # it was opened, and could not be read any more
            return True
        if state == "Z":
            return True
        os.sched_yield()


def answers_of(features: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """Call every feature; what one raises is its answer, as a traceback."""
    answers: dict[str, Any] = {}
    for name, feature in features.items():
        try:
            answers[name] = feature()
        except Exception:  # noqa: BLE001  one broken feature must not hide the others
            answers[name] = traceback.format_exc()
    return json.loads(json.dumps(answers))  # type: ignore[no-any-return]


def ask(case: Path, *, folder: Path, paths: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Load *case*, a model with a table `features`, in a new process and return the answer of each."""
    script = """
        import json, sys, traceback
        import wardian
        model = wardian.load(sys.argv[1])
        answers = {}
        for name, feature in model.features.items():
            try:
                answers[name] = feature()
            except Exception:
                answers[name] = traceback.format_exc()
        print(json.dumps(answers))
    """
    printed = run_python(script, case, folder=folder, paths=paths)
    return json.loads(printed.splitlines()[-1])  # type: ignore[no-any-return]
