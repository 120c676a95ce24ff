"""Which names compiled code mentions."""

from __future__ import annotations

import pytest

from wardian.source.mentions import mentioned_by, mentions, parts_of


@pytest.mark.parametrize(
    ("source", "is_mentioned"),
    [
        ("oak", True),
        ("import oak.leaves as leaves", False),
        ("import oak", True),
        ("tree.oak", True),
        ("def grow():\n    def deeper():\n        return oak", True),
        ("class Tree:\n    kind = lambda self: oak", True),
        ("'oak'", False),
        ("oaks", False),
    ],
)
def test_names_are_found_at_any_depth(source: str, is_mentioned: bool) -> None:
    code, names = compile(source, "app.py", "exec"), frozenset({"oak", "elm"})
    assert mentions(code, names) is is_mentioned
    assert mentioned_by(code).any_of(names) is is_mentioned


@pytest.mark.parametrize("source", ["'oak'", "def grow(): return ['oak']", "class Tree: kind: str = 'oak'"])
def test_texts_are_found_at_any_depth(source: str) -> None:
    mentioned = mentioned_by(compile(source, "app.py", "exec"))
    assert "oak" in mentioned.texts
    assert "oak" not in mentioned.names


def test_every_part_comes_once() -> None:
    code = compile("def f():\n    def g(): pass\nclass C:\n    def h(self): pass", "app.py", "exec")
    assert sorted(part.co_name for part in parts_of(code)) == ["<module>", "C", "f", "g", "h"]
