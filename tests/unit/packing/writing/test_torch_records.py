"""The records by which torch.package reads a case."""

from __future__ import annotations

import platform
import sys
from dataclasses import replace

import pytest

from tests.support import MANIFEST, PLAN
from wardian.domain.graph import Import, ImportContext, ImportGraph
from wardian.domain.manifest import PackedDistribution
from wardian.domain.names import ModuleName
from wardian.packing.writing.torch_records import records_for_torch_package

ELM = replace(MANIFEST, distributions=(PackedDistribution(name="first-party", version=None, roots=("elm",)),))


def _externs(*sources: bytes, plan: object = PLAN) -> list[str]:
    records = records_for_torch_package(plan, sources, ELM, None)  # type: ignore[arg-type]
    return records[next(name for name in records if name.endswith("extern_modules"))].decode().split()


@pytest.mark.parametrize(
    ("source", "names"),
    [
        (b"import json", ["json"]),
        (b"import json.decoder , csv", ["csv", "json"]),
        (b"    import json as j, csv\n", ["csv", "json"]),
        (b"from json import loads\nfrom os.path import (\n  join)", ["json", "os"]),
        (b"from json import *", ["json"]),
        (b"from .json import x\nfrom elm import json", []),
        (b"import elm, numpy", []),
        (b"x = 1; import json\nif x: from csv import reader\ntry: import os.path", ["csv", "json", "os"]),
        (b"from\tjson\timport loads", ["json"]),
        (b"# nobody shall import json\n'from json'; import_csv", []),
        (b"reimport json\nimportant = 1\nimport_json()", []),
        ("import é".encode("latin-1"), []),
    ],
)
def test_modules_of_python_that_sources_import_are_externs(source: bytes, names: list[str]) -> None:
    assert _externs(source) == names


def test_externs_of_the_plan_and_modules_of_python_in_the_pickle_are_externs() -> None:
    edges = [
        Import(ModuleName("model"), ModuleName("collections"), 0, ImportContext.PICKLED),
        Import(ModuleName("model"), ModuleName("elm"), 0, ImportContext.PICKLED),
        Import(ModuleName("elm"), ModuleName("csv"), 0, ImportContext.FUNCTION),
        Import(ModuleName("model"), ModuleName("__main__"), 0, ImportContext.PICKLED),
    ]
    numpy = replace(MANIFEST.externs[0], distribution="numpy", modules=("numpy.fft", "numpy"))
    plan = replace(PLAN, externs=(numpy,), graph=ImportGraph(edges))
    assert _externs(plan=plan) == ["collections", "numpy"]


def test_an_exporter_tells_its_externs_itself() -> None:
    records = records_for_torch_package(PLAN, [b"import json"], ELM, ("b", "a"))
    assert {name.rpartition("/")[2]: data for name, data in records.items()} == {
        "extern_modules": b"b\na\n",
        "python_version": platform.python_version().encode(),
        "version": b"6\n",
        "byteorder": sys.byteorder.encode(),
    }
