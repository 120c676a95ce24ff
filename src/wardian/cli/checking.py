"""The self-test of a case in a process of its own."""

from __future__ import annotations

import subprocess
import sys

__all__ = ["check_in_child"]

_CODE = """\
import sys
import wardian
path, exact = sys.argv[1:]
try:
    with wardian.open(path) as case:
        print(case.check(exact=exact == "True"))
except wardian.WardianError as error:
    sys.exit(f"{error}")
"""


def check_in_child(path: str, *, exact: bool, timeout: float | None) -> tuple[bool, str]:
    """Run the self-tests of a case in a new interpreter.

    Args:
        path: The case.
        exact: Ask for the same bits.
        timeout: Seconds after which the process is ended; None waits for ever.

    Returns:
        Whether every output was as expected, and the report or what went wrong.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _CODE, path, str(exact)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, f"the self-test of {path} took longer than {timeout:g} s and was ended"
    return done.returncode == 0, (done.stdout if done.returncode == 0 else done.stderr).strip()
