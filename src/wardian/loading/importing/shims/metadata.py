"""`importlib.metadata` with the packed distributions in it."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.resources
import importlib.util
import itertools
import types
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from wardian.loading.importing.shims.delegating import delegate, own_name

if TYPE_CHECKING:
    from wardian.loading.importing.mount import Mount

__all__ = ["make_metadata"]


class _PackedMetadata(importlib.metadata.Distribution):
    """The metadata of a packed distribution, from its records."""

    def __init__(self, mount: Mount, distribution: str) -> None:
        self._mount = mount
        self._distribution = distribution

    def read_text(self, filename: object) -> str | None:
        data = self._mount.contents.metadata_of(self._distribution, str(filename))
        return None if data is None else data.decode("utf-8")

    def locate_file(self, path: object) -> Any:
        return self._mount.files.path_of(str(path))

    @property
    def entry_points(self) -> importlib.metadata.EntryPoints:
        """The entry points, which load from the case."""
        return importlib.metadata.EntryPoints(
            _PackedEntryPoint(self._mount, point) for point in super().entry_points
        )


class _PackedEntryPoint(importlib.metadata.EntryPoint):
    """An entry point of a packed distribution."""

    def __init__(self, mount: Mount, point: importlib.metadata.EntryPoint) -> None:
        super().__init__(point.name, point.value, point.group)
        vars(self).update(vars(point), _mount=mount)  # entry points are immutable

    def load(self) -> Any:
        """Return the object that the entry point names."""
        mount: Mount = vars(self)["_mount"]
        return mount.find_global(self.module, self.attr or "")


# Above 60 lines: it is a module of short functions, which share the mount and must be no methods.
def make_metadata(mount: Mount, name: str) -> types.ModuleType:
    """Return an `importlib.metadata` that knows the packed distributions."""
    original = importlib.metadata

    def distribution(distribution_name: str, depth: int = 1) -> importlib.metadata.Distribution:
        asked = distribution_name
        distribution_name = own_name(mount, distribution_name, depth)
        if mount.contents.packs_distribution(distribution_name):
            return _PackedMetadata(mount, distribution_name)
        if mount.contents.hides_distribution(distribution_name):
            raise original.PackageNotFoundError(distribution_name)
        try:
            return original.distribution(distribution_name)
        except original.PackageNotFoundError:
            if mount.contents.metadata_of(distribution_name, "METADATA") is None:
                if asked == distribution_name:
                    raise
                return original.distribution(asked)  # code that goes through all that is installed
            return _PackedMetadata(mount, distribution_name)  # code asked for its version and no more

    def distributions(**context: Any) -> Iterator[importlib.metadata.Distribution]:
        for packed in mount.manifest.distributions:
            if packed.version is not None and not context:
                yield _PackedMetadata(mount, packed.name)
        for found in original.distributions(**context):
            found_name = found.metadata["Name"] or ""
            if context or not (
                mount.contents.packs_distribution(found_name) or mount.contents.hides_distribution(found_name)
            ):
                yield found

    def version(distribution_name: str) -> str:
        return distribution(distribution_name, 2).version

    def metadata(distribution_name: str) -> Any:
        return distribution(distribution_name, 2).metadata

    def requires(distribution_name: str) -> list[str] | None:
        return distribution(distribution_name, 2).requires

    def files(distribution_name: str) -> Any:
        return distribution(distribution_name, 2).files

    def packages_distributions() -> dict[str, list[str]]:
        found = {
            top: names
            for top, names in original.packages_distributions().items()
            if not mount.contents.answers_for(top) and not mount.contents.is_absent(top)
        }
        for packed in mount.manifest.distributions:
            if packed.version is not None:
                for top in packed.roots:
                    found.setdefault(top, []).append(packed.name)
        return found

    def entry_points(**params: Any) -> Any:
        # Without a selection Python 3.11 returns a dictionary of groups that warns when it is used as one.
        groups = getattr(original, "SelectableGroups", None)
        installed: Any = original.entry_points()
        if groups is not None and isinstance(installed, groups):
            installed = itertools.chain.from_iterable(dict.values(installed))
        points = [point for point in installed if not mount.contents.answers_for(point.module)]
        for packed in mount.manifest.distributions:
            if packed.version is not None:
                points.extend(cast("Iterable[Any]", _PackedMetadata(mount, packed.name).entry_points))
        found = importlib.metadata.EntryPoints(points)
        return found.select(**params) if params or groups is None else groups.load(found)

    return delegate(
        name,
        original,
        distribution=distribution,
        distributions=distributions,
        version=version,
        metadata=metadata,
        requires=requires,
        files=files,
        packages_distributions=packages_distributions,
        entry_points=entry_points,
    )
