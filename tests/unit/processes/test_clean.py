"""Clean processes. Their work is a function of the standard library or of a module written here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support import ends, importable, start_python, write_tree
from wardian.errors import PackError
from wardian.processes.clean import ChildError, CleanProcesses
from wardian.processes.folders import work_folder

WORK = """
--- gardening/__init__.py
--- gardening/work.py
import os
import signal
import subprocess
import sys

def report(request):
    print("digging")
    return {"path": sys.path, "argument": request["argument"], "loaded": "torch" in sys.modules}

def fail(request):
    print("it rained")
    raise LookupError("no spade")

def die(request):
    os._exit(7)

def dig_deeper(request):
    from wardian.processes.clean import CleanProcesses
    return CleanProcesses().run("gardening.work.report", request)

def leave_someone(request):
    left = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    return {"left": left.pid}

def ignore_the_end(request):
    with open(request["told"], "w") as told:
        told.write(str(os.getpid()))
    signal.pause()

def flags(request):
    return {
        "flags": [getattr(sys.flags, name) for name in request["names"]],
        "filters": sys.warnoptions,
        "options": sys._xoptions,
        "argv": sys.argv,
    }
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return write_tree(tmp_path, WORK)


def test_the_child_has_the_path_of_its_parent_and_nothing_loaded(work: Path) -> None:
    with importable(work):
        answer = CleanProcesses().run("gardening.work.report", {"argument": [1, "a"]})
        assert set(sys.path) <= {*answer["path"], ""}
    assert answer["argument"] == [1, "a"]
    assert answer["loaded"] is False


def test_relative_entries_of_the_path_lead_to_the_same_folders_wherever_the_child_goes(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(work)
    (work / "beds").mkdir()
    hook = "__editable__.mylib-1.0.finder.__path_hook__"
    monkeypatch.setattr(sys, "path", ["beds", "", hook, *sys.path])
    answer = CleanProcesses().run("gardening.work.report", {"argument": 0})
    assert answer["path"][:3] == [str(work / "beds"), str(work), hook]


def test_an_exception_comes_back_with_what_was_printed(work: Path) -> None:
    with importable(work), pytest.raises(ChildError) as caught:
        CleanProcesses().run("gardening.work.fail", {})
    assert caught.value.summary == "LookupError: no spade"
    assert caught.value.output.startswith("it rained\nTraceback")
    assert 'raise LookupError("no spade")' in caught.value.output


def test_a_child_that_dies_is_told_with_its_status(work: Path) -> None:
    with importable(work), pytest.raises(ChildError, match="the process ended with status 7"):
        CleanProcesses().run("gardening.work.die", {})


def test_a_clean_process_starts_no_other(work: Path) -> None:
    with importable(work), pytest.raises(ChildError, match='if __name__ == "__main__":'):
        CleanProcesses().run("gardening.work.dig_deeper", {"argument": 1})


def test_without_an_interpreter_there_is_no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(ChildError, match=r"sys\.executable is empty"):
        CleanProcesses().run("gardening.work.report", {})


def test_the_refusal_is_a_packing_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDIAN_CLEAN_PROCESS", "1")
    with pytest.raises(PackError, match="was called by code that is imported"):
        CleanProcesses().run("gardening.work.report", {})


def test_what_a_child_leaves_running_is_ended_with_it(work: Path) -> None:
    with importable(work):
        processes = CleanProcesses(allow=("processes",))
        left = processes.run("gardening.work.leave_someone", {})["left"]
    assert ends(left)


def test_a_child_ends_with_its_parent_however_thatends(work: Path) -> None:
    os.mkfifo(work / "told")
    script = """
        import os, sys, threading
        from wardian.processes.clean import CleanProcesses
        def end():
            with open("told") as told:
                print(told.read(), flush=True)
            os.kill(os.getpid(), 9)
        threading.Thread(target=end).start()
        # Whoever ignores the signals of a terminal is ended all the same.
        CleanProcesses().run("gardening.work.ignore_the_end", {"told": os.path.abspath("told")})
    """
    process = start_python(script, folder=work, paths=(work,), TMPDIR=str(work))
    told, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert ends(int(told))
    (left,) = work.glob("wardian-*")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(work))
        with work_folder():
            assert not left.exists()


FLAGS = """
import json, sys
arguments = json.loads(sys.argv[1])
sys.path[:] = arguments["path"]
from wardian.processes.clean import CleanProcesses
names = [name for name in dir(sys.flags) if name[0] != "_" and name not in ("count", "index")]
names = [name for name in names if not name.startswith("n_")]
answer = CleanProcesses().run("gardening.work.flags", {"names": names})
assert answer["flags"] == [getattr(sys.flags, name) for name in names], (names, answer["flags"], sys.flags)
assert answer["filters"] == sys.warnoptions, (answer["filters"], sys.warnoptions)
assert answer["options"] == sys._xoptions, (answer["options"], sys._xoptions)
assert answer["argv"] == ["-c"]
"""


@pytest.mark.parametrize(
    "switches",
    ["-I", "-P -B", "-E -s -O", "-OO -b", "-bb", "-S", "-X dev -W ignore::ImportWarning", "-X utf8=0 -q"],
)
def test_the_child_has_the_flags_of_its_parent(work: Path, switches: str) -> None:
    # A module of the current folder is not asked for while the child starts, whatever its name.
    for name in ("json", "subprocess", "wardian", "gardening"):
        write_tree(work, f"--- downloads/{name}.py\nraise SystemExit('the current folder was asked')")
    (work / "flags.py").write_text(FLAGS)
    arguments = json.dumps({"path": [*filter(None, sys.path), str(work)]})
    done = subprocess.run(
        [sys.executable, *switches.split(), str(work / "flags.py"), arguments],
        cwd=work / "downloads",
        env={**os.environ, "PYTHONWARNINGS": "error::UnicodeWarning"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
