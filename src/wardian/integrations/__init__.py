"""Wardian inside of the tools that people have, one file for each, over the public surface only.

In goes what a tool hands over, out comes what it expects. A user imports `wardian.mlflow`; that module says
what to install where the tool is missing, and the file of the same name in here does the work. `import
wardian` imports none of them.

- `mlflow`: a flavor; `lightning`: a callback; `ray`: a predictor; `distributed`: a reader of checkpoints
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["needing"]


@contextmanager
def needing(library: str) -> Iterator[None]:
    """Say what to install if *library*, for which there is an extra of the same name, is missing.

    Raises:
        ModuleNotFoundError: in place of the one of the import system, for *library* only.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != library:
            raise
        raise ModuleNotFoundError(
            f"wardian.{library} needs {library}, which is not installed: pip install 'wardian[{library}]'",
            name=library,
        ) from None
