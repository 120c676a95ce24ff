"""Runs what the documents claim: blocks of Python and shell, outputs shown, examples in docstrings."""

from __future__ import annotations

import compileall
import gc
import importlib.util
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

# Until all tests are collected. Tests, and libraries that are plug-ins of pytest, are compiled with asserts
# that tell more; where processes may write no bytecode, each did so for itself, a third of that time.
_MAY_WRITE_BYTECODE = not sys.dont_write_bytecode
sys.dont_write_bytecode = False
# Nor does the collector look meanwhile: what is collected is no garbage.
gc.disable()

# ruff: noqa: E402  what follows is compiled so, too
from hypothesis import settings
from sybil import Sybil
from sybil.document import PythonDocStringDocument
from sybil.integration.pytest import SybilItem
from sybil.parsers.doctest import DocTestParser

from tests.pages import EXAMPLES, parsers

# Examples take as long as they take: the machines that run them are shared.
settings.register_profile("default", deadline=None, derandomize=True)
settings.register_profile("fuzz", deadline=None, max_examples=5_000)
settings.load_profile("default")


_ROOT = Path(__file__).parent
_NEEDED = {
    "docs/how-to/lightning.md": "lightning",
    "docs/how-to/mlflow.md": "mlflow",
    "docs/how-to/ray.md": "ray",
    "src/wardian/integrations/lightning.py": "lightning",
    "src/wardian/integrations/mlflow.py": "mlflow",
    "src/wardian/integrations/ray.py": "ray",
    "src/wardian/lightning.py": "lightning",
    "src/wardian/mlflow.py": "mlflow",
    "src/wardian/ray.py": "ray",
    "tests/integrations": "mlflow",
}
"""What runs in the environment of `make integrations`, each with a library that is in that one only."""
_SLOW = ("models", "services", "slow")
"""Marks of what takes more than a few seconds."""
_LONG = 0.3
"""Seconds above which a test is left out of `make quick`."""
_TABLE = _ROOT / "tests" / "slow.txt"
_slow_ids = frozenset(_TABLE.read_text().splitlines()) if _TABLE.exists() else frozenset()
_BY_TABLE = pytest.mark.slow("tests/slow.txt")
_slow_files = {_ROOT / row for row in _slow_ids if "::" not in row}
_times: dict[str, dict[str, float]] = {}
"""Seconds of setup and call of each test."""
_marked: set[str] = set()
"""Tests that a mark of their own leaves out of `make quick`."""
collect_ignore = [path for path, library in _NEEDED.items() if importlib.util.find_spec(library) is None]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes the table of slow tests."""
    parser.addoption(
        "--write-slow", action="store_true", help="write tests/slow.txt from the times of this run"
    )


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note how long a test took, and whether it is marked as one that takes long."""
    if report.when != "teardown":
        _times.setdefault(report.nodeid, {})[report.when] = report.duration
    if any(mark in report.keywords for mark in _SLOW):
        _marked.add(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the table of slow tests, if that was asked for."""
    if not session.config.getoption("--write-slow") or hasattr(session.config, "workerinput"):
        return
    # What is made for a file is counted with its first test, and made for whichever comes first. A block of a
    # page, or of a module's docstrings, needs those before it.
    made = {test for test, took in _times.items() if took.get("setup", 0) > _LONG}
    slow = {test for test, took in _times.items() if took.get("call", 0) > _LONG}
    files = {test.partition("::")[0] for test in made} | {
        test.partition("::")[0] for test in slow if "::sybil:" in test
    }
    slow |= files
    left_out = {test.partition("::")[0] for test in _times.keys() - slow - _marked}
    files |= {test.partition("::")[0] for test in _times} - left_out
    slow |= files
    rows = [row for row in slow if row in files or row.partition("::")[0] not in files]
    _TABLE.write_text("".join(f"{row}\n" for row in sorted(rows)))


def pytest_configure(config: pytest.Config) -> None:
    """Compile Wardian once, where processes may write no bytecode: each would compile it for itself."""
    if not _MAY_WRITE_BYTECODE and not hasattr(config, "workerinput"):
        compileall.compile_dir(_ROOT / "src", quiet=2)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Put files with many slow tests first, and keep the collector from what is there before the tests."""
    # Each file goes to the process that has nothing to do: a long one that is last has all others wait.
    if hasattr(session.config, "workerinput"):
        slow = Counter(item.path for item in session.items if any(map(_is_marked, item.iter_markers())))
        number = Counter(item.path for item in session.items)
        session.items.sort(key=lambda item: (-slow[item.path], -number[item.path]))
    # Closing a case walks through all that the collector knows.
    gc.freeze()
    gc.enable()
    sys.dont_write_bytecode = not _MAY_WRITE_BYTECODE


def _is_marked(mark: pytest.Mark) -> bool:
    """Tell whether a mark says that a test takes long: some seconds, not what the table has."""
    return mark.name in _SLOW and mark.args != _BY_TABLE.args


def pytest_unconfigure() -> None:
    """Let the interpreter take apart what is there at its end."""
    gc.unfreeze()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Read no file of which `make quick` leaves out every test, unless it is named."""
    if collection_path not in _slow_files or config.option.markexpr != config.getini("addopts")[-1]:
        return None
    return collection_path not in {Path(name.partition("::")[0]).absolute() for name in config.args} or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is in the table of slow tests; say what examples, and the tools of others, may warn about."""
    of_others = frozenset(_ROOT / path for path in _NEEDED)
    # Who writes the table wants to know what others are marked.
    slow = frozenset[str]() if config.getoption("--write-slow") else _slow_ids
    for item in items:
        if item.nodeid in slow or item.nodeid.partition("::")[0] in slow:
            item.add_marker(_BY_TABLE)
        if not of_others.isdisjoint((item.path, *item.path.parents)):
            item.add_marker(pytest.mark.filterwarnings("ignore", "error::wardian.WardianWarning"))
        if isinstance(item, SybilItem):
            # Classes of a page have no source that Python could find.
            item.add_marker(pytest.mark.filterwarnings("ignore:.* packed as bytecode, so the case"))
            if EXAMPLES in item.path.parents:
                item.add_marker(pytest.mark.slow)
            # torch_geometric calls it when it is imported.
            item.add_marker(pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated"))


def _enter_empty_folder(namespace: dict[str, Any]) -> None:
    folder = tempfile.TemporaryDirectory(prefix="wardian-docs-")
    namespace["_leave"] = (os.getcwd(), list(sys.path), set(sys.modules), folder)
    os.chdir(folder.name)


def _leave_folder(namespace: dict[str, Any]) -> None:
    origin, path, modules, folder = namespace.pop("_leave")
    os.chdir(origin)
    # Projects of pages have short names; the next page means its own.
    sys.path[:] = path
    for name in sys.modules.keys() - modules:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(folder.name + os.sep):
            del sys.modules[name]
    folder.cleanup()


pytest_collect_file = (
    # The blocks of one page share a namespace and an empty folder. A block that must not run says why:
    # <!-- skip: next "reason" -->
    Sybil(
        name="markdown",
        parsers=parsers(),
        filenames=["README.md", "CONTRIBUTING.md", "SECURITY.md"],
        patterns=["docs/**/*.md", "docs/*.md", "examples/**/README.md"],
        setup=_enter_empty_folder,
        teardown=_leave_folder,
    )
    # The examples of one module share a namespace that starts with the module's own names.
    + Sybil(
        name="docstrings",
        parsers=[DocTestParser()],
        patterns=["src/**/*.py"],
        document_types={".py": PythonDocStringDocument},
        setup=_enter_empty_folder,
        teardown=_leave_folder,
    )
).pytest()
