"""What belongs to a process or a platform comes back as a new one, or is refused with the way out."""

from __future__ import annotations

import asyncio
import concurrent.futures
import concurrent.futures.process
import csv
import http.server
import multiprocessing
import multiprocessing.pool
import os
import pathlib
import posixpath
import queue
import random
import secrets
import selectors
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.capture.transplant import execute, take, transplant
from wardian.errors import UnpicklableError
from wardian.pickling.reducers.process import reduce_path
from wardian.processes.pools import revive_pools
from wardian.processes.rehearsal import rehearsing
from wardian.wording import with_article

Pool = concurrent.futures.ThreadPoolExecutor


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool(2, "net", initializer=list, initargs=((1,),)) as made:
        made.submit(len, "ab").result()
        yield made


def test_a_pool_that_has_run_is_a_new_one(pool: Pool) -> None:
    with transplant([pool])[0] as made:
        assert (made._max_workers, made._thread_name_prefix) == (2, "net")
        assert (made._initializer, made._initargs, len(made._threads)) == (list, ((1,),), 0)
        assert made.submit(len, "abc").result() == 3


def test_two_pools_without_a_name_are_the_same_bytes() -> None:
    with Pool(1) as one, Pool(1) as two:
        assert take([one])[0] == take([two])[0]


def test_a_pool_that_was_shut_down_stays_so(pool: Pool) -> None:
    pool.shutdown()
    with pytest.raises(RuntimeError, match="shutdown"):
        transplant([pool])[0].submit(len, "")


def test_a_pool_of_a_class_of_the_user_keeps_what_that_added() -> None:
    made = execute(
        "import concurrent.futures\nclass Named(concurrent.futures.ThreadPoolExecutor):\n"
        "    def __init__(self, owner):\n        super().__init__(3)\n        self.owner = owner\n"
        "class Net:\n    def __init__(self):\n        self.pool = Named(self)\nnet = Net()\n"
    )
    copy = transplant([made["net"].pool])[0]
    assert copy.owner.pool is copy
    assert copy._max_workers == 3


def test_a_pool_whose_initializer_is_a_method_of_what_holds_it() -> None:
    made = execute(
        "import concurrent.futures\nclass Net:\n    def __init__(self):\n"
        "        self.pool = concurrent.futures.ThreadPoolExecutor(1, initializer=self.begin)\n"
        "    def begin(self):\n        self.begun = True\nnet = Net()\n"
    )
    with transplant([made["net"].pool])[0] as pool:
        pool.submit(len, "").result()
        assert pool._initializer.__self__.begun


def test_a_pool_of_processes_is_a_new_one() -> None:
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, context, max_tasks_per_child=5) as made:
        copy = transplant([made])[0]
    assert (copy._max_workers, copy._max_tasks_per_child) == (2, 5)
    assert copy._mp_context.get_start_method() == "spawn"
    copy.shutdown()


def test_a_pool_works_in_a_forked_process(pool: Pool) -> None:
    def work() -> str:
        revive_pools()
        return str([pool.submit(len, "ab").result(20), pool.submit(len, "abc").result(20)])

    with rehearsing(work) as copy:
        assert copy.answer(60) == "[2, 3]"


def test_python_has_the_private_names_by_which_pools_are_revived(pool: Pool) -> None:
    assert {"_threads", "_idle_semaphore", "_work_queue"} <= vars(pool).keys()
    assert callable(Pool._adjust_thread_count)
    assert callable(concurrent.futures.process.ProcessPoolExecutor._start_executor_manager_thread)


def test_a_thread_that_runs_has_ended_and_it_is_told() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="feeder", daemon=True)
    thread.start()
    _, capture = take([thread])
    copy = transplant([thread])[0]
    stop.set()
    thread.join()
    copy.join()
    assert (copy.name, copy.daemon, copy.is_alive()) == ("feeder", True, False)
    assert capture.warnings([]) == ["obj[0] is a thread ('feeder') that runs here and has ended in the case"]
    assert take([thread])[1].warnings([]) == []
    with pytest.raises(RuntimeError, match="once"):
        copy.start()


def test_a_thread_or_timer_that_was_not_started_can_be() -> None:
    seen: list[int] = []
    one = threading.Thread(target=seen.append, args=(1,), kwargs={})
    two = threading.Timer(0.0, seen.append, (2,))
    copies, found = transplant(((one, two), seen))
    for copy in copies:
        copy.start()
        copy.join()
    assert found == [1, 2]


def test_a_thread_that_runs_a_method_of_what_holds_it() -> None:
    made = execute(
        "import threading\nclass Worker(threading.Thread):\n    def __init__(self):\n        super().__init__()\n"
        "        self.done = False\n    def run(self):\n        self.done = True\nclass Net:\n"
        "    def __init__(self):\n        self.thread = threading.Thread(target=self.work)\n        self.worker = Worker()\n"
        "    def work(self):\n        self.worked = True\nnet = Net()\nnet.worker.start()\nnet.worker.join()\n"
    )
    thread = transplant([made["net"].thread])[0]
    thread.start()
    thread.join()
    net = thread._target.__self__ if hasattr(thread, "_target") else None
    assert net is None or net.worked
    worker = transplant([made["net"].worker])[0]
    assert worker.done
    assert not worker.is_alive()


def test_the_main_thread_is_that_of_the_process() -> None:
    assert transplant([threading.main_thread()])[0] is threading.main_thread()


def test_what_is_like_a_lock_can_be_used() -> None:
    condition, semaphore = threading.Condition(), threading.BoundedSemaphore(3)
    with condition, semaphore:
        copies = transplant([condition, semaphore, threading.Barrier(2), queue.Queue(3), queue.LifoQueue()])
    with copies[0]:
        copies[0].notify_all()
    assert copies[1]._value == 2
    copies[3].put(1)
    assert (copies[2].parties, copies[3].maxsize, copies[3].get()) == (2, 3, 1)


def test_an_event_loop_is_a_new_one() -> None:
    loops = asyncio.new_event_loop(), asyncio.new_event_loop()
    loops[1].close()
    copy, closed = transplant(loops)
    assert copy.run_until_complete(asyncio.sleep(0, 5)) == 5
    assert closed.is_closed()
    copy.close()
    loops[0].close()


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_a_way_to_start_processes_is_named(method: str) -> None:
    assert transplant([multiprocessing.get_context(method)])[0].get_start_method() == method


def test_what_processes_share_is_new() -> None:
    context = multiprocessing.get_context()
    barrier = context.Barrier(2)
    copies = transplant(
        [
            context.Lock(),
            context.Semaphore(4),
            context.Condition(),
            barrier,
            context.Queue(),
            context.Value("i", 7),
        ]
    )
    assert copies[1].get_value() == 4
    assert copies[3].parties == 2
    assert copies[5].value == 7


def test_what_is_of_the_system() -> None:
    class Own(random.SystemRandom):
        pass

    own = Own()
    own.note = [own]  # type: ignore[attr-defined]
    made = transplant([secrets.SystemRandom(), own, os.environ])
    assert 0 <= made[0].random() < 1
    assert made[1].note == [made[1]]
    assert made[1].choice([3]) == 3
    assert made[2] is os.environ


def test_files_and_sockets_are_closed_or_go_nowhere() -> None:
    near, far = socket.socketpair()
    with near, far, open(os.devnull, "w", encoding="utf-8") as stream:
        sock, file, rows = transplant([near, stream, csv.writer(stream)])
        _, capture = take({"near": near})
    assert capture.warnings([]) == ["obj['near'] is a socket that is open here and closed in the case"]
    assert take(near)[1].warnings([]) == []
    assert sock.fileno() == -1
    file.write("text")
    rows.writerow([1])
    file.close()


def test_files_that_drop_what_they_are_given_are_told(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    with path.open("w", encoding="utf-8") as text, path.open("ab", buffering=0) as data:
        copies, capture = transplant([text]), take([data, {"log": text}])[1]
    told = f"is a file that is open for writing here ({path}): the case drops what is written to it"
    assert capture.replaced == [f"obj[0] {told}", f"obj[1]['log'] {told}"]
    assert capture.warnings([]) == []
    assert take([text])[1].replaced == [], "it is closed"
    assert take(copies)[1].replaced == [], "it has dropped all before"


def test_a_file_that_a_script_holds_is_told_by_its_name(tmp_path: Path) -> None:
    made = execute(f"log = open({str(tmp_path / 'a')!r}, 'w')\ndef cut(x):\n    log.write(x)\n")
    with made["log"]:
        (told,) = take(made["cut"])[1].replaced
    assert told.startswith("notebook.log is a file that is open for writing here (")


def test_streams_of_every_process_and_what_drops_all_are_not_told() -> None:
    with open(os.devnull, "w", encoding="utf-8") as null, open(2, "w", closefd=False) as error:
        assert take([null, error, sys.stderr])[1].replaced == []


@pytest.mark.parametrize(
    ("make", "fix"),
    [
        (concurrent.futures.Future, "result"),
        (lambda: _with(multiprocessing.pool.ThreadPool(1), "terminate"), "ThreadPoolExecutor"),
        (lambda: _with(queue.SimpleQueue(), "put", 1), "empty it"),
        (lambda: _with(multiprocessing.Event(), "set"), "clear"),
        (multiprocessing.Process, "where it is used first"),
        (lambda: _with(selectors.SelectSelector(), "register", 0, selectors.EVENT_READ), "unregister"),
        (lambda: _unmade(asyncio.Future), "await"),
    ],
)
def test_what_would_not_go_on_is_refused_with_a_way_out(make: Callable[[], Any], fix: str) -> None:
    class Net:
        pass

    net, part = Net(), make()
    net.part = [part]  # type: ignore[attr-defined]
    kind = with_article(type(part).__qualname__)
    with pytest.raises(UnpicklableError, match=rf"(?s)obj\.part\[0\] is {kind} .*fix: .*{fix}"):
        take(net)


def _unmade(kind: Any) -> Any:
    """Return an instance without what its constructor would begin."""
    return kind.__new__(kind)


def _with(obj: Any, method: str, *arguments: Any) -> Any:
    getattr(obj, method)(*arguments)
    return obj


def test_names_of_the_platform_are_written_as_those_of_every_platform(tmp_path: pathlib.Path) -> None:
    data, _ = take(
        [
            *(tmp_path, pathlib.Path("a/b"), os.path, os.path.join, os.getpid, pathlib.PurePosixPath("a")),
            *(selectors.DefaultSelector(), selectors.DefaultSelector, asyncio.SelectorEventLoop),
        ]
    )
    assert posixpath.__name__.encode() not in data
    for name in (b"PosixPath\x94", b"Epoll", b"Kqueue", b"unix_events", b"Unix", b"\x05posix"):
        assert name not in data.replace(b"PurePosixPath", b"")
    back = transplant([tmp_path, pathlib.Path("a/b"), os.path, os.path.join, os.getpid])
    assert back == [tmp_path, pathlib.Path("a/b"), os.path, os.path.join, os.getpid]


def test_only_paths_of_the_own_class_are_reduced() -> None:
    assert reduce_path(pathlib.Path("a/b")) == (pathlib.Path, ("a", "b"))
    assert reduce_path(pathlib.PurePath("a")) is NotImplemented
    assert reduce_path("a") is NotImplemented


def test_a_class_that_says_how_it_is_pickled_is_heard() -> None:
    made = execute(
        "import io, threading\nclass Worker(threading.Thread):\n    def __reduce__(self):\n        return Worker, ()\n"
        "worker = Worker()\nworker.note = 1"
    )
    assert not hasattr(transplant([made["worker"]])[0], "note")


def test_a_server_that_listens_is_refused_and_a_closed_one_comes_back() -> None:
    with (
        http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server,
        pytest.raises(UnpicklableError, match="it listens in this process"),
    ):
        take([server])
    assert transplant([server])[0].socket.fileno() == -1
