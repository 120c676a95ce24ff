"""Operators of libraries that cannot be loaded here: they are declared, and refuse to run."""

from __future__ import annotations

from wardian.domain.manifest import Manifest
from wardian.errors import MissingExternError
from wardian.forks import new_lock
from wardian.loading.importing.libraries import is_missing

__all__ = ["DeclaredOperators"]


class DeclaredOperators:
    """The operators of one open case that were declared because their library is missing.

    Args:
        manifest: Of the case.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._lock = new_lock()
        self._declared: tuple[str, ...] | None = None

    def declare(self) -> None:
        """Declare the operators of libraries that cannot be loaded here, once."""
        with self._lock:
            if self._declared is not None:
                return
            self._declared = ()
            missing_libraries = [library for library in self._manifest.libraries if is_missing(library)]
            if missing_libraries:
                from wardian.tensors.operators import declare

                library = missing_libraries[0]
                top = library.record.partition("/")[0]

                def refuse(operator: str) -> MissingExternError:
                    return MissingExternError(
                        f"the operator {operator} is in {library.record}, which was built for torch"
                        f" {library.torch} on {library.system} {library.machine} and cannot be loaded here\n"
                        f"    fix: install {top} for this torch: pip install {top}",
                        name=top,
                        distribution=top,
                        version=None,
                    )

                self._declared = declare(library.operators, refuse)

    def withdraw(self) -> None:
        """Undo `declare`, for good."""
        with self._lock:
            if self._declared:
                from wardian.tensors.operators import withdraw

                withdraw(self._declared)
            self._declared = ()
