"""Where the installed library passes, the packed one passes, though its sources are nowhere to be found."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

Results = dict[str, str | None]


def _checks() -> list[tuple[str, str]]:
    return [
        (theme.stem, node.name)
        for theme in sorted((Path(__file__).parent / "themes").glob("*.py"))
        for node in ast.parse(theme.read_text()).body
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(d, ast.Name) and d.id == "check" for d in node.decorator_list)
    ]


@pytest.mark.parametrize(
    ("theme", "check"),
    [pytest.param(*check, marks=() if check[0] == "python" else pytest.mark.slow) for check in _checks()],
)
def test_the_packed_library_passes(theme: str, check: str, run_theme: Callable[[str, str], Results]) -> None:
    failure = run_theme("packed", theme)[check]
    if failure is not None:
        pytest.fail(f"{theme}.{check}:\n{failure}", pytrace=False)


@pytest.mark.slow
@pytest.mark.parametrize(("theme", "check"), _checks())
def test_the_check_is_right_the_installed_library_passes(
    theme: str, check: str, run_theme: Callable[[str, str], Results]
) -> None:
    failure = run_theme("installed", theme)[check]
    if failure is not None:
        pytest.fail(f"{theme}.{check}:\n{failure}", pytrace=False)
