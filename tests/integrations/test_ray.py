"""Ray on one local node: data, actors and tasks with a case."""

from __future__ import annotations

import json
import re
import socket
import textwrap
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import ray
import torch

import wardian
import wardian.ray
from tests.support import importable, write_tree

PROJECT = """
--- mill/__init__.py
--- mill/net.py
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)
        self.register_buffer("table", torch.ones(16 << 20))

    def forward(self, x, shift=None):
        found = self.layer(x)
        return found if shift is None else {"moved": found + shift, "plain": found}
"""
X = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ray")
    with importable(write_tree(folder / "project", PROJECT)) as load:
        wardian.pack(load("mill.net").Net(), folder / "net.case", prove=False)
    return folder / "net.case"


def wanted(case: Path) -> Any:
    return wardian.load(case)(torch.from_numpy(X)).detach().numpy()


def test_batches_of_each_format_get_the_answer(case: Path) -> None:
    batches: dict[Any, Any] = {
        "numpy": {"x": X},
        "pandas": pd.DataFrame({"x": list(X)}),
        "pyarrow": pa.table({"x": X.tolist()}, pa.schema([("x", pa.list_(pa.float32()))])),
    }
    for kind, batch in batches.items():
        predict = wardian.ray.Predictor(str(case), input_column="x", output_column="y", batch_format=kind)
        column = predict(batch)["y"]
        found = column.to_pylist() if kind == "pyarrow" else list(column)
        assert np.allclose(np.stack(found), wanted(case))
    with pytest.raises(ValueError, match="batch_format='torch': it is one of 'numpy', 'pandas', 'pyarrow'"):
        wardian.ray.Predictor(str(case), input_column="x", batch_format="torch")  # type: ignore[arg-type]


def test_several_columns_are_several_arguments_and_a_dictionary_several_columns(case: Path) -> None:
    predict = wardian.ray.Predictor(str(case), input_column=["x", "by"])
    found = predict({"x": X, "by": np.ones((3, 2), np.float32)})
    assert sorted(found) == ["by", "output.moved", "output.plain", "x"]
    assert np.allclose(found["output.moved"], found["output.plain"] + 1)


def test_parts_of_a_tuple_are_columns_of_each_format(tmp_path: Path) -> None:
    project = """
    --- mint/__init__.py
    --- mint/net.py
    import torch

    class Net(torch.nn.Module):
        def forward(self, x):
            return x + 1, x.sum(1)
    """
    with importable(write_tree(tmp_path / "project", textwrap.dedent(project))) as load:
        wardian.pack(load("mint.net").Net(), tmp_path / "net.case", prove=False)
    batches: dict[Any, Any] = {
        "numpy": {"x": X},
        "pandas": pd.DataFrame({"x": list(X)}),
        "pyarrow": pa.table({"x": X.tolist()}, pa.schema([("x", pa.list_(pa.float32()))])),
    }
    for kind, batch in batches.items():
        predict = wardian.ray.Predictor(
            str(tmp_path / "net.case"), input_column="x", output_column="y", batch_format=kind
        )
        found = predict(batch)
        first, second = (
            found[name].to_pylist() if kind == "pyarrow" else list(found[name]) for name in ("y.0", "y.1")
        )
        assert np.array_equal(np.stack(first), X + 1)
        assert np.array_equal(second, X.sum(1))


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        # Workers are to know of a case what the test tells them, and not what this process has open.
        patch.delenv("WARDIAN_OPEN_CASES", raising=False)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        ray.init(num_cpus=6, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False)
        yield
        ray.shutdown()


@pytest.mark.slow
def test_a_dataset_is_mapped_by_actors(cluster: None, case: Path) -> None:
    found = (
        ray.data.from_numpy(X)
        .map_batches(
            wardian.ray.Predictor,
            fn_constructor_args=(str(case),),
            fn_constructor_kwargs={"input_column": "data", "output_column": "y"},
            concurrency=1,
        )
        .take_all()
    )
    assert np.allclose(np.stack([row["y"] for row in found]), wanted(case))


@pytest.mark.slow
def test_a_loaded_model_is_the_argument_of_a_task(cluster: None, case: Path) -> None:
    @ray.remote  # type: ignore[untyped-decorator]
    def call(model: Any, x: Any) -> Any:
        return model(x).detach().numpy()

    model, x = wardian.load(case), torch.from_numpy(X)
    told = {"env_vars": {"WARDIAN_CASES": str(case)}}
    assert np.allclose(ray.get(call.options(runtime_env=told).remote(model, x)), wanted(case))
    with pytest.raises(Exception, match=r"WARDIAN_CASES=/path/or/url/net\.case"):
        ray.get(call.remote(model, x))


@pytest.mark.slow
def test_actors_of_a_node_share_the_weights(cluster: None, case: Path) -> None:
    @ray.remote
    class Holder:
        def __init__(self, path: str) -> None:
            self.model = wardian.load(path)
            self.sum = self.model.table.sum().item()  # each page was read

        def private(self) -> int:
            """Return the memory, in KiB, that this process has of the case by itself."""
            parts = re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text())
            mapped = "".join(part for part in parts if ".case" in part.partition("\n")[0])
            assert sum(map(int, re.findall(r"Rss:\s+(\d+)", mapped))) > 60 << 10
            return sum(map(int, re.findall(r"Private_\w+:\s+(\d+)", mapped)))

    holder: Any = Holder
    actors = [holder.remote(str(case)) for _ in range(4)]
    assert max(ray.get([actor.private.remote() for actor in actors])) < 1 << 10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own, when it is imported and when its servers end
def test_a_deployment_answers_over_http(cluster: None, case: Path) -> None:
    from ray import serve

    class Model:
        def __init__(self, path: str) -> None:
            self.model = wardian.load(path).eval()

        async def __call__(self, request: Any) -> Any:
            with torch.inference_mode():
                return self.model(torch.tensor((await request.json())["x"])).tolist()

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    try:
        deployment: Any = serve.deployment(Model)
        serve.run(deployment.bind(str(case)))
        question = urllib.request.Request(
            f"http://127.0.0.1:{port}/", json.dumps({"x": X.tolist()}).encode(), method="POST"
        )
        with urllib.request.urlopen(question, timeout=60) as answer:
            assert np.allclose(json.load(answer), wanted(case))
    finally:
        serve.shutdown()
