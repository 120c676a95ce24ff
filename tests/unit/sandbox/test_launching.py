"""Which way there is to start a child, what the child finds, and what is left if it cannot be started."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from wardian.errors import SandboxUnavailableError
from wardian.sandbox import bubblewrap, landlock, launching
from wardian.sandbox.launching import Limits, Started, Way, start

LIMITS = Limits(memory=1 << 20, seconds=10)
SHELL = ["/bin/sh", "-c", "env; pwd; umask"]


def started(way: Way | None = None, path: str = "/dev/null") -> Started:
    return start(path, "oak.case", digest="0" * 64, limits=LIMITS, way=way, size=100)


def ways() -> list[Way]:
    here: list[Way] = ["landlock"] if landlock.version() >= landlock.NEEDED else []
    return [*here, "bubblewrap"] if bubblewrap.find()[0] is not None else here


def printed(child: Started) -> str:
    child.process.wait()
    os.set_blocking(child.printed, True)
    with open(child.printed, "rb") as file:
        text = file.read().decode()
    child.socket.close()
    if child.folder is not None:
        child.folder.close()
    return text


# Which way


@pytest.mark.parametrize(
    ("way", "version", "missing"),
    [
        (None, 1, ["bubblewrap", "this kernel has version 1"]),
        (None, 0, ["bubblewrap", "does not have it, or it is switched off"]),
        ("bubblewrap", 9, ["bubblewrap"]),
        ("landlock", 2, ["this kernel has version 2"]),
    ],
)
def test_what_is_missing_is_said_for_each_way_that_was_asked_for(
    way: Way | None, version: int, missing: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(landlock, "version", lambda: version)
    with pytest.raises(SandboxUnavailableError) as caught:
        started(way)
    assert len(caught.value.missing) == len(missing)
    for said, words in zip(caught.value.missing, missing, strict=True):
        assert words in said
        assert f"\n  {said}" in str(caught.value)


@pytest.mark.parametrize("way", [None, "landlock", "bubblewrap"])
def test_a_machine_that_no_way_knows_is_told_once(way: Way | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: landlock.NEEDED)
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(SandboxUnavailableError) as caught:
        started(way)
    assert caught.value.missing == ("the filter of system calls knows x86_64 and aarch64 only",)
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SandboxUnavailableError) as caught:
        started(way)
    assert caught.value.missing[0] == "cages are for Linux only"


# What the child finds


@pytest.mark.parametrize("way", ways())
def test_the_child_has_no_variables_no_folder_and_no_input_of_ours(
    way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "topsecret")
    monkeypatch.setattr(launching, "_interpreter", lambda told: SHELL)
    text = printed(started(way))
    assert "topsecret" not in text
    lines = text.splitlines()
    home = "/tmp" if way == "bubblewrap" else next(w[5:] for w in lines if w.startswith("HOME="))
    assert {f"HOME={home}", f"TMPDIR={home}", f"WARDIAN_CACHE={home}/cache", "PATH=/usr/bin:/bin"} < {*lines}
    assert ("/tmp" if way == "bubblewrap" else "/") in lines  # where it starts
    assert "0077" in lines
    assert not Path(home, "cache").exists()


@pytest.mark.parametrize("way", ways())
def test_the_child_is_told_what_to_open_and_within_which_limits(
    way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "case").write_text("the case")
    told: dict[str, Any] = {}

    def interpreter(facts: dict[str, Any]) -> list[str]:
        told.update(facts)
        return ["/bin/cat", facts["path"]]

    monkeypatch.setattr(launching, "_interpreter", interpreter)
    child = started(way, str(tmp_path / "case"))
    assert child.way == way
    assert printed(child) == "the case"
    assert told["path"] == ("/case/oak.case" if way == "bubblewrap" else str(tmp_path / "case"))
    assert (told["parent"], told["digest"]) == (os.getpid(), "0" * 64)
    # The file itself is no part of what its code may use.
    assert told["limits"] == {"memory": LIMITS.memory + 100, "seconds": 10}
    if way == "landlock":
        assert told["landlock"]["write"] == [told["landlock"]["home"], os.devnull]
        assert str(tmp_path / "case") in told["landlock"]["read"]
    else:
        assert told["landlock"] is None


def test_the_child_imports_what_is_installed_and_nothing_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "project").mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "real/site-packages").mkdir(parents=True)
    (tmp_path / "linked/site-packages").symlink_to(tmp_path / "real/site-packages")
    monkeypatch.setattr(
        sys, "path", ["", str(tmp_path / "project"), str(tmp_path / "linked/site-packages"), *sys.path]
    )
    places = launching._search_path()
    assert str(tmp_path / "real/site-packages") in places
    assert {"", str(tmp_path), str(tmp_path / "project")}.isdisjoint(places)
    assert os.path.dirname(os.__file__) in places
    readable = launching._readable()
    assert str(tmp_path / "real/site-packages") in readable
    assert all(os.path.realpath(place) == place for place in (*places, *readable))


def test_no_folder_of_users_or_of_the_system_is_readable_because_something_is_linked_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site-packages").mkdir()
    for name, place in (
        ("a", os.path.expanduser("~")),
        ("b", "/etc"),
        ("c", "/"),
        ("d", str(tmp_path / "lib")),
    ):
        (tmp_path / "site-packages" / name).symlink_to(place)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site-packages"), *sys.path])
    readable = launching._readable()
    assert str(tmp_path / "lib") in readable
    assert {os.path.expanduser("~"), "/etc", "/"}.isdisjoint(readable)


# What is left


def test_nothing_is_left_of_a_child_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    if "landlock" not in ways():
        pytest.skip("this kernel has no Landlock")
    folders = []
    make_home = launching._home_in

    def noting(folder: Any) -> str:
        folders.append(folder.path)
        return make_home(folder)

    monkeypatch.setattr(launching, "_home_in", noting)
    monkeypatch.setattr(launching, "_interpreter", lambda told: ["/nowhere/python"])
    launching._lasting_thread(os.getpid()).submit(int).result()
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        started("landlock")
    assert len(os.listdir("/proc/self/fd")) == before
    assert [path for path in folders if path.exists()] == []


def test_children_are_started_by_one_thread_that_lasts() -> None:
    def start_one() -> None:
        launching._start_in_a_lasting_thread(["/bin/true"]).wait()

    for _ in range(2):
        thread = threading.Thread(target=start_one)
        thread.start()
        thread.join()
    assert [t.name for t in threading.enumerate()].count(f"wardian-cages-of-{os.getpid()}_0") == 1


def test_a_child_that_nobody_waits_for_any_more_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    may_start = threading.Event()

    class Impatient(ThreadPoolExecutor):
        def submit(self, work: Any, /, *given: Any, **named: Any) -> Future[Any]:
            future = super().submit(lambda: work() if may_start.wait() else None)

            def result(timeout: float | None = None) -> Any:
                raise KeyboardInterrupt

            made.append(future)
            monkeypatch.setattr(future, "result", result)
            return future

    made: list[Future[Any]] = []
    with Impatient(1) as threads:
        monkeypatch.setattr(launching, "_lasting_thread", lambda process: threads)
        with pytest.raises(KeyboardInterrupt):
            launching._start_in_a_lasting_thread(["/bin/cat"], stdin=subprocess.PIPE)
        (future,) = made
        monkeypatch.undo()  # who is told of its end asks for the result, too
        may_start.set()
    process = future.result()
    assert process.wait() < 0
    assert process.stdin is not None
    process.stdin.close()
