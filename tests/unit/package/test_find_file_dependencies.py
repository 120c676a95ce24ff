"""Imports of a source, as torch.package finds them, but for what it gets wrong."""

from __future__ import annotations

import pytest
from torch.package import find_file_dependencies as theirs

from wardian.package.find_file_dependencies import find_files_source_depends_on


@pytest.mark.parametrize(
    "source",
    [
        "import numpy",
        "import numpy.linalg as la, torch",
        "from mylib import ops, nn",
        "from mylib.nn import *",
        "from . import ops",
        "from .ops import relu as r",
        "from .. import other",
        "def f():\n    import json\n    from mylib import late",
        "try:\n    import a\nexcept ImportError:\n    from b import a",
        "if x:\n    import a\nimport a",
        "x = 1",
    ],
)
def test_imports_are_those_that_torch_package_finds(source: str) -> None:
    ours = find_files_source_depends_on(source, "app.web")
    assert sorted(ours, key=repr) == sorted(theirs.find_files_source_depends_on(source, "app.web"), key=repr)


def test_what_only_a_type_checker_sees_is_left_out() -> None:
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numpy\n"
    assert find_files_source_depends_on(source, "app") == [("typing", "TYPE_CHECKING")]


def test_a_relative_import_above_everything_is_told_with_its_line() -> None:
    with pytest.raises(ValueError, match=r"^line 2: attempted relative import beyond top-level package$"):
        find_files_source_depends_on("import a\nfrom ... import b", "app")


def test_a_source_that_is_not_valid_is_a_syntax_error() -> None:
    with pytest.raises(SyntaxError):
        find_files_source_depends_on("import", "app")
