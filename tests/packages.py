"""Make a package in memory and open it."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from wardian.package import PackageExporter, PackageImporter

__all__ = ["exported", "imported", "in_turn"]


def exported(fill: Callable[[PackageExporter], Any], **options: Any) -> BytesIO:
    """Return a package that *fill* has saved things to."""
    buffer = BytesIO()
    with PackageExporter(buffer, **options) as exporter:
        fill(exporter)
    buffer.seek(0)
    return buffer


def imported(fill: Callable[[PackageExporter], Any], **options: Any) -> PackageImporter:
    """Return an importer of a package that *fill* has saved things to."""
    return PackageImporter(exported(fill, **options))


def in_turn(*fills: Callable[[PackageExporter], Any]) -> Callable[[PackageExporter], Any]:
    """Return a function that calls *fills* one after the other."""
    return lambda exporter: [fill(exporter) for fill in fills]
