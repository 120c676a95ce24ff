"""An open case as a place that modules come from, for objects that are packed again."""

from __future__ import annotations

import email
import os

from packaging.utils import canonicalize_name

from wardian.environment import LEFT_OUT, METADATA_FILES, ModuleFacts, ModuleKind, PackedOrigin
from wardian.live.root import Root
from wardian.names import ModuleName, ancestors

__all__ = ["packed_origin"]


def packed_origin(root: Root) -> PackedOrigin:
    """Describe the modules of an open case.

    Their files are put on disk, because tracing and planning read files.

    Args:
        root: Its root.

    Raises:
        OSError: if the files cannot be written.
    """
    all_owners: dict[str, list[str | None]] = {}
    versions: dict[str, str] = {}
    # First-party code last: what is said of a distribution holds for the files of a name that it shares.
    for packed in sorted(root.manifest.distributions, key=lambda packed: packed.version is None):
        name = str(canonicalize_name(packed.name)) if packed.version is not None else None
        for top in packed.roots:
            all_owners.setdefault(top, []).append(name)
        if name is not None and packed.version is not None:
            versions[name] = packed.version
    owners = {top: names[0] for top, names in all_owners.items()}
    data = {*root.manifest.materialised} - root.roots
    for top in (*owners, *sorted(data), *([".wardian"] if root.manifest.bytecode_only else ())):
        root.files.materialise(top)
    modules: dict[ModuleName, ModuleFacts] = {}
    for module in root.modules.values():
        has_source = module.bytecode is None or module.record in root.archive
        kind = ModuleKind.SOURCE if has_source else ModuleKind.BYTECODE
        file = root.files.path_of(module.record if has_source else module.bytecode or "")
        owner = owners.get(module.top_level)
        modules[module.name] = ModuleFacts(module.name, kind, file, module.is_package, owner)
    for name in list(modules):
        for above in ancestors(name):
            folder = root.files.path_of(above.replace(".", "/"))
            modules.setdefault(
                above, ModuleFacts(above, ModuleKind.NAMESPACE, folder, True, owners.get(above))
            )
    files: dict[str, list[tuple[str, str, int]]] = {name: [] for name in versions}
    for record in root.archive.names:
        owner = owners.get(record.partition("/")[0].removesuffix(".py"))
        if owner is not None:
            path = root.files.path_of(record)
            if os.path.exists(path):  # an operator library that does not fit here is not there
                files[owner].append((record, path, os.path.getsize(path)))
    metadata: dict[str, dict[str, bytes]] = {}
    for name in versions:
        texts = ((file, root.metadata_of(name, file)) for file in (*METADATA_FILES, LEFT_OUT))
        metadata[name] = {file: data for file, data in texts if data is not None}
    asked = []
    for record in root.archive.names:
        match record.split("/"):
            case [".wardian", "metadata", name, "METADATA"] if name not in versions:
                fields = email.message_from_bytes(root.archive.read(record))
                asked.append(f"{name}=={fields['Version']}")
    return PackedOrigin(
        path=str(root.archive.path or "<memory>"),
        module_prefix=root.name + ".",
        roots=frozenset(owners),
        modules=modules,
        versions=versions,
        files={name: tuple(sorted(found)) for name, found in files.items()},
        metadata=metadata,
        absent=root.manifest.absent,
        materialised=root.manifest.materialised,
        lacking=tuple(
            (extern.distribution, extern.version, extern.modules, extern.names)
            for extern, _ in root.lacking.values()
        ),
        sharing=tuple((top, tuple(names)) for top, names in sorted(all_owners.items()) if len(names) > 1),
        asked=tuple(asked),
        mocks=root.manifest.mocks,
        beside=tuple(
            (record, root.files.path_of(record))
            for record in root.archive.names
            if record.partition("/")[0] in data
        ),
    )
