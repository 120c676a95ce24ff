"""What globs choose, and what is told where they choose nothing."""

from __future__ import annotations

from wardian.cli.options import matching, nothing_matches

NAMES = ["orchard/trees.py", "orchard/soil.txt"]


def test_a_glob_matches_whole_names() -> None:
    assert matching(NAMES, None) == NAMES
    assert matching(NAMES, "*.py") == ["orchard/trees.py"]
    assert matching(NAMES, "trees.py") == []


def test_the_nearest_is_told_or_else_the_command_that_lists_all() -> None:
    found = nothing_matches("a b.case", "record", "orchard/tree.py", NAMES, "wardian", "ls", "a b.case")
    assert found.format_message() == "a b.case has no record orchard/tree.py\n  near to it: orchard/trees.py"
    found = nothing_matches("a b.case", "record", "*.zip", NAMES, "wardian", "ls", "a b.case")
    assert found.format_message().endswith("\n  list them: wardian ls 'a b.case'")
