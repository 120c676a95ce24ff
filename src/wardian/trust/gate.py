"""The gate before the code of an open archive: nothing of it runs before every policy in force was asked.

It is asked for each load, and for the first import below a mount, so what it does without a policy is next to
nothing: it looks for one environment variable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wardian.trust.modes import mode_here

if TYPE_CHECKING:
    from wardian.archive import ArchiveReader, FolderReader
    from wardian.domain.manifest import Manifest
    from wardian.reading.opening import ArchiveSource
    from wardian.trust.judging import Facts
    from wardian.trust.policies import Trust

__all__ = ["Gate"]


class Gate:
    """Stands before the code of one archive.

    Args:
        archive: The open archive.
        manifest: What it says about itself.

    Attributes:
        source: What the archive was opened by, for whoever does not say it: signatures are beside it.
    """

    def __init__(self, archive: ArchiveReader | FolderReader, manifest: Manifest) -> None:
        self._archive = archive
        self._manifest = manifest
        self.source: ArchiveSource | None = archive.path
        self._expected: dict[Trust, None] = {}
        self._facts: Facts | None = None
        self._is_open = False
        self._is_own = False

    def expect(self, policy: Trust) -> None:
        """Let nothing of the archive run that does not ask by `admit` before *policy* was asked, too."""
        self._expected[policy] = None

    def vouch(self) -> None:
        """Let everything through: this very process group has just packed it."""
        self._is_own = self._is_open = True

    def require(self) -> None:
        """Ask the policies once, if nobody has been admitted yet.

        Raises:
            UntrustedCaseError, PolicyFileError: as for `admit`.
        """
        if not self._is_open:
            self.admit(*self._expected)

    def admit(
        self,
        *policies: Trust,
        source: ArchiveSource | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Ask the given policies, and the user's, whether code of the archive may run.

        Args:
            policies: What the caller of `load` gave.
            source: What the archive was opened by; signatures are beside it.
            options: For a URL, what fsspec's file system for it takes.

        Raises:
            UntrustedCaseError: if it may not, naming everything that breaks a policy.
            PolicyFileError: if the user's policy cannot be used, or the environment variable says nothing
                that is known.
        """
        if not self._is_own and (policies or mode_here() != "off"):
            from wardian.trust.judging import Facts, judge

            opened = self.source if source is None else source
            self._facts = Facts.of(self._archive, self._manifest, opened, options, self._facts)
            judge(self._archive.label, self._facts, policies)
        self._is_open = True
