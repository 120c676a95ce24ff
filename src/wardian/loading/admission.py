"""The checks between an open case and its code: policies, and whether the environment fits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wardian.archive import ArchiveReader, FolderReader
from wardian.domain.manifest import Manifest
from wardian.loading.importing.mount import Mount
from wardian.loading.open_mounts import tell
from wardian.reading.fit import check_environment
from wardian.reading.opening import ArchiveSource

if TYPE_CHECKING:
    from wardian.trust.policies import Trust

__all__ = ["Admission"]


class Admission:
    """Ask all that is to be asked before code of a case runs.

    Args:
        archive: The file of the case.
        manifest: What it says about itself.
        trust: The policy that was given when it was opened.
        source: What it was opened by; signatures are beside it.
        options: For a URL, what fsspec's file system for it takes.
    """

    def __init__(
        self,
        archive: ArchiveReader | FolderReader,
        manifest: Manifest,
        trust: Trust | None,
        source: ArchiveSource,
        options: Mapping[str, Any] | None,
    ) -> None:
        self._archive = archive
        self._manifest = manifest
        self._policies = () if trust is None else (trust,)
        self._source = source
        self._options = options
        self._fits = False  # it was not asked yet

    def require(self, mount: Mount) -> None:
        """Ask every policy in force, and the environment once, now that code is to run.

        Raises:
            UntrustedCaseError: if a policy refuses the code.
            EnvironmentMismatchError: if the environment lacks what the case needs.
        """
        mount.gate.admit(*self._policies, source=self._source, options=self._options)
        if self._policies:
            tell(mount)
        if not self._fits:
            check_environment(self._manifest, self._archive, may_import=True)
            self._fits = True
