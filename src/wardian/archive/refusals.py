"""The errors that refuse one archive."""

from __future__ import annotations

from pathlib import Path

from wardian.errors import ClosedCaseError, CorruptCaseError, NotACaseError

__all__ = ["Refusals"]


class Refusals:
    """Make errors that name the archive.

    Args:
        path: The file; None if it was read from memory.
        label: What else to call it, such as a URL.
    """

    def __init__(self, path: Path | None, label: str | None = None) -> None:
        self._path = label or (None if path is None else str(path))
        self._label = label or ("the case" if path is None else f"'{path}'")

    def corrupt(self, reason: str, record: str | None = None) -> CorruptCaseError:
        """Return what says that the archive, or one record of it, is damaged."""
        subject = "" if record is None else f"record {record!r}: "
        return CorruptCaseError(
            f"{self._label} is damaged or was altered: {subject}{reason}. Get or pack it again.",
            path=self._path,
            record=record,
        )

    def other_kind(self, description: str) -> NotACaseError:
        """Return what says that it is another kind of file."""
        return NotACaseError(
            f"{self._label} is not a case and not an archive of torch.package: it is {description}",
            path=self._path,
        )

    def closed(self) -> ClosedCaseError:
        """Return what says that it was closed."""
        return ClosedCaseError(f"{self._label} was closed; open it again", path=self._path)
