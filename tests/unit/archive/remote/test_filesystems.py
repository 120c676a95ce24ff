"""What fsspec reads: a file system of each scheme is asked, one that does not answer is given up."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from tests.archives import write
from wardian.archive.remote import pace
from wardian.archive.remote.filesystems import FileSystemSource
from wardian.errors import RemoteError

_REGISTRY: dict[str, type] = importlib.import_module("fsspec.registry")._registry
"""Where `fsspec.register_implementation` writes, which has no opposite."""

SCHEMES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss")
"""Those of stores that need accounts; tests/services has a server for the first."""


class Store(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Stands where the file system of a store would: only the way to it is of interest."""

    protocol = SCHEMES
    store: dict[str, Any] = {}  # noqa: RUF012  as in the base class
    pseudo_dirs = [""]  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        found: str = super()._strip_protocol(path.rpartition("://")[2])
        return found


@pytest.fixture
def _stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `Store` for all schemes, in place of what is installed or not."""
    for scheme in SCHEMES:
        monkeypatch.setitem(_REGISTRY, scheme, Store)
    monkeypatch.setattr(Store, "store", {})


@pytest.mark.usefixtures("_stores")
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_file_system_of_each_scheme_is_asked_with_the_options(scheme: str, tmp_path: Path) -> None:
    content = write(tmp_path / "m.case", [b"weights" * 100], {"mylib/net.py": b"x = 1"})
    fsspec.filesystem(scheme, anon=True).pipe("models/m.case", content)
    source = FileSystemSource(f"{scheme}://models/m.case", {"anon": True})
    found = source.tail(100)
    assert found is not None
    assert (found.size, found.data) == (len(content), content[-100:])
    assert source.read(3, 50) == content[3:50]
    assert source._fs()[0].storage_options == {"anon": True}
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        FileSystemSource(f"{scheme}://models/other.case", {}).tail(100)


class Silent(AsyncFileSystem):  # type: ignore[misc]
    """Says how large a file is, and sends none of it."""

    protocol = "silent"

    async def _info(self, path: str, **options: Any) -> dict[str, Any]:
        return {"name": path, "size": 1000, "type": "file"}

    async def _cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **options: Any
    ) -> bytes:
        await asyncio.Event().wait()
        return b""


def test_a_store_that_sends_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "WINDOW", 0.25)
    monkeypatch.setenv(pace.SPEED_VARIABLE, "1e9")
    monkeypatch.setitem(_REGISTRY, "silent", Silent)
    with pytest.raises(RemoteError, match="fewer bytes in a second than WARDIAN_MIN_SPEED says"):
        FileSystemSource("silent://models/m.case", {}).tail(100)
