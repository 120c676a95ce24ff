"""Which modules and distributions a case has. Nothing is imported, and nothing is run."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from wardian.archive import ArchiveReader, FolderReader
from wardian.domain.manifest import Manifest
from wardian.domain.names import SHIMMED, ModuleName, RecordName, ancestors, normalised, top_level
from wardian.domain.record_names import LEFT_OUT, bytecode_record, metadata_record

__all__ = ["Contents", "PackedModule"]


@dataclass(frozen=True, slots=True)
class PackedModule:
    """A module of a case."""

    name: ModuleName
    record: RecordName
    is_package: bool
    bytecode: RecordName | None

    @property
    def top_level(self) -> str:
        """The first part of its name."""
        return top_level(self.name)


class Contents:
    """The modules and distributions of a case, by the names that its author knows them by.

    Args:
        archive: The open archive.
        manifest: Its manifest.
        guests: Top-level names of objects that the owner of the case lets packed code import.
    """

    def __init__(
        self, archive: ArchiveReader | FolderReader, manifest: Manifest, guests: Iterable[str] = ()
    ) -> None:
        self._archive = archive
        self._manifest = manifest
        self.top_levels = manifest.roots
        """Top-level names that are packed."""
        self.first_party = frozenset(
            top for packed in manifest.distributions if packed.version is None for top in packed.roots
        )
        """Those that belong to no distribution."""
        self.rewritten = self.top_levels | SHIMMED | frozenset(guests)
        """Top-level names that mean something of the case wherever packed code imports them."""
        self.absent = frozenset(manifest.absent)
        """Top-level names that were not there when the case was made."""
        self.mocks = frozenset(manifest.mocks)
        """Modules that are mocked."""
        self._deferred = frozenset(manifest.deferred)
        self._unguarded: dict[str, frozenset[int]] = {}
        self._distributions = frozenset(
            normalised(d.name) for d in manifest.distributions if d.version is not None
        )

    @cached_property
    def modules(self) -> dict[str, PackedModule]:
        """Packed modules by their own dotted name."""
        tag = sys.implementation.cache_tag
        modules: dict[str, PackedModule] = {}
        names = set(self._archive.names)
        for name in self._archive.names:
            if not name.endswith(".py") or name.startswith("."):
                continue
            stem = name[:-3]
            is_package = stem.endswith("/__init__")
            dotted = (stem[: -len("/__init__")] if is_package else stem).replace("/", ".")
            bytecode = bytecode_record(tag, stem)
            if dotted not in modules or is_package:
                modules[dotted] = PackedModule(
                    ModuleName(dotted), name, is_package, bytecode if bytecode in names else None
                )
        for dotted in self._manifest.bytecode_only:  # modules and, under names of no record, functions
            for is_package in (False, True):
                stem = dotted.replace(".", "/") + ("/__init__" if is_package else "")
                bytecode = bytecode_record(tag, stem)
                if bytecode in names and dotted not in modules:
                    record = RecordName(f"{stem}.py")
                    modules[dotted] = PackedModule(ModuleName(dotted), record, is_package, bytecode)
        return modules

    @cached_property
    def namespaces(self) -> frozenset[ModuleName]:
        """Packages that have no `__init__`, but something below them; and all that have one."""
        found: set[ModuleName] = set()
        for dotted in (*self.modules, *self.mocks):
            found.update(ancestors(ModuleName(dotted)))
        folders = {name.rpartition("/")[0] for name in self._archive.names if not name.startswith(".")}
        for folder in folders - {""}:
            dotted = folder.replace("/", ".")
            found.update((*ancestors(ModuleName(dotted)), ModuleName(dotted)))
        for extern in self._manifest.externs:
            for dotted in extern.modules:
                found.update(ancestors(ModuleName(dotted)))
        return frozenset(found)

    @cached_property
    def left_out(self) -> Mapping[str, str]:
        """Modules that stayed outside because nothing could reach them, with what they are part of."""
        found: dict[str, str] = {}
        for packed in self._manifest.distributions:
            names = self.metadata_of(packed.name, LEFT_OUT) if packed.version is not None else None
            for name in (names or b"").decode().split():
                found[name] = f"{packed.name} {packed.version}"
        return found

    @cached_property
    def _by_record(self) -> dict[str, str]:
        return {module.record: name for name, module in self.modules.items()}

    def module_of_record(self, record: str) -> str | None:
        """Return the dotted name of the module whose source a record is, None if it is none."""
        return self._by_record.get(record)

    def has_module(self, name: str) -> bool:
        """Tell whether the case has a module of this dotted name."""
        return name in self.modules or name in self.namespaces or name in self.mocks

    def children(self, package: str) -> list[tuple[str, bool]]:
        """Return (name, whether it is a package) of the modules right below *package*, sorted."""
        return [
            (name.rpartition(".")[2], module.is_package)
            for name, module in sorted(self.modules.items())
            if name.rpartition(".")[0] == package
        ]

    def is_deferred(self, package: str) -> bool:
        """Tell whether the `__init__` of *package* may wait."""
        return package in self._deferred

    def defer_nothing(self) -> None:
        """Let no package wait: whoever watches the imports shall see them all."""
        self._deferred = frozenset()

    def answers_for(self, name: str) -> bool:
        """Tell whether an absolute import of *name* in packed code means something of the case."""
        return top_level(name) in self.rewritten

    def packs_top_level_of(self, name: str) -> bool:
        """Tell whether the top-level name of *name* is packed."""
        return top_level(name) in self.top_levels

    def is_absent(self, name: str) -> bool:
        """Tell whether *name* was not there when the case was made, and so is hidden."""
        return top_level(name) in self.absent

    def is_extern(self, module: str) -> bool:
        """Tell whether *module* is one that the receiver has installed, or lies below such a one."""
        return any(
            module == m or module.startswith(m + ".")
            for extern in self._manifest.externs
            for m in extern.modules
        )

    def is_unguarded(self, module: str, line: int) -> bool:
        """Tell whether nothing around an import at module level catches its error.

        Args:
            module: Dotted name of a packed module. True if it has no source.
            line: Where the import stands.
        """
        packed = self.modules.get(module)
        if packed is None or packed.record not in self._archive:  # bytecode without source
            return True
        lines = self._unguarded.get(packed.record)
        if lines is None:
            from wardian.source.guards import find_unguarded_imports  # for what imports and may not

            source = self._archive.read(packed.record)
            lines = self._unguarded[packed.record] = find_unguarded_imports(source, packed.record)
        return line in lines

    def packs_distribution(self, name: str) -> bool:
        """Tell whether the case has distribution *name*."""
        return normalised(name) in self._distributions

    def hides_distribution(self, name: str) -> bool:
        """Tell whether distribution *name* was not there when the case was made."""
        return name in self.absent or name.replace("-", "_") in self.absent

    def metadata_of(self, distribution: str, filename: str) -> bytes | None:
        """Return a `.dist-info` file of a packed distribution, or None."""
        record = metadata_record(normalised(distribution), filename)
        return self._archive.read(record) if record in self._archive else None
