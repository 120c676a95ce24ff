"""Logging libraries never stand in the way of a case: not when it is packed, and not where it is loaded."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import wardian
from tests.support import importable, run_python, write_tree

# The real one keeps threads, and a process that talks to a server; importing it takes compiled libraries.
SITE = """
--- wandb/__init__.py
import threading
import wire

run = None

class Config:
    def __init__(self, values):
        self._values = values

    def keys(self):
        return self._values.keys()

    def __getitem__(self, key):
        return self._values[key]

class Run:
    def __init__(self, values):
        self.thread = threading.Thread(target=print)
        self.config = Config(values)
        self.name = "fast-cloud-1"

    def log(self, values):
        raise RuntimeError("this run has no server")

def init(**values):
    return Run(values)

def log(values):
    raise RuntimeError("wandb.init must be called first")
--- wandb-0.31.0.dist-info/METADATA
Metadata-Version: 2.1
Name: wandb
Version: 0.31.0
--- wandb-0.31.0.dist-info/RECORD
wandb/__init__.py,,
--- wire/__init__.py
WIRE = 1
--- wire-7.0.dist-info/METADATA
Metadata-Version: 2.1
Name: wire
Version: 7.0
--- wire-7.0.dist-info/RECORD
wire/__init__.py,,
"""

PROJECT = """
--- climate/__init__.py
--- climate/model.py
import torch
import wandb

def logs(function):
    return function

class Net(torch.nn.Module):
    def __init__(self, run):
        super().__init__()
        self.fc = torch.nn.Linear(2, 2)
        self.run = run
        self.library = wandb
        self.noisy = False

    @logs
    def forward(self, x):
        if self.noisy or wandb.run:
            wandb.log({"x": x.mean()})
        return self.fc(x) * self.run.config["scale"]

    def training_step(self, x):
        import wandb as w
        with self.run:
            self.run.log({"loss": 1})
            self.run.summary["best"] = 1
        w.log({"loss": 1})
        w.watch(self).note()
        for _ in w.Api().runs():
            raise AssertionError
        return self(x), self.run.config["scale"], list(self.run.config.keys())
"""


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logging")
    site, project = write_tree(folder / "site", SITE), write_tree(folder / "project", PROJECT)
    with importable(site, project) as import_module:
        model = import_module("climate.model").Net(import_module("wandb").init(scale=3))
        wardian.pack(model, folder / "net.case", inputs=(torch.ones(1, 2),))
    return folder / "net.case"


def test_a_run_travels_as_one_that_notes_nothing(case: Path, tmp_path: Path) -> None:
    script = """
        import json, pickle, sys, torch, wardian
        model = wardian.load(sys.argv[1])
        _, scale, names = model.training_step(torch.ones(1, 2))
        copy = pickle.loads(pickle.dumps(model))
        print(json.dumps([scale, names, repr(model.run), copy.run.config["scale"], "wandb" in sys.modules]))
        wardian.pack(model, "again.case", inputs=(torch.ones(1, 2),))
        print(wardian.load("again.case").run.config["scale"])
    """
    first, second = run_python(script, case, folder=tmp_path).splitlines()
    assert json.loads(first) == [3, ["scale"], "<Run that notes nothing>", 3, False]
    assert second == "3"


def test_the_library_stays_outside_and_need_not_be_there(case: Path) -> None:
    with wardian.open(case) as opened:
        externs = {extern.distribution: extern.soft for extern in opened.manifest.externs}
        assert externs == {"torch": False, "wandb": True}
        assert [d.name for d in opened.manifest.distributions] == ["first-party"]
    assert not any(line.startswith("wandb") for line in wardian.requirements(case))


def test_a_model_that_logs_whenever_it_is_called(tmp_path: Path) -> None:
    site, project = write_tree(tmp_path / "site", SITE), write_tree(tmp_path / "project", PROJECT)
    with importable(site, project) as import_module:
        model = import_module("climate.model").Net(import_module("wandb").init(scale=3))
        model.noisy = True
        wardian.pack(model, tmp_path / "net.case", inputs=(torch.ones(1, 2),))
    with wardian.open(tmp_path / "net.case") as case:
        assert case.check().exact


def test_a_rule_takes_the_library_along(tmp_path: Path) -> None:
    site, project = write_tree(tmp_path / "site", SITE), write_tree(tmp_path / "project", PROJECT)
    with importable(site, project) as import_module:
        model = import_module("climate.model").Net(import_module("wandb").init(scale=3))
        policy = wardian.Policy(intern="wandb.**")
        report = wardian.pack(model, tmp_path / "net.case", policy=policy, prove=False)
    assert {d.name for d in report.manifest.distributions} == {"first-party", "wandb", "wire"}


def test_what_belongs_to_the_process_comes_without_it(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        told = r"model\['process'\] is a process \(\d+\) that runs here and has ended in the case"
        with (
            (tmp_path / "log.csv").open("w") as file,
            pytest.warns(wardian.WardianWarning, match=told),
        ):
            wardian.pack({"rows": csv.writer(file), "process": process}, tmp_path / "x.case", prove=False)
        loaded = wardian.load(tmp_path / "x.case")
        loaded["rows"].writerow([1, 2])
        loaded["process"].kill()  # must not kill what has the number here
        assert process.poll() is None
        process.communicate(b"\n")
    assert process.returncode == 0
