"""The results of a case's self-tests."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wardian.errors import CheckError

if TYPE_CHECKING:
    from wardian.tensors.comparison import Difference

__all__ = ["CheckReport", "CheckResult", "check_plainly"]


_SHOWN = 20
"""Differences of one output that are printed."""

_MOST = 1000
"""Differences of one output that are told as data."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one entry point's self-test."""

    entry: str
    outcome: str
    """The outcome in words."""
    differences: tuple[Difference, ...]
    """Every place where the output differs from the recorded one."""

    @property
    def largest(self) -> float | None:
        """The largest absolute difference of two numbers, or None if there is none."""
        return max((d.size for d in self.differences if d.size is not None), default=None)

    def failures(self, *, exact: bool) -> list[Difference]:
        """Return the differences that another machine does not explain; with *exact*, all."""
        return [d for d in self.differences if exact or not d.tolerated]

    def __str__(self) -> str:
        lines = [f"{self.entry}: {self.outcome}"]
        lines += [f"  {d}{' (tolerated)' if d.tolerated else ''}" for d in self.differences[:_SHOWN]]
        if len(self.differences) > _SHOWN:
            lines.append(f"  and {len(self.differences) - _SHOWN} more")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The results of `Case.check`. All of them agree: exactly, or as closely as other machines may."""

    results: tuple[CheckResult, ...]
    """One for each entry point."""

    @property
    def exact(self) -> bool:
        """Whether every output was the same, bit for bit."""
        return not any(result.differences for result in self.results)

    @property
    def largest(self) -> float | None:
        """The largest absolute difference of two numbers, or None if there is none."""
        return max((r.largest for r in self.results if r.largest is not None), default=None)

    def to_plain(self) -> list[dict[str, Any]]:
        """Return the results as JSON-able data; docs/reference/cli.md has the keys."""
        return [
            {
                "name": result.entry,
                "outcome": result.outcome,
                "largest": _number(result.largest),
                "differences": [
                    {"where": d.where, "what": d.what, "size": _number(d.size), "tolerated": d.tolerated}
                    for d in result.differences[:_MOST]
                ],
            }
            for result in self.results
        ]

    def __str__(self) -> str:
        return "\n".join(map(str, self.results))


def _number(size: float | None) -> float | None:
    """Return what JSON has a form for: it has none for what is infinite."""
    return size if size is not None and math.isfinite(size) else None


def check_plainly(check: Callable[[], CheckReport]) -> dict[str, object]:
    """Run self-tests, and return plain data, which can leave the process.

    Args:
        check: Calls `Case.check`.

    Returns:
        `passed`; `problem`, what failed, in words, or None; `text`, the report for people; `entries`, as
        `CheckReport.to_plain` gives them.

    Raises:
        WardianError: as for `Case.check`, but for a self-test that fails.
    """
    problem = None
    try:
        report = check()
    except CheckError as error:
        report, problem = error.report, str(error)
    return {"passed": problem is None, "problem": problem, "text": str(report), "entries": report.to_plain()}
