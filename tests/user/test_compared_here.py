"""What a case would do otherwise than the object does in the process that packs it."""

from __future__ import annotations

import queue
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import wardian
from tests.support import SOURCE, importable, write_tree
from wardian.processes import apart

PATCHED = """
import torch, wardian, warnings
torch.nn.functional.gelu = lambda x: 2 * x

class Net(torch.nn.Module):
    def forward(self, x):
        print("called")
        return torch.nn.functional.gelu(x)

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    wardian.pack(Net(), "net.case", inputs=(torch.ones(2),))
assert len(caught) == 1, caught
assert caught[0].category is wardian.WardianWarning
print(caught[0].message)
"""


def test_a_function_of_torch_that_was_replaced(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(PATCHED)
    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(SOURCE), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "in a clean process, and so from the case, model(...) differs by up to 1.15"
    )
    assert "called" not in done.stdout


CHANGING = """
--- meadow.py
import torch

def scale(x):
    return x * 2

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return scale(x)
"""


def test_a_call_that_changes_its_inputs_here_and_not_there(tmp_path: Path) -> None:
    with importable(write_tree(tmp_path, CHANGING)) as load:
        meadow = load("meadow")
        meadow.scale = lambda x: x.mul_(2)
        with pytest.warns(wardian.WardianWarning, match=r"inputs\[0\] is not changed by the call"):
            wardian.pack(meadow.Net(), tmp_path / "net.case", inputs=(torch.ones(2),))
    with wardian.open(tmp_path / "net.case") as case:
        assert case.check().exact


class _Counting(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(3)
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        x.add_(1)
        result: torch.Tensor = self.norm(x) * self.calls
        return result


def test_the_object_and_the_inputs_stay_as_they_are(tmp_path: Path) -> None:
    model, x = _Counting(), torch.arange(6.0).reshape(2, 3)
    wardian.pack(model, tmp_path / "counting.case", inputs=(x,))
    assert model.calls == 0
    assert model.state_dict()["norm.num_batches_tracked"].item() == 0
    assert torch.equal(x, torch.arange(6.0).reshape(2, 3))


SHARED = """
--- pool.py
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(3)

    def forward(self, x):
        return self.norm(x.add_(1))
"""


def test_what_lies_in_shared_memory_stays_as_it_is_too(tmp_path: Path) -> None:
    with importable(write_tree(tmp_path, SHARED)) as load:
        net, x = load("pool").Net().share_memory(), torch.ones(2, 3)
        x.share_memory_()  # type: ignore[no-untyped-call]
        notes = wardian.pack(net, tmp_path / "net.case", inputs=(x,)).notes
    assert not [note for note in notes if "not compared" in note]
    assert (net.norm.num_batches_tracked.item(), net.norm.running_mean.tolist()) == (0, [0, 0, 0])
    assert torch.equal(x, torch.ones(2, 3))


LOGGING = """
--- wharf.py
import pathlib
import torch

class Net(torch.nn.Module):
    def forward(self, x):
        with pathlib.Path("log.txt").open("a") as log:
            log.write("called")
        return x
"""


def test_what_cannot_be_compared_is_told_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with importable(write_tree(tmp_path, LOGGING)) as load:
        net = load("wharf").Net().eval()
        report = wardian.pack(net, tmp_path / "net.case", inputs=(torch.ones(2),))
    (note,) = report.notes
    assert note == (
        "model was not compared with what it does in this process: it writes to a file, which no copy of this"
        " process may"
    )
    assert "note: model was not compared" in str(report)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (LookupError("no leaf"), "in a copy of it, it raises LookupError: no leaf"),
        # PyTorch says so where a device other than the processor has computed some before the fork.
        (
            RuntimeError("Unable, see https://github.com/pytorch/pytorch/wiki/Autograd-and-Fork"),
            "it asks for gradients, which no copy of a process can that has computed some itself",
        ),
    ],
)
def test_the_reason_is_that_of_the_error(error: Exception, why: str) -> None:
    from wardian.tensors import changes

    def fail(x: torch.Tensor) -> torch.Tensor:
        raise error

    x = torch.ones(2)
    with changes.comparing_in_fork(fail, (x,), x, {}, "output") as differences:
        assert differences() == changes.Compared(failure=why)


def test_what_waits_for_a_thread_of_this_process_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    from wardian.tensors import changes

    gone = "a copy of this process gave no answer within 0.2 s, or ended"
    monkeypatch.setattr(changes, "_PATIENCE", 0.2)
    jobs: queue.Queue[torch.Tensor] = queue.Queue()

    def wait(x: torch.Tensor) -> torch.Tensor:
        return jobs.get()  # that nobody puts

    expected = torch.zeros(2)
    with changes.comparing_in_fork(wait, (torch.ones(2),), expected, {}, "output") as differences:
        assert differences() == changes.Compared(failure=gone)
    monkeypatch.undo()
    with changes.comparing_in_fork(lambda x: x, (torch.ones(2),), expected, {}, "output") as differences:
        assert differences() == changes.Compared(("output differs by up to 1, its largest value is 1",))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is shared")
def test_what_shares_too_much_memory_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    from wardian.tensors import changes

    monkeypatch.setattr(apart, "_MOST_SHARED", 0)
    x = torch.ones(2).share_memory_()  # type: ignore[no-untyped-call]
    with changes.comparing_in_fork(lambda x: x, (x,), x, {}, "output") as differences:
        why = "it shares more than 1 GiB of memory with other processes"
        assert differences() == changes.Compared(failure=why)


FORGETFUL = """
--- heath.py
import torch

class Table:
    def __init__(self):
        self.factor = 3.0

    def __getstate__(self):
        return {}

    def __setstate__(self, state):
        self.factor = 1.0

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(2, 2)
        self.table = Table()

    def forward(self, x):
        return self.linear(x) * self.table.factor

class Broken(Net):
    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "table"}
"""


def test_what_pickling_loses_is_told_from_what_the_process_has(tmp_path: Path) -> None:
    with importable(write_tree(tmp_path, FORGETFUL)) as load:
        heath = load("heath")
        with pytest.warns(wardian.WardianWarning) as caught:
            wardian.pack(heath.Net(), tmp_path / "net.case", inputs=(torch.ones(2),))
        assert len(caught) == 1
        told = str(caught[0].message)
        assert "pickling loses model.table.factor, which Table does not write into its pickle" in told
        assert "changed in this process" not in told
        with pytest.raises(wardian.PackError) as failed:
            wardian.pack(heath.Broken(), tmp_path / "net.case", inputs=(torch.ones(2),))
        assert "so pickling loses model.table, which Broken does not write into its pickle" in str(
            failed.value
        )
