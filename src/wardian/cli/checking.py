"""Whether code of a file may run here, and its self-test in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from wardian.archive import ArchiveReader
from wardian.cli.opening import name_of
from wardian.cli.output import command, echo_note
from wardian.domain.manifest import Entry, Manifest
from wardian.errors import CheckError, SandboxError, SandboxUnavailableError

__all__ = ["admit", "check_in_cage", "check_in_child", "failed", "find_entry"]

_CODE = """\
import json, sys
import wardian
from wardian.loading.checks import check_plainly
path, entry, exact, answer = sys.argv[1:]
try:
    with wardian.open(path) as case:
        found = check_plainly(lambda: case.check(entry or None, exact=exact == "True"))
except wardian.WardianError as error:
    found = {"problem": str(error), "page": error.page}
with open(answer, "w") as file:
    json.dump(found, file)
"""


def find_entry(manifest: Manifest, file: str, entry: str | None) -> Entry:
    """Return the entry point that a command is about.

    Args:
        manifest: Of the file.
        file: What the user calls it.
        entry: The name given with --entry; None if there should be one only.

    Raises:
        click.UsageError: if there is none of the name, or several and no name.
    """
    known = {found.name: found for found in manifest.entry_points}
    chosen = next(iter(known), None) if entry is None and len(known) == 1 else entry
    if chosen in known:
        return known[chosen]
    names = " or ".join(f"--entry {command(name)}" for name in known)
    if not known:
        raise click.UsageError(f"{name_of(file)} has no entry points")
    if entry is None:
        raise click.UsageError(f"{name_of(file)} has several entry points; say which:\n  {names}")
    raise click.UsageError(f"{name_of(file)} has no entry point {entry!r}; it has:\n  {names}")


def admit(archive: ArchiveReader, manifest: Manifest, file: str) -> None:
    """Ask all that may refuse the code of a file; then say that it runs.

    Whoever loads it asks again. This is only so that nobody reads of running code that did not run.

    Raises:
        UntrustedCaseError, PolicyFileError: if a policy about trust refuses it, or cannot be used.
        EnvironmentMismatchError: if the environment lacks what it needs.
    """
    from wardian.reading.fit import check_environment
    from wardian.reading.storage_checks import check_code
    from wardian.trust.gate import Gate

    Gate(archive, manifest).admit(source=file)
    check_environment(manifest, archive)
    check_code(archive)
    echo_note(f"running the code in {name_of(file)} ...")


def check_in_child(
    path: str, *, entry: str | None = None, exact: bool, timeout: float | None
) -> dict[str, Any]:
    """Run the self-tests of a case in a new interpreter.

    Args:
        path: The case.
        entry: The entry point; None stands for all.
        exact: Ask for the same bits.
        timeout: Seconds after which the process is ended; None waits for ever.

    Returns:
        As `wardian.loading.checks.check_plainly`, `printed`: what the code printed, and `page`: where the
        problem is explained, or None.

    Raises:
        click.ClickException: if it takes longer: there is no answer then.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-c", _CODE, path, entry or "", str(exact), answer],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _late(path, timeout) from None
        if done.returncode != 0:
            return failed(done.stderr.strip() or f"the self-test of {name_of(path)} {_end(done.returncode)}")
        found: dict[str, Any] = json.loads(answer.read_bytes())
        if "passed" not in found:
            return failed(found["problem"], found["page"], printed=done.stdout)
        return _told(found, done.stdout)


def _end(code: int) -> str:
    if code < 0:
        names = {int(known): known.name for known in signal.Signals}
        return f"was ended by {names.get(-code, f'signal {-code}')}"  # those of real time have no names
    return f"ended its process with exit code {code}"


def _late(path: str, timeout: float | None) -> click.ClickException:
    return click.ClickException(
        f"the self-test of {name_of(path)} took longer than {timeout} s and was ended"
    )


def _told(found: dict[str, Any], printed: str) -> dict[str, Any]:
    # Where that is explained is not asked of a process in which code of a stranger has run.
    return found | {"printed": printed, "page": None if found["passed"] else CheckError("").page}


def failed(problem: str, page: str | None = None, *, printed: str = "") -> dict[str, Any]:
    """Return what `check_in_child` returns, of self-tests that did not come to their end.

    Args:
        problem: Why, in words.
        page: Where that is explained.
        printed: What the code printed.
    """
    return {"passed": False, "problem": problem, "page": page, "text": "", "entries": [], "printed": printed}


def check_in_cage(path: str, *, entry: str | None, exact: bool, timeout: float | None) -> dict[str, Any]:
    """Run the self-tests of a case in a cage; as `check_in_child`.

    Raises:
        SandboxUnavailableError: if there is none on this machine.
        click.ClickException: as for `check_in_child`.
    """
    from wardian.sandbox.proxy import open_cage

    try:
        with open_cage(path, timeout=timeout) as cage:
            found = cage.check(entry, exact=exact)
            return _told(found, cage.printed)
    except SandboxUnavailableError:
        raise
    except SandboxError as error:
        if error.reason == "time":
            raise _late(path, timeout) from None
        return failed(str(error), error.page)
