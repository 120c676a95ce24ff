"""The self-test of an entry point: its recorded inputs, and what comes out now."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from wardian.domain.manifest import Entry, Manifest
from wardian.errors import CheckError
from wardian.loading.checks import CheckReport, CheckResult
from wardian.reading.fit import packed_elsewhere

__all__ = ["require_passed", "run_self_tests"]


def run_self_tests(entries: Iterable[Entry], load: Callable[[str], Any]) -> CheckReport:
    """Run the self-tests of entry points, and compare with what was recorded.

    Args:
        entries: The entry points.
        load: Returns the object of a record.

    Raises:
        CheckError: if tensors are faked here, which have no values to compare.
    """
    return CheckReport(tuple(_run(entry, load) for entry in entries))


def _run(entry: Entry, load: Callable[[str], Any]) -> CheckResult:
    from wardian.tensors import comparison
    from wardian.tensors.changes import differences_of_changes, run_noting_changes
    from wardian.tensors.storages import faking

    if entry.test is None:
        return CheckResult(entry.name, "no self-test", ())
    if faking():
        raise CheckError(
            "a mode that fakes tensors, as FakeTensorMode, is in force here, and those have no values to"
            " compare: call check() outside of it",
            entry=entry.name,
            difference=None,
            report=CheckReport(()),
        )
    obj, test = load(entry.record), load(entry.test)
    outputs, changes = run_noting_changes(obj, test["inputs"])
    if not entry.outputs:
        return CheckResult(entry.name, "runs; its output cannot be compared", ())
    found = (
        *comparison.find_differences(test["outputs"], outputs),
        *differences_of_changes(test.get("changes", changes), changes),
    )
    return CheckResult(entry.name, "differs" if found else "the same, bit for bit", found)


def require_passed(report: CheckReport, path: str, manifest: Manifest, *, exact: bool) -> None:
    """Refuse what differs.

    Args:
        report: What was compared.
        path: The case, for messages.
        manifest: What it says about itself.
        exact: Refuse differences, too, that another machine may show.

    Raises:
        CheckError: naming the first entry point that differs.
    """
    for result in report.results:
        failed = result.failures(exact=exact)
        if failed:
            raise CheckError(
                f"{path}: the self-test of {result.entry!r} failed: "
                + "; ".join(map(str, failed[:5]))
                + (f"; and {len(failed) - 5} more" if len(failed) > 5 else "")
                + packed_elsewhere(manifest)
                + _modes(),
                entry=result.entry,
                difference=result.largest,
                report=report,
            )


def _modes() -> str:
    from wardian.tensors.selftest import modes

    found = modes()
    return f"\n{' and '.join(found)} is in force here; outputs were recorded without it" if found else ""
