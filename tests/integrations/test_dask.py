"""Dask's workers, which are older than the case that an argument of theirs is of."""

from __future__ import annotations

from pathlib import Path

import distributed
import pytest
import torch

import wardian
from tests.support import importable, write_tree

PROJECT = """
--- loom/__init__.py
--- loom/net.py
import torch

class Net(torch.nn.Linear):
    pass
"""


@pytest.mark.slow
def test_a_loaded_model_is_the_argument_of_an_older_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, x = tmp_path / "net.case", torch.ones(3, 2)
    monkeypatch.delenv("WARDIAN_OPEN_CASES", raising=False)
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            env={"WARDIAN_CASES": str(case)},
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert client.gather(client.map(abs, [-1, -2])) == [1, 2]
        with importable(write_tree(tmp_path / "project", PROJECT)) as load:
            wardian.pack(load("loom.net").Net(2, 1), case, prove=False)
        model = wardian.load(case)
        answers = client.gather(client.map(lambda _, model, x: model(x).detach(), range(2), model=model, x=x))
        assert all(torch.equal(answer, model(x)) for answer in answers)
        (back,) = client.gather([client.submit(lambda model: model.double(), model)])
        assert type(back) is type(model)
