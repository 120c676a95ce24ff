"""In a clean process code starts no program and reaches no other machine, unless that is allowed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import importable, write_tree
from wardian.processes.clean import ChildError, CleanProcesses
from wardian.processes.fence import ALLOWABLE, RefusedError, _host_of

WORK = """
--- chores.py
import concurrent.futures, contextlib, ctypes.util, os, platform, socket, subprocess, sys, threading, uuid

def run(request):
    return {"answer": eval(request["code"], globals())}

def coping(request):
    try:
        subprocess.run(["no-such-installer", "install", "leaves"], check=True)
    except FileNotFoundError:
        return {}
    raise AssertionError("it was started")

def loopback():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        return "connected"

def threaded(call, argument):
    failed = []
    def note(arguments):
        failed.append(arguments.exc_type.__name__)
    threading.excepthook = note
    thread = threading.Thread(target=call, args=(argument,))
    thread.start()
    thread.join()
    return failed[0]

def pooled(call, argument):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return type(pool.submit(call, argument).exception()).__name__

def pair():
    one, other = socket.socketpair()
    with one, other:
        one.sendall(b"x")
        return other.recv(1).decode()
"""


@pytest.fixture
def ask(tmp_path: Path) -> Any:
    def ask(code: str, **options: Any) -> Any:
        with importable(write_tree(tmp_path, WORK)):
            return CleanProcesses(**options).run("chores.run", {"code": code})["answer"]

    return ask


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("subprocess.run(['git', 'status'])", "start a process: git status"),
        ("subprocess.run('echo a', shell=True)", "start a process: "),
        ("os.system('echo a')", "start a process: echo a"),
        ("os.popen('echo a')", "start a process: "),
        ("os.execv(sys.executable, [sys.executable, '-c', '1'])", f"start a process: {sys.executable}"),
        ("os.posix_spawn(sys.executable, [sys.executable], {})", "start a process: "),
        ("socket.create_connection(('192.0.2.1', 80), 1)", "reach 192.0.2.1"),
        ("socket.getaddrinfo('example.invalid', 80)", "reach example.invalid"),
        ("socket.gethostbyname('example.invalid')", "reach example.invalid"),
        ("socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))", "reach 192.0.2.1"),
    ],
)
def test_what_reaches_out_is_refused_and_told_with_the_line_that_allows_it(
    code: str, told: str, ask: Any
) -> None:
    with pytest.raises(ChildError) as caught:
        ask(code)
    assert caught.value.summary.startswith("RefusedError: ")
    assert "a clean process must not " in caught.value.summary
    assert f"while it ran, code wanted to {told}" in caught.value.output
    kind = "network" if "socket" in code else "processes"
    assert f'allow=("{kind}",)' in caught.value.output


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("loopback()", "connected"),
        ("pair()", "x"),
        ("ctypes.util.find_library('c') is not None", True),
        ("platform.processor() is not None", True),
        # It forks, and the copy may not start the program.
        ("os.spawnv(os.P_WAIT, sys.executable, [sys.executable, '-c', '1'])", 127),
        ("os.waitpid(os.fork() or os._exit(0), 0)[1]", 0),
    ],
)
def test_what_harms_nobody_works(code: str, answer: Any, ask: Any) -> None:
    assert ask(code) == answer


def test_what_is_allowed_works(ask: Any) -> None:
    assert ask("os.system('exit 0')", allow=("processes",)) == 0
    with pytest.raises(ChildError, match="reach 192"):
        ask("socket.create_connection(('192.0.2.1', 80), 1)", allow=("processes",))


def test_code_that_copes_with_what_is_not_there_goes_on_and_it_is_remembered(tmp_path: Path) -> None:
    processes = CleanProcesses()
    with importable(write_tree(tmp_path, WORK)):
        processes.run("chores.coping", {})
    assert list(processes.refused) == ["start a process: no-such-installer install leaves"]


def test_the_fence_is_up_in_clean_processes_only() -> None:
    assert os.system("exit 0") == 0
    assert issubclass(RefusedError, PermissionError)
    assert ALLOWABLE == ("network", "processes")


@pytest.mark.parametrize(
    "code",
    [
        "threaded(subprocess.check_call, ['no-such-installer'])",
        "threaded(os.system, 'no-such-installer')",
        "pooled(os.system, 'no-such-installer')",
    ],
)
def test_a_thread_that_was_told_what_to_start_starts_nothing(code: str, ask: Any) -> None:
    assert ask(code) == "RefusedError"


@pytest.mark.parametrize("host", ["localhost.evil.example", "127.evil.example", "::1evil", "1270.0.0.1"])
def test_a_name_that_begins_like_this_machine_is_another(host: str) -> None:
    assert _host_of(host) == f"reach {host}"


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.", "127.0.0.9", "::1", "::ffff:127.0.0.1", None, ""]
)
def test_this_machine_is_no_other(host: str | None) -> None:
    assert _host_of(host) is None
