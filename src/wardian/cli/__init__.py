"""The command `wardian`: `main` is its entry point, `python -m wardian` the same.

In goes a command line, out come text or JSON and an exit code (`exits`).

- `app`: the group of commands, and what is done with errors
- `looking`: info, ls, cat, why, diff, verify, audit, report, requirements, sbom; `pages`: their texts
- `report`: the page of `wardian report`
- `working`: pack, plan, check, run, weights, extract, cache
- `trusting`: trust init, add, show; `signatures`: sign, and what others tell of it
- `opening`: a name becomes an open file; `targets`: or an object; `options`: arguments that several have
- `checking`: whether code of a file may run here
- `output`: text for people, JSON for programs
"""

from __future__ import annotations

import sys
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command with the arguments of this process, and end it."""
    try:
        import click  # noqa: F401
        import rich  # noqa: F401
    except ImportError as error:
        # The command is there without what it needs, so that it can say so.
        print(f"wardian: {error.name} is not installed\n  fix: pip install 'wardian[cli]'", file=sys.stderr)
        sys.exit(2)
    from wardian.cli.app import run
    from wardian.cli.output import prepare_streams

    prepare_streams()
    sys.exit(run(sys.argv[1:]))
