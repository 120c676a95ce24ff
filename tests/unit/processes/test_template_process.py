"""A clean process that becomes others by forks: what it says of itself, and what each fork has of its own."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import importable, run_python, write_tree
from wardian.processes import template_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has templates")

SHED = """
--- shed/shed.py
import gc, os, sys

def prepare(arguments):
    import hoe
    try:
        import rake
    except ImportError:
        pass
    return {"told": arguments}

def report(request):
    print("digging")
    return {
        "hoe": "hoe" in sys.modules,
        "here": os.getcwd(),
        "season": os.environ.get("SEASON"),
        "gone": os.environ.get("GONE"),
        "path": sys.path,
        "leads": os.getsid(0) == os.getpid(),
        "looked_through": any(found is sys.modules["hoe"].__dict__ for found in gc.get_objects()),
    }

def die(request):
    os._exit(7)
--- tools/hoe.py
"""
SERVING = """
    import json, os, socket, sys
    from pathlib import Path
    from wardian.processes.template_process import LARGEST, serve

    folder, function = Path(sys.argv[1]), sys.argv[2]
    os.environ["GONE"] = "x"
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = os.getpid()
    if (template := os.fork()) == 0:
        ours.close()
        serve(f"{parent}:{theirs.detach()}")
    theirs.close()
    ours.send(json.dumps({"prepare": "shed.prepare", "arguments": {"a": 1}}).encode())
    hello = json.loads(ours.recv(LARGEST))
    question = {
        "work": f"shed.{function}", "answer": str(folder / "answer"), "recursion_limit": 1000, "allow": [],
        "umask": 0o22, "variables": {"SEASON": "spring", "GONE": None},
        "sys_path": [str(folder / "more"), *sys.path],
    }
    (folder / "question").write_text(json.dumps(question))
    asking, answering = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT)
    here = os.open(folder / "here", os.O_RDONLY)
    socket.send_fds(ours, [str(folder / "question").encode()], [answering.fileno(), log, here])
    answering.close()
    number, status = (json.loads(asking.recv(LARGEST)) for _ in range(2))
    ours.close()  # nobody asks any more
    ended = os.waitstatus_to_exitcode(os.waitpid(template, 0)[1])
    print(json.dumps([hello, "number" in number, status, ended]))
"""


def serve_once(folder: Path, function: str) -> list[Any]:
    write_tree(folder, SHED)
    (folder / "here").mkdir()
    told: list[Any] = json.loads(
        run_python(SERVING, folder, function, folder=folder, paths=(folder / "shed", folder / "tools"))
    )
    return told


def test_a_template_says_what_it_looked_for_and_becomes_what_is_asked_for(tmp_path: Path) -> None:
    hello, is_numbered, status, ended = serve_once(tmp_path, "report")
    assert hello["ready"]
    assert hello["facts"] == {"told": {"a": 1}}
    assert {"hoe", "rake", "shed", "sitecustomize"} <= set(hello["asked"])
    assert {str(tmp_path / "shed"), str(tmp_path / "tools")} <= set(hello["used"])
    assert (is_numbered, status, ended) == (True, {"status": 0}, 0)
    answer = json.loads((tmp_path / "answer").read_text())
    assert answer["hoe"]
    assert answer["here"] == str(tmp_path / "here")
    assert (answer["season"], answer["gone"], answer["leads"]) == ("spring", None, True)
    assert answer["path"][0] == str(tmp_path / "more")
    assert not answer["looked_through"]  # by the collector, which would copy the template's memory
    assert (tmp_path / "log").read_text() == "digging\n"


def test_a_child_that_dies_is_told_with_its_status(tmp_path: Path) -> None:
    *_, status, ended = serve_once(tmp_path, "die")
    assert (status, ended) == ({"status": 7}, 0)


def test_what_is_looked_for_is_noted_and_then_no_more(tmp_path: Path) -> None:
    write_tree(tmp_path, SHED)
    with importable(tmp_path / "tools"):
        with template_process._noting() as (asked, used):
            import_or_not("hoe")
            import_or_not("rake.head")
        assert asked == {"hoe", "rake"}
        assert used == {str(tmp_path / "tools")}
        import_or_not("spade")
    assert "spade" not in asked


def import_or_not(name: str) -> None:
    with contextlib.suppress(ImportError):
        importlib.import_module(name)


def test_entries_of_modules_are_those_of_their_top_level_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.machinery.ModuleSpec
    package = spec("garden", None, origin=f"{tmp_path}/garden/__init__.py", is_package=True)
    package.submodule_search_locations = [f"{tmp_path}/garden", "/elsewhere/garden"]
    module = importlib.util.spec_from_file_location("plain", tmp_path / "plain.py")
    monkeypatch.setattr(sys, "path", [str(tmp_path), os.sep])
    found = template_process._used_entries(
        [None, package, spec("garden.beds", None), spec("sys", None), module]
    )
    assert list(found) == [str(tmp_path)] * 2


def test_a_fork_draws_its_own_numbers_and_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import multiprocessing.process

    numpy = pytest.importorskip("numpy")
    process = multiprocessing.process.current_process()
    monkeypatch.setattr(multiprocessing.process, "ORIGINAL_DIR", "/before")
    before = bytes(process.authkey)
    monkeypatch.setitem(process._config, "authkey", process.authkey)  # type: ignore[attr-defined]
    state = numpy.random.get_state()
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    template_process._become({"umask": 0o022, "variables": {}, "sys_path": ["/lib"]})
    assert sys.path == ["/lib"]
    assert bytes(process.authkey) != before
    assert str(tmp_path) == multiprocessing.process.ORIGINAL_DIR  # type: ignore[attr-defined]
    assert numpy.random.get_state()[1].tolist() != state[1].tolist()
    numpy.random.set_state(state)
