"""Servers of others, on loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

import wardian
from wardian.environment.cache import CACHE_VARIABLE


class Bucket(NamedTuple):
    """A bucket of an S3 server."""

    options: dict[str, Any]
    """`storage_options`."""
    asked: list[tuple[str, str, str | None]]
    """Method, path and range of every request."""


@pytest.fixture(scope="session")
def bucket() -> Iterator[Bucket]:
    """Serve S3 by moto, with a bucket `models`."""
    import s3fs
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    asked: list[tuple[str, str, str | None]] = []
    application = DomainDispatcherApplication(create_backend_app)

    def counting(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        asked.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("HTTP_RANGE")))
        answer: Iterable[bytes] = application(environ, start)
        return answer

    server = make_server("127.0.0.1", 0, counting, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    options = {
        "key": "AKIDEXAMPLE",
        "secret": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY",
        "client_kwargs": {"endpoint_url": f"http://127.0.0.1:{server.port}"},
    }
    s3fs.S3FileSystem(**options).mkdir("models")
    yield Bucket(options, asked)
    server.shutdown()
    thread.join()


@pytest.fixture(scope="session")
def model() -> torch.nn.Module:
    """Return a model of 21 MB."""
    torch.manual_seed(0)
    return torch.nn.Sequential(*[torch.nn.Linear(1024, 1024) for _ in range(5)]).requires_grad_(False)


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory, model: torch.nn.Module) -> Path:
    """Return its case."""
    path = tmp_path_factory.mktemp("services") / "layers.case"
    wardian.pack(model, path, inputs=(torch.ones(1, 1024),), prove=False)
    return path


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
