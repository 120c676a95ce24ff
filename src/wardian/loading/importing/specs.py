"""Which loader serves a name below a mount."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os

from wardian.domain.names import SHIMMED, top_level
from wardian.loading.importing.loaders import AliasLoader, CaseLoader, FolderLoader, MountLoader
from wardian.loading.importing.mount import Mount
from wardian.loading.importing.shims.table import make_shim
from wardian.loading.stand_ins.mocked import LeftOutLoader, MockLoader

__all__ = ["find_spec"]


def find_spec(mount: Mount, module: str) -> importlib.machinery.ModuleSpec | None:
    """Return the spec of a module of an open case; None if there is no such module.

    Args:
        mount: The open case.
        module: The dotted name that the module's author knows it by; "" is the mount itself.

    Raises:
        UntrustedCaseError: if a policy refuses the code of the case.
    """
    fullname = mount.full_name(module)
    if not module:
        return importlib.machinery.ModuleSpec(fullname, MountLoader(mount), is_package=True)
    mount.gate.require()  # whatever is below the mount is code, or leads to code that the file names
    contents = mount.contents
    top = top_level(module)
    if module in mount.guests:
        return importlib.machinery.ModuleSpec(fullname, AliasLoader(mount.guests[module]))
    if top in mount.shared:
        return _installed(module, fullname)
    packed = contents.modules.get(module)
    if packed is not None:
        loader = CaseLoader(mount, packed)
        locations = [os.path.dirname(loader.path)] if packed.is_package else None
        return importlib.util.spec_from_file_location(
            fullname, loader.path, loader=loader, submodule_search_locations=locations
        )
    if module in contents.mocks:
        return importlib.machinery.ModuleSpec(fullname, MockLoader(module), is_package=True)
    if top in (SHIMMED | {"sys"}) - contents.top_levels:
        shim = make_shim(mount, module)
        if shim is None:
            return None
        return importlib.machinery.ModuleSpec(fullname, AliasLoader(shim), is_package=True)
    if contents.is_extern(module):
        return _installed(module, fullname)
    if module in contents.namespaces:
        folder = FolderLoader(mount, module)
        spec = importlib.machinery.ModuleSpec(fullname, folder, is_package=True)
        spec.submodule_search_locations = [os.path.dirname(folder.path)]
        return spec
    distribution = contents.left_out.get(module)
    if distribution is None:
        return None
    return importlib.machinery.ModuleSpec(fullname, LeftOutLoader(module, distribution, mount.archive.label))


def _installed(module: str, fullname: str) -> importlib.machinery.ModuleSpec:
    # Part of a packed package can be an extern: a compiled module, or one that a rule names.
    target = importlib.import_module(module)
    return importlib.machinery.ModuleSpec(
        fullname, AliasLoader(target), is_package=hasattr(target, "__path__")
    )
