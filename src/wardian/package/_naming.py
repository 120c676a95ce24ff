"""Names that what is saved has in a package."""

from __future__ import annotations

import os

from wardian.domain.live_names import original_name
from wardian.domain.names import ModuleName, RecordName, record_name

__all__ = ["module_to_save", "record_to_save"]


def module_to_save(module_name: str) -> ModuleName:
    """Return the name of a module in the package, which may be one of another package here.

    Raises:
        TypeError: if it is not a str.
        ValueError: if no module can have it.
    """
    if not isinstance(module_name, str):
        raise TypeError(f"the name of a module is a str, not {type(module_name).__name__}")
    name = original_name(module_name)
    if not name or "/" in name:
        raise ValueError(f"not the dotted name of a module: {module_name!r}")
    record_name(name.replace(".", "/") + ".py")
    return name


def record_to_save(package: str, resource: str) -> RecordName:
    """Return the record of a file that lies in a package.

    Raises:
        TypeError: if one of the two is no name.
        ValueError: if no file can have it.
    """
    if isinstance(resource, os.PathLike):
        resource = os.fspath(resource)
    if not isinstance(package, str) or not isinstance(resource, str):
        raise TypeError(
            f"package and resource are names, not {type(package).__name__} and {type(resource).__name__}"
        )
    if "/" in resource or os.path.basename(resource) != resource or not resource:
        raise ValueError(f"{resource!r} must be only a file name, without folders")
    record = record_name(f"{original_name(package).replace('.', '/')}/{resource}")
    if record.startswith("."):
        raise ValueError(f"package {package!r}: names that begin with a dot are reserved")
    return record
