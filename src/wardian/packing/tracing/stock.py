"""The modules that a distribution has in stock, for the search of what an object can reach."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from wardian.domain.modules import ModuleFacts, ModuleKind
from wardian.domain.names import (
    ModuleName,
    module_of,
)
from wardian.domain.source_facts import SourceFacts
from wardian.domain.trace import DistributionFacts
from wardian.packing.tracing.following import Follower
from wardian.packing.tracing.need import StockedModule

__all__ = ["InstalledStock", "endings"]


class InstalledStock:
    """The modules of the distributions that can be packed, and what their sources show."""

    def __init__(self, tracer: Follower, distributions: Iterable[DistributionFacts]) -> None:
        self._tracer = tracer
        self._sources: dict[ModuleName, bytes] = {}
        self.modules: Mapping[ModuleName, StockedModule] = {
            name: StockedModule(found.name, path, size, record.endswith("/__init__.py"))
            for found in distributions
            for record, path, size in found.files
            if (name := module_of(record)) is not None
        }

    def facts(self, name: ModuleName) -> SourceFacts | None:
        """Return what the source of a module shows; None if it is not there, or cannot be packed."""
        stocked = self.modules.get(name)
        found = self._tracer.modules.get(name)
        if found is None and stocked is not None:
            found = ModuleFacts(
                name, ModuleKind.SOURCE, stocked.path, stocked.is_package, stocked.distribution
            )
        return self._tracer.scan(found) if found is not None and self._tracer.may_be_packed(found) else None

    def source(self, name: ModuleName) -> bytes:
        """Return the source of a module; empty if it cannot be read."""
        if name not in self._sources:
            try:
                with open(self.modules[name].path, "rb") as file:  # a Path for each of thousands takes longer
                    self._sources[name] = file.read()
            except OSError:  # writing the case will tell
                self._sources[name] = b""
        return self._sources[name]


def endings(text: str) -> Iterator[int]:
    """Yield where the parts of a dotted name end."""
    return (place for place in (*(m.start() for m in re.finditer(r"\.", text)), len(text)))
