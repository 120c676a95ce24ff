"""An open case as a place that modules come from, for objects that are packed again."""

from __future__ import annotations

import email
import os
from collections.abc import Container, Iterable, Mapping

from wardian.domain.modules import ModuleFacts, ModuleKind
from wardian.domain.names import ModuleName, RecordName, ancestors, normalised, top_level
from wardian.domain.packed_origin import PackedOrigin
from wardian.domain.record_names import IMPORTS, LEFT_OUT, LICENCE_FILES, LICENCES, METADATA
from wardian.environment.distributions import METADATA_FILES
from wardian.loading.importing.mount import Mount
from wardian.reading.licences import find_licences

__all__ = ["packed_origin"]


def packed_origin(mount: Mount) -> PackedOrigin:
    """Describe the modules of an open case.

    Their files are put on disk, because tracing and planning read files.

    Args:
        mount: Its mount.

    Raises:
        OSError: if the files cannot be written.
    """
    all_owners: dict[str, list[str | None]] = {}
    versions: dict[str, str] = {}
    # First-party code last: what is said of a distribution holds for the files of a name that it shares.
    for packed in sorted(mount.manifest.distributions, key=lambda packed: packed.version is None):
        name = normalised(packed.name) if packed.version is not None else None
        for top in packed.roots:
            all_owners.setdefault(top, []).append(name)
        if name is not None and packed.version is not None:
            versions[name] = packed.version
    owners = {top: names[0] for top, names in all_owners.items()}
    data = {*mount.manifest.materialised} - mount.contents.top_levels
    for top in (*owners, *sorted(data), *([".wardian"] if mount.manifest.bytecode_only else ())):
        mount.files.materialise(top)
    return PackedOrigin(
        path=mount.archive.label,
        module_prefix=mount.name + ".",
        roots=frozenset(owners),
        modules=_modules_of(mount, owners),
        versions=versions,
        files=_files_of(mount, owners, versions),
        metadata=_metadata_of(mount, versions),
        absent=mount.manifest.absent,
        materialised=mount.manifest.materialised,
        lacking=tuple(
            (extern.distribution, extern.version, extern.modules, extern.names)
            for extern, _ in mount.lacking.stand_ins.values()
        ),
        sharing=tuple((top, tuple(names)) for top, names in sorted(all_owners.items()) if len(names) > 1),
        asked=_asked_of(mount, versions),
        mocks=mount.manifest.mocks,
        imports=_imports_of(mount),
        beside=tuple(
            (record, mount.files.path_of(record))
            for record in mount.archive.names
            if record.partition("/")[0] in data
        ),
    )


def _modules_of(mount: Mount, owners: Mapping[str, str | None]) -> dict[ModuleName, ModuleFacts]:
    """Return the modules, and the namespace packages above them."""
    modules: dict[ModuleName, ModuleFacts] = {}
    for module in mount.contents.modules.values():
        has_source = module.bytecode is None or module.record in mount.archive
        kind = ModuleKind.SOURCE if has_source else ModuleKind.BYTECODE
        file = mount.files.path_of(module.record if has_source else module.bytecode or "")
        owner = owners.get(module.top_level)
        modules[module.name] = ModuleFacts(module.name, kind, file, module.is_package, owner)
    for name in list(modules):
        for above in ancestors(name):
            folder = mount.files.path_of(above.replace(".", "/"))
            owner = owners.get(top_level(above))
            modules.setdefault(above, ModuleFacts(above, ModuleKind.NAMESPACE, folder, True, owner))
    return modules


def _files_of(
    mount: Mount, owners: Mapping[str, str | None], versions: Iterable[str]
) -> dict[str, tuple[tuple[str, str, int], ...]]:
    """Return record, path and size of the files of each distribution."""
    files: dict[str, list[tuple[str, str, int]]] = {name: [] for name in versions}
    for record in mount.archive.names:
        owner = owners.get(record.partition("/")[0].removesuffix(".py"))
        if owner is not None:
            path = mount.files.path_of(record)
            if os.path.exists(path):  # an operator library that does not fit here is not there
                files[owner].append((record, path, os.path.getsize(path)))
    return {name: tuple(sorted(found)) for name, found in files.items()}


def _metadata_of(mount: Mount, versions: Iterable[str]) -> dict[str, dict[str, bytes]]:
    """Return the metadata and licences of each distribution, by their names there."""
    metadata: dict[str, dict[str, bytes]] = {}
    for name in versions:
        texts = (
            (file, mount.contents.metadata_of(name, file))
            for file in (*METADATA_FILES, LEFT_OUT, LICENCE_FILES)
        )
        metadata[name] = {file: data for file, data in texts if data is not None}
    for licence in find_licences(mount.archive, mount.manifest):
        metadata[normalised(licence.distribution)] |= {
            f"{LICENCES}{path}": mount.archive.read(RecordName(record))
            for path, record in licence.files.items()
            if record is not None
        }
    return metadata


def _asked_of(mount: Mount, versions: Container[str]) -> tuple[str, ...]:
    """Return the distributions that are not packed and have metadata: code asks for their versions."""
    asked = []
    for record in mount.archive.names:
        name, _, file = record.removeprefix(METADATA).partition("/")
        if record.startswith(METADATA) and file == "METADATA" and name not in versions:
            fields = email.message_from_bytes(mount.archive.read(record))
            asked.append(f"{name}=={fields['Version']}")
    return tuple(asked)


def _imports_of(mount: Mount) -> dict[str, str]:
    if IMPORTS not in mount.archive:
        return {}
    lines = mount.archive.read(IMPORTS).decode().splitlines()
    return {line.partition(" ")[0]: line for line in lines}
