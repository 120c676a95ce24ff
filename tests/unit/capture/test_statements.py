"""The statements of a script are those of its cells, and of no other text that `linecache` knows."""

from __future__ import annotations

import linecache

import pytest

from wardian.capture.statements import Statements


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("<ipython-input-1-0123>", ["rate"]),
        ("/tmp/ipykernel_17/2941.py", ["rate"]),
        ("<attrs generated init shop.Item>", []),
        ("<sqlalchemy generated _generative() wrapper for sqlalchemy.sql.base.Executable.options>", []),
        ("<string>", []),
        ("/project/other.py", []),
    ],
)
def test_texts_that_libraries_generate_are_no_cells(
    file: str, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linecache, "cache", {file: (9, None, ["rate = 3\n"], file)})
    statements = Statements({"__name__": "__main__"})
    assert [binding.node.targets[0].id for binding in statements.bindings("rate")] == found  # type: ignore[attr-defined]
