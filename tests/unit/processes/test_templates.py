"""Templates, made ready by a module written here: what a fork has is what a new interpreter would have."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support import ends, importable, start_python, write_tree
from wardian.errors import TimeLimitError
from wardian.processes import templates
from wardian.processes.clean import ChildError, CleanProcesses, Start

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has templates")

SHED = """
--- shed.py
import multiprocessing.process
import os
import random
import signal
import sys
import threading
import time

def prepare(arguments):
    with open(arguments["told"], "a") as told:
        print(os.getpid(), file=told)
    try:
        import hoe
    except ImportError:
        pass
    return {"arguments": arguments}

def prepare_badly(arguments):
    prepare(arguments)
    raise LookupError("the door is locked")

def prepare_with_someone(arguments):
    prepare(arguments)
    threading.Thread(target=threading.Event().wait, daemon=True).start()

def prepare_for_ever(arguments):
    prepare(arguments)
    signal.pause()

def begin(request):
    prepare(request["begun"])
    sys.modules["plant_in_spring"] = os

def begin_badly(request):
    begin(request)
    raise LookupError("it froze")

def begin_with_someone(request):
    begin(request)
    threading.Thread(target=threading.Event().wait, daemon=True).start()

def prepare_for_ever_beforehand(request):
    signal.pause()

def show_once(request):
    if "plant_in_spring" in sys.modules and os.path.exists(request["frost"]):
        return {"outdated": True}
    return show(request)

def show(request):
    hoe = sys.modules.get("hoe")
    with open("/proc/self/status") as status:
        umask = next(line.split()[1] for line in status if line.startswith("Umask"))
    return {
        "process": os.getpid(),
        "parent": os.getppid(),
        "leads": os.getsid(0) == os.getpid(),
        "folder": os.getcwd(),
        "began": multiprocessing.process.ORIGINAL_DIR,
        "key": multiprocessing.current_process().authkey.hex(),
        "path": sys.path,
        "umask": umask,
        "limit": sys.getrecursionlimit(),
        "threads": len(os.listdir("/proc/self/task")),
        "variables": {name: os.environ.get(name) for name in request.get("names", ())},
        "open": sorted(os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if n in "012"),
        "others": [n for n in os.listdir("/proc/self/fd") if int(n) > 2],
        "hash": hash("spade"),
        "random": random.random(),
        "hoe": None if hoe is None else hoe.__file__,
        "plants": sorted(name for name in sys.modules if name.startswith("plant")),
        "arguments": sys.argv,
    }

def fail(request):
    print("it rained")
    raise LookupError("no spade")

def die(request):
    os._exit(7)

def end_badly(request):
    os.kill(os.getpid(), signal.SIGSEGV)

def wait(request):
    with open(request["told"], "w") as told:
        told.write(str(os.getpid()))
    signal.pause()

def hold(request):
    with open(request["fifo"]) as fifo:
        return {"told": fifo.read()}

def plant(request):
    import plants
    return {}
"""


class Shed:
    """A folder with a module that counts how often a template is made ready."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._told = folder.with_name("told.txt")

    def start(self, prepare: str = "shed.prepare", **more: Any) -> Start:
        return Start(prepare, {"told": str(self._told), **more})

    def ask(
        self,
        work: str = "shed.show",
        start: Start | None = None,
        further: Start | None = None,
        **request: Any,
    ) -> dict[str, Any]:
        told = {**request, **self.request}
        return CleanProcesses(limit=120).run(work, told, start or self.start(), further)

    @property
    def request(self) -> dict[str, Any]:
        """The part of a request that `begin` reads."""
        return {"begun": {"told": str(self._told)}}

    @property
    def made(self) -> list[int]:
        """The processes that were made ready."""
        return [int(line) for line in self._told.read_text().split()] if self._told.exists() else []


@pytest.fixture
def shed(tmp_path: Path) -> Iterator[Shed]:
    folder = write_tree(tmp_path / "shed", SHED)
    with importable(folder):
        yield Shed(folder)
    templates.end_templates()


def test_many_processes_fork_from_one_that_was_made_ready_once(shed: Shed) -> None:
    first, second = shed.ask(), shed.ask()
    assert len(shed.made) == 1
    assert first["parent"] == second["parent"] == shed.made[0]
    assert first["process"] != second["process"]
    assert first["hash"] == second["hash"]  # one interpreter, one seed
    assert first["random"] != second["random"]  # which is drawn anew
    assert first["key"] != second["key"]


def test_a_fork_has_what_this_process_has_now(
    shed: Shed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shed.ask()
    write_tree(tmp_path, "--- plot/hedge.txt\ngreen")
    monkeypatch.chdir(tmp_path / "plot")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "plot"), *sys.path])
    monkeypatch.setenv("WARDIAN_CACHE", str(tmp_path / "elsewhere"))
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    before, limit = os.umask(0o027), sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 7)
    try:
        found = shed.ask(names=["WARDIAN_CACHE", "PYTEST_CURRENT_TEST", "WARDIAN_CLEAN_PROCESS"])
    finally:
        os.umask(before)
        sys.setrecursionlimit(limit)
    assert len(shed.made) == 1
    assert found["folder"] == found["began"] == str(tmp_path / "plot")
    assert found["path"][:2] == [str(tmp_path / "plot"), str(shed.folder)]
    assert found["umask"] == "0027"
    assert found["limit"] == limit + 7
    assert found["variables"] == {
        "WARDIAN_CACHE": str(tmp_path / "elsewhere"),
        "PYTEST_CURRENT_TEST": None,
        "WARDIAN_CLEAN_PROCESS": "1",
    }
    assert found["leads"]
    assert found["threads"] == 1
    assert found["arguments"] == ["-c"]


def test_a_fork_and_a_new_interpreter_have_the_same_open_files(shed: Shed) -> None:
    forked = shed.ask()
    alone = CleanProcesses(limit=120, isolated=True).run("shed.show", {}, shed.start())
    assert alone["parent"] == os.getpid()
    assert (forked["open"][0], forked["others"]) == (alone["open"][0], alone["others"])
    assert len(shed.made) == 2


def test_a_fork_is_no_child_of_this_process(shed: Shed) -> None:
    shed.ask()
    status = Path(f"/proc/{shed.made[0]}/stat").read_text()
    assert int(status.rpartition(")")[2].split()[1]) != os.getpid()


@pytest.mark.parametrize("how", ["variable", "limit", "signal", "processors"])
def test_what_is_read_when_a_process_starts_is_that_of_this_process(
    shed: Shed, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource

    shed.ask()
    if how == "variable":
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        shed.ask()
    elif how == "limit":
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
        try:
            shed.ask()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    elif how == "signal":
        before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        try:
            shed.ask()
        finally:
            signal.signal(signal.SIGUSR1, before)
    else:
        processors = os.sched_getaffinity(0)
        if len(processors) == 1:
            pytest.skip("there is one processor")
        os.sched_setaffinity(0, {min(processors)})
        try:
            shed.ask()
        finally:
            os.sched_setaffinity(0, processors)
    assert len(shed.made) == 2
    shed.ask()
    assert len(shed.made) == 2


def test_a_folder_that_has_what_was_looked_for_asks_for_another_template(shed: Shed, tmp_path: Path) -> None:
    assert shed.ask()["hoe"] is None
    for name, count in {"plot": 1, "tools": 2, "plugs": 3}.items():
        content = {"plot": "plants.py", "tools": "hoe.py", "plugs": "rake-1.0.dist-info/METADATA"}[name]
        write_tree(tmp_path / name, f"--- {content}\n")
        with importable(tmp_path / name):
            found = shed.ask()
        assert len(shed.made) == count, name
        assert found["hoe"] == (str(tmp_path / "tools" / "hoe.py") if name == "tools" else None)
    shed.ask()
    assert len(shed.made) == 3


def test_a_folder_that_has_changed_is_looked_at_again(shed: Shed, tmp_path: Path) -> None:
    (tmp_path / "plot").mkdir()
    with importable(tmp_path / "plot"):
        shed.ask()
        write_tree(tmp_path / "plot", "--- plants.py\n")
        shed.ask()
        assert len(shed.made) == 1
        write_tree(tmp_path / "plot", "--- hoe.case\n")  # no import finds it
        shed.ask()
        assert len(shed.made) == 1
        write_tree(tmp_path / "plot", "--- hoe.py\n")
        assert shed.ask()["hoe"] == str(tmp_path / "plot" / "hoe.py")
        assert len(shed.made) == 2
    # Where a module was found, anything new may be another one.
    write_tree(shed.folder, "--- plants.py\n")
    shed.ask()
    assert len(shed.made) == 3


def test_who_starts_a_template_otherwise_decides_whether_it_serves(shed: Shed) -> None:
    seen: list[Any] = []

    def serves(arguments: Any, facts: Any) -> bool:
        seen.append((arguments["for"], facts["arguments"]["for"]))
        return bool(arguments["for"] == "roses")

    shed.ask(start=shed.start(**{"for": "roses"}))
    shed.ask(start=replace(shed.start(**{"for": "oaks"}), serves=serves))
    assert len(shed.made) == 1
    assert seen == [("roses", "roses")]
    shed.ask(start=replace(shed.start(**{"for": "elms"}), serves=lambda *_: False))
    assert len(shed.made) == 2


def test_one_that_will_be_asked_for_is_started_if_none_may_serve(shed: Shed) -> None:
    processes = CleanProcesses()
    never = replace(shed.start(number=1), serves=lambda *_: False)
    processes.start_early(shed.start())
    processes.start_early(never)  # the first is not ready, and might serve
    shed.ask()
    assert len(shed.made) == 1
    processes.start_early(shed.start())
    processes.start_early(never)
    shed.ask(start=never)
    assert len(shed.made) == 2


def test_templates_that_begin_anew_leave_nothing_for_the_end_of_the_process(shed: Shed) -> None:
    shed.ask()
    before = atexit._ncallbacks()
    templates.end_templates()
    shed.ask()
    assert len(shed.made) == 2
    assert atexit._ncallbacks() == before


def test_what_one_fork_imports_no_other_has(shed: Shed) -> None:
    write_tree(shed.folder, "--- plants.py\n")
    shed.ask("shed.plant")
    assert shed.ask()["plants"] == []


def test_errors_and_ends_are_told_as_of_a_new_interpreter(shed: Shed) -> None:
    with pytest.raises(ChildError) as caught:
        shed.ask("shed.fail")
    assert caught.value.summary == "LookupError: no spade"
    assert caught.value.output.startswith("it rained\nTraceback")
    with pytest.raises(ChildError, match="the process ended with status 7"):
        shed.ask("shed.die")
    with pytest.raises(ChildError, match="the process ended with status -11"):
        shed.ask("shed.end_badly")
    assert len(shed.made) == 1


def test_a_fork_that_takes_too_long_is_ended(shed: Shed, tmp_path: Path) -> None:
    told = tmp_path / "number"
    shed.ask()
    with pytest.raises(TimeLimitError, match="it was in wait, "):
        CleanProcesses(limit=2.0).run("shed.wait", {"told": str(told)}, shed.start())
    assert ends(int(told.read_text()))
    assert shed.ask()["parent"] == shed.made[0]


def test_a_template_that_takes_too_long_is_given_up(shed: Shed) -> None:
    with pytest.raises(TimeLimitError):
        CleanProcesses(limit=0.5).run("shed.show", {}, shed.start("shed.prepare_for_ever"))


def test_a_template_that_is_not_ready_ends_when_nobody_waits_for_it(shed: Shed) -> None:
    CleanProcesses().start_early(shed.start("shed.prepare_for_ever"))
    while not shed.made:
        os.sched_yield()
    templates.end_templates()
    assert ends(shed.made[0])


@pytest.mark.parametrize("prepare", ["shed.prepare_badly", "shed.prepare_with_someone"])
def test_without_a_template_there_is_a_new_interpreter(shed: Shed, prepare: str) -> None:
    if prepare == "shed.prepare_badly":  # which it tells about
        with pytest.raises(ChildError, match="the door is locked"):
            shed.ask(start=shed.start(prepare))
    else:
        for _ in range(2):
            found = shed.ask(start=shed.start(prepare))
            assert found["parent"] == os.getpid()
    # It is tried once, and never again.
    assert len(shed.made) == {"shed.prepare_badly": 2, "shed.prepare_with_someone": 3}[prepare]


def test_a_template_that_was_killed_is_replaced(shed: Shed) -> None:
    shed.ask()
    os.kill(shed.made[0], signal.SIGKILL)
    assert ends(shed.made[0])
    assert shed.ask()["parent"] == shed.made[1]


def test_templates_end_at_once_when_they_shall(shed: Shed) -> None:
    shed.ask()
    templates.end_templates()
    gc.collect()
    assert ends(shed.made[0])
    shed.ask()
    assert len(shed.made) == 2


def test_a_template_that_shall_end_lets_its_forks_finish(shed: Shed, tmp_path: Path) -> None:
    os.mkfifo(fifo := tmp_path / "fifo")
    shed.ask()
    found: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: found.append(shed.ask("shed.hold", fifo=str(fifo))))
    thread.start()
    with fifo.open("w") as told:  # which waits until the other end is open
        templates.end_templates()
        told.write("spring")
    thread.join()
    assert found == [{"told": "spring"}]
    assert ends(shed.made[0])
    assert len(shed.made) == 1


def test_the_least_used_of_many_ends(shed: Shed) -> None:
    starts = [replace(shed.start(number=n), serves=lambda *_: False) for n in range(5)]
    for start in starts:
        shed.ask(start=start)
    assert ends(shed.made[0])
    shed.ask(start=starts[-1])
    assert len(shed.made) == 5


def test_threads_ask_side_by_side(shed: Shed) -> None:
    shed.ask()
    found: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: found.append(shed.ask())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer["parent"] for answer in found} == set(shed.made)
    assert len({answer["process"] for answer in found}) == 6
    assert len(shed.made) == 1


def test_a_copy_of_this_process_has_templates_of_its_own(shed: Shed) -> None:
    shed.ask()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, str(shed.ask()["parent"]).encode())
        finally:
            templates.end_templates()
            os._exit(0)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        os.close(writing)
        parent = int(pipe.read())
    assert parent == shed.made[1]
    assert shed.ask()["parent"] == shed.made[0]


@pytest.mark.parametrize("how", ["killed", "done"])
def test_a_template_ends_with_the_process_that_started_it(shed: Shed, tmp_path: Path, how: str) -> None:
    os.mkfifo(tmp_path / "number")
    script = f"""
        import os, sys, threading
        from wardian.processes.clean import CleanProcesses, Start
        start = Start("shed.prepare", {{"told": {str(tmp_path / "told.txt")!r}}})
        def end():
            with open("number") as told:
                print(told.read(), flush=True)
            os.kill(os.getpid(), 9)
        if {how!r} == "killed":
            threading.Thread(target=end).start()
            CleanProcesses().run("shed.wait", {{"told": os.path.abspath("number")}}, start)
        else:
            print(CleanProcesses().run("shed.show", {{}}, start)["process"])
    """
    process = start_python(script, folder=tmp_path, paths=(shed.folder,))
    told, errors = process.communicate()
    assert process.returncode == {"killed": -signal.SIGKILL, "done": 0}[how], errors
    assert errors == ""
    assert ends(int(told))
    assert ends(shed.made[0])


def test_what_many_begin_with_is_done_once(shed: Shed) -> None:
    further = Start("shed.begin", {"digest": "oak"})
    first, second = shed.ask(further=further), shed.ask(further=Start("shed.begin", {"digest": "oak"}))
    template, begun = shed.made
    assert first["parent"] == second["parent"] == begun
    assert first["process"] != second["process"]
    assert first["plants"] == second["plants"] == ["plant_in_spring"]
    assert shed.ask()["parent"] == template
    assert shed.ask()["plants"] == []


def test_others_begin_anew_and_the_former_ones_template_ends(shed: Shed) -> None:
    shed.ask(further=Start("shed.begin", {"digest": "oak"}))
    again = shed.ask(further=Start("shed.begin", {"digest": "ash"}))
    template, one, other = shed.made
    assert again["parent"] == other != one
    assert ends(one)
    assert shed.ask()["parent"] == template
    templates.end_templates()
    assert ends(template)
    assert ends(other)


def test_what_likely_begins_alike_is_begun_early_by_a_template_that_is_there(shed: Shed) -> None:
    oak, ash = Start("shed.begin", {"digest": "oak"}), Start("shed.begin", {"digest": "ash"})
    with CleanProcesses().further_early(shed.start(), oak, shed.request):
        assert shed.made == []
    shed.ask()
    with CleanProcesses().further_early(shed.start(), oak, shed.request):
        answer = shed.ask(further=oak)
    assert answer["parent"] == shed.made[1]
    assert answer["plants"] == ["plant_in_spring"]
    with CleanProcesses().further_early(shed.start(), oak, shed.request):
        assert shed.ask(further=ash)["parent"] == shed.made[2]
    assert len(shed.made) == 3


@pytest.mark.parametrize("begin", ["shed.begin_badly", "shed.begin_with_someone"])
def test_a_beginning_after_which_none_can_fork_is_tried_once(begin: str, shed: Shed) -> None:
    further = Start(begin, {"digest": str(shed.folder)})
    for _ in range(2):
        answer = shed.ask(further=further)
        assert answer["parent"] == shed.made[0]
        assert answer["plants"] == []
    assert len(shed.made) == 2


def test_what_is_outdated_is_begun_anew(shed: Shed, tmp_path: Path) -> None:
    further, frost = Start("shed.begin", {"digest": "oak"}), tmp_path / "frost"
    assert shed.ask("shed.show_once", further=further, frost=str(frost))["parent"] == shed.made[1]
    frost.touch()
    answer = shed.ask("shed.show_once", further=further, frost=str(frost))
    assert answer["parent"] == shed.made[0]
    frost.unlink()
    assert shed.ask("shed.show_once", further=further, frost=str(frost))["parent"] == shed.made[2]


def test_a_beginning_that_takes_too_long_is_told_with_its_place(shed: Shed) -> None:
    further = Start("shed.prepare_for_ever_beforehand", {"digest": "oak"})
    shed.ask()
    with pytest.raises(TimeLimitError, match=r"it was in .*shed\.py") as caught:
        CleanProcesses(limit=1).run(
            "shed.show", {"begun": {"told": str(shed.folder / "t")}}, shed.start(), further
        )
    assert caught.value.limit == 1


def test_threads_that_begin_otherwise_do_not_wait_for_what_another_has_ended(shed: Shed) -> None:
    found: list[dict[str, Any]] = []

    def work(number: int) -> None:
        further = Start("shed.begin", {"digest": f"tree {number}"})
        found.extend(shed.ask(further=further) for _ in range(3))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer["plants"] for answer in found] == [["plant_in_spring"]] * 12


def test_who_waits_sees_that_templates_shall_end(shed: Shed) -> None:
    found: list[str] = []

    def ask() -> None:
        try:
            CleanProcesses(limit=60).run(
                "shed.show",
                {"begun": {"told": str(shed.folder / "t")}},
                shed.start(),
                Start("shed.prepare_for_ever_beforehand", {"digest": "oak"}),
            )
        except TimeLimitError:
            return
        found.append("answered")

    shed.ask()
    thread = threading.Thread(target=ask)
    thread.start()
    while not any(template.is_further for template in list(templates._templates)):
        os.sched_yield()
    templates.end_templates()
    thread.join()
    assert found == ["answered"]
