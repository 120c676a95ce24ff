"""Runs what the documents claim: every Python block of README.md and docs, every example in a docstring."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from hypothesis import settings
from sybil import Sybil
from sybil.document import PythonDocStringDocument
from sybil.parsers.doctest import DocTestParser
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

# Examples take as long as they take: the machines that run them are shared.
settings.register_profile("default", deadline=None, derandomize=True)
settings.register_profile("fuzz", deadline=None, max_examples=5_000)
settings.load_profile("default")


def _enter_empty_folder(namespace: dict[str, Any]) -> None:
    folder = tempfile.TemporaryDirectory(prefix="wardian-docs-")
    namespace["_leave"] = (os.getcwd(), folder)
    os.chdir(folder.name)


def _leave_folder(namespace: dict[str, Any]) -> None:
    origin, folder = namespace.pop("_leave")
    os.chdir(origin)
    folder.cleanup()


pytest_collect_file = (
    # The blocks of one page share a namespace and an empty folder. A block that must not run says why:
    # <!-- skip: next "reason" -->
    Sybil(
        name="markdown",
        parsers=[PythonCodeBlockParser(), SkipParser()],
        filenames=["README.md", "CONTRIBUTING.md"],
        patterns=["docs/**/*.md", "docs/*.md"],
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
