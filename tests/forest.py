"""Traces that are built by hand: nothing is imported, and only first-party sources are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wardian.domain.global_refs import GlobalRef
from wardian.domain.graph import Import, ImportContext, ImportGraph
from wardian.domain.modules import ModuleFacts, ModuleKind
from wardian.domain.names import ModuleName
from wardian.domain.source_facts import SourceFacts
from wardian.domain.trace import DistributionFacts, Evidence, ObservedImport, Trace
from wardian.source.parsing import parse
from wardian.source.scanning import scan

__all__ = ["Forest", "SITE", "grown"]

SITE = "/site"
"""Where the files of distributions are said to be."""


class Forest:
    """Builds a trace, a module at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules: dict[ModuleName, ModuleFacts] = {}
        self.facts: dict[ModuleName, SourceFacts] = {}
        self.edges: list[Import] = []
        self.distributions: dict[str, DistributionFacts] = {}
        self.observed: list[ObservedImport] = []
        self.distribution("torch", required_by_torch=True, with_every_torch=True)
        self.module("torch", distribution="torch")

    def distribution(self, name: str, files: tuple[str, ...] = (), **facts: Any) -> None:
        known = {
            "version": "1.0",
            "roots": (name,),
            "compiled": (),
            "required_by_torch": False,
            "with_every_torch": False,
            "left_out": (),
            "metadata": {"METADATA": b"Name: " + name.encode()},
        }
        listed = tuple((file, f"{SITE}/{file}", 10) for file in files)
        self.distributions[name] = DistributionFacts(name=name, files=listed, **{**known, **facts})

    def module(self, name: str, source: str = "", *, distribution: str | None = None, **facts: Any) -> None:
        is_package = facts.pop("is_package", False)
        kind = facts.pop("kind", ModuleKind.SOURCE)
        path = name.replace(".", "/") + ("/__init__.py" if is_package else ".py")
        file = self.folder / path
        if distribution is None and kind is ModuleKind.SOURCE:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(source)
        self.modules[ModuleName(name)] = ModuleFacts(
            ModuleName(name), kind, str(file), is_package, distribution
        )
        if source:
            scanned = scan(
                source.encode(),
                ModuleName(name),
                is_package=is_package,
                file=path,
                tree=parse(source.encode(), path),
            )
            self.facts[ModuleName(name)] = scanned
            self.edges += scanned.imports

    def trace(self, *pickled: str, needed: tuple[str, ...] | None = None, **evidence: Any) -> Trace:
        refs = tuple(GlobalRef(ModuleName(p.rpartition(".")[0]), p.rpartition(".")[2]) for p in pickled)
        edges = [
            *self.edges,
            *(Import(ModuleName("model"), ref.module, 0, ImportContext.PICKLED, "model") for ref in refs),
        ]
        known: dict[str, Any] = {
            "modules": (),
            "imports": tuple(self.observed),
            "absent": (),
            "files": (),
            "libraries": (),
            "operators": (),
            "schemas": (),
            "ran": True,
            "used": (),
        }
        return Trace(
            entry="model",
            type=refs[0],
            globals=refs,
            modules=dict(sorted(self.modules.items())),
            needed=frozenset(map(ModuleName, self.modules if needed is None else needed)),
            graph=ImportGraph(edges),
            facts=self.facts,
            distributions=dict(sorted(self.distributions.items())),
            first_party_files=(),
            evidence=Evidence(**{**known, **evidence}),
            torch="2.8.0",
            materialised=frozenset(),
            captured={},
        )


def grown(folder: Path) -> Forest:
    """Return first-party code, `mill`, that needs `timberlib`, which needs `numlib`, which is compiled."""
    made = Forest(folder)
    made.distribution("timberlib", ("timberlib/__init__.py", "timberlib/oak.py", "timberlib/rings.json"))
    made.module("timberlib", "from timberlib import oak", distribution="timberlib", is_package=True)
    made.module("timberlib.oak", "import numlib\nfrom numlib import array", distribution="timberlib")
    made.distribution("numlib", compiled=("numlib._core",))
    made.module("numlib", distribution="numlib", is_package=True)
    made.module("numlib._core", distribution="numlib", kind=ModuleKind.EXTENSION)
    made.module("mill", "import timberlib.oak\nimport torch")
    return made
