"""Objects of a case that are sent to workers, which know of the case what is in their environment."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import run_python, write_tree

PROJECT = """
--- orchard/__init__.py
--- orchard/net.py
import torch

class Net(torch.nn.Module):
    def forward(self, x):
        return x + 1
"""
SEND = """
    import pickle, sys, wardian
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from orchard.net import Net
    for name in ("net", "other"):
        report = wardian.pack(Net(), f"{name}.case", prove=False, metadata={"name": name})
    Path("net.pickle").write_bytes(pickle.dumps(wardian.load("net.case")))
"""
RECEIVE = """
    import pickle, sys, torch, wardian
    from pathlib import Path
    try:
        print(pickle.loads(Path("net.pickle").read_bytes())(torch.ones(1)).item())
    except ModuleNotFoundError as error:
        print(type(error).__name__, error)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("workers")
    run_python(SEND, write_tree(made / "project", PROJECT), folder=made)
    return made


def receive(folder: Path, *places: object) -> str:
    given = os.pathsep.join(map(str, places))
    return run_python(RECEIVE, folder=folder, WARDIAN_CASES=given, WARDIAN_OPEN_CASES="").strip()


def test_a_worker_finds_the_case_among_those_that_it_is_given(folder: Path) -> None:
    assert receive(folder, folder / "other.case", folder / "net.case") == "2.0"


def test_a_worker_may_have_the_case_under_another_name_or_url(folder: Path) -> None:
    (folder / "renamed.case").write_bytes((folder / "net.case").read_bytes())
    assert receive(folder, f"file://{folder}/renamed.case") == "2.0"


def test_without_it_the_error_says_what_to_set(folder: Path) -> None:
    told = receive(folder)
    assert told.startswith("ModuleNotInCaseError wardian.live.net_")
    assert "WARDIAN_CASES=/path/or/url/net.case" in told


def test_with_others_the_error_says_what_they_are(folder: Path) -> None:
    told = receive(folder, folder / "other.case", folder / "gone.case", "nowhere://net.case")
    assert "other.case is another case, whose digest begins with " in told
    assert "gone.case" in told
    assert "nowhere://net.case" in told


RANKS = """
import torch, wardian
from torch import distributed

distributed.init_process_group("gloo")
rank = distributed.get_rank()
sent = [wardian.load("net.case") if rank == 0 else None]
distributed.broadcast_object_list(sent, src=0)
answers = [None, None]
distributed.all_gather_object(answers, sent[0](torch.ones(1)).item())
if rank == 0:
    print(answers)
distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_ranks_of_torchrun_get_a_model_from_the_first_one(folder: Path) -> None:
    (folder / "ranks.py").write_text(RANKS)
    words = ["--nproc-per-node", "2", "--master-addr", "127.0.0.1", "--master-port", str(_free_port())]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *words, "ranks.py"],
        cwd=folder,
        env={**os.environ, "WARDIAN_CASES": "net.case", "WARDIAN_OPEN_CASES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "[2.0, 2.0]", done.stderr


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        number: int = found.getsockname()[1]
        return number
