"""The interface of `torch.package`, on Wardian's engine.

    from wardian.package import PackageExporter, PackageImporter

    with PackageExporter("resnet18.pt") as e:
        e.intern("torchvision.**")
        e.extern("numpy.**")
        e.save_pickle("model", "model.pkl", model)

    model = PackageImporter("resnet18.pt").load_pickle("model", "model.pkl")

Names, arguments and results are those of `torch.package`, and the files are read by it; where something
differs on purpose, docs/reference/torch-package.md says so. What is exported is a case: `wardian.open`
opens it.
"""

from __future__ import annotations

from wardian.package import analyze
from wardian.package.analyze.is_from_package import is_from_package
from wardian.package.file_structure_representation import Directory
from wardian.package.glob_group import GlobGroup
from wardian.package.importer import (
    Importer,
    ObjMismatchError,
    ObjNotFoundError,
    OrderedImporter,
    sys_importer,
)
from wardian.package.package_exporter import EmptyMatchError, PackageExporter, PackagingError
from wardian.package.package_importer import PackageImporter

__all__ = [
    "Directory",
    "EmptyMatchError",
    "GlobGroup",
    "Importer",
    "ObjMismatchError",
    "ObjNotFoundError",
    "OrderedImporter",
    "PackageExporter",
    "PackageImporter",
    "PackagingError",
    "analyze",
    "is_from_package",
    "sys_importer",
]
