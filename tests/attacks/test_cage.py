"""A stranger's case in a cage: what it tries, and that nothing of it comes through."""

from __future__ import annotations

import functools
import json
import os
import pickle
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

import wardian
from tests.support import ends, write_case
from wardian.sandbox import bubblewrap, landlock
from wardian.sandbox.launching import Way, start

EVIL = r'''
import ctypes, json, mmap, os, pickle, signal, socket, struct, subprocess, sys, threading

def attempt(what, *words):
    """Return what came of it: an error is a text that begins with "refused"."""
    try:
        return globals()[what](*words)
    except (OSError, MemoryError) as error:
        return f"refused: {type(error).__name__}"

def read(path):
    with open(path) as file:
        return file.read()

def list_folder(path):
    return os.listdir(path)

def write(path):
    with open(path, "w") as file:
        return file.write("owned")

def open_to_write(path):
    """Open a file that is there for writing, and write nothing."""
    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY))
    return "open"

def find_what_can_be_written(*folders):
    """Return the files below folders that can be opened for writing, and how many were tried."""
    found, tried = [], 0
    for folder in folders:
        for place, inner, names in os.walk(folder):
            inner[:] = [name for name in inner if name not in ("fd", "map_files")]  # they are links
            for path in (os.path.join(place, name) for name in names):
                if os.path.islink(path):
                    continue
                tried += 1
                if not attempt("open_to_write", path).startswith("refused"):
                    found.append(path)
    return {"found": found, "tried": tried}

def mounts_that_can_be_written():
    with open("/proc/self/mountinfo") as file:
        rows = [line.split() for line in file]
    return sorted(row[4] for row in rows if "rw" in row[5].split(","))

def link(path):
    os.symlink("/etc/passwd", path)

def rename(path):
    os.rename(path, path + ".old")

def remove(path):
    os.unlink(path)

def cut(path):
    os.truncate(path, 0)

def change_mode(path):
    os.chmod(path, 0o777)

def make_file_of_its_own():
    path = os.path.join(os.environ["HOME"], "own")
    with open(path, "w") as file:
        file.write("mine")
    os.chmod(path, 0o600)
    with open(path) as file:
        return file.read()

def fill_the_disk():
    with open(os.path.join(os.environ["HOME"], "big"), "wb") as file:
        while True:
            file.write(bytes(1 << 24))

def connect(host, port):
    with socket.socket() as s:
        s.settimeout(5)
        s.connect((host, port))
        return "connected"

def send_datagram(host, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        return s.sendto(b"secret", (host, port))

def connect_to_file(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        return "connected"

def connect_to_name(name):
    """Connect to a socket that lies in no folder."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect("\0" + name)
        return "connected"

def send_to_file(path):
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return one.sendto(b"secret", path)

def own_files_of_process(pid):
    import fcntl
    reading, writing = os.pipe()
    fcntl.fcntl(reading, fcntl.F_SETOWN, pid)
    return "owned"

def choose_signal(pid):
    import fcntl
    reading, writing = os.pipe()
    fcntl.fcntl(reading, 10, int(signal.SIGKILL))
    return "chosen"

def listen():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        return "listening"

def start_program():
    return subprocess.run(["/bin/echo", "started"], capture_output=True, text=True).stdout

def spawn():
    return os.posix_spawn("/bin/true", ["true"], {})

def fork():
    pid = os.fork()
    if not pid:
        os._exit(0)
    return pid

def exec_program():
    os.execv("/bin/true", ["true"])

def signal_process(pid):
    os.kill(pid, signal.SIGKILL)
    return "sent"

def signal_everybody():
    os.kill(-1, signal.SIGKILL)
    return "sent"

def signal_group():
    os.killpg(0, signal.SIGTERM)
    return "sent"

def look_into_process(pid):
    return read(f"/proc/{pid}/environ")

def write_memory_of_process(pid):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, pid, 0, 0) != 0:  # PTRACE_ATTACH
        raise OSError(ctypes.get_errno())
    return "attached"

def limit_process(pid):
    import resource
    resource.prlimit(pid, resource.RLIMIT_CPU, (1, 1))
    return "limited"

def outlive_the_parent():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(1, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno())
    return "cleared"

def make_namespace():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10000000) != 0:
        raise OSError(ctypes.get_errno())
    return "made"

def use_io_uring():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(425, 8, ctypes.create_string_buffer(256)) < 0:
        raise OSError(ctypes.get_errno())
    return "made"

def use_second_numbers():
    """Call `socket` by the numbers of the x32 interface."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(0x40000000 + 41, 2, 1, 0) < 0:
        raise OSError(ctypes.get_errno())
    return "made"

def take_terminal():
    return open("/dev/tty").fileno()

def fill_memory():
    held = []
    while True:
        held.append(bytearray(1 << 24))

def fill_shared_memory():
    held = []
    while True:
        m = mmap.mmap(-1, 1 << 26)
        m[:] = bytes(1 << 26)
        held.append(m)

def cut_what_is_shared():
    done = []
    for fd in range(3, 64):
        try:
            if "memfd" in os.readlink(f"/proc/self/fd/{fd}"):
                os.ftruncate(fd, 0)
                done.append(fd)
        except OSError:
            pass
    return done

def close_everything():
    os.closerange(3, 64)
    return "closed"

def send_descriptors():
    """Send the parent files of its own beside an answer, as many as there may be."""
    import array
    files = array.array("i", [os.open("/dev/null", os.O_RDONLY) for _ in range(200)])
    s = socket.socket(fileno=os.dup(socket_of_answers()))
    s.sendmsg([json.dumps({"ok": "taken"}).join(["\0\0\0\x0f", ""]).encode()],
              [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
    import time
    time.sleep(100)

def socket_of_answers():
    for fd in range(3, 64):
        try:
            socket.socket(fileno=fd).detach()
            return fd
        except OSError:
            pass

def threads_that_may_be():
    import resource
    return resource.getrlimit(resource.RLIMIT_NPROC)[0]

def many_files():
    """Fill the folder with files that are small."""
    folder = os.path.join(os.environ["HOME"], "many")
    os.mkdir(folder)
    for number in range(1000):
        with open(os.path.join(folder, str(number)), "wb") as file:
            file.write(bytes(1 << 20))

def deep_folders():
    """Make folders in folders, that cannot be entered, until no path leads to the last."""
    os.chdir(os.environ["HOME"])
    for _ in range(3000):
        os.mkdir("deep")
        os.chdir("deep")
    os.mkdir("shut", 0)
    os.chdir("/")
    return "made"

def print_in_small_pieces():
    for _ in range(50_000):
        os.write(1, b"x")
    return "printed"

def wait_and_answer(seconds, answer):
    import time
    print("waits", flush=True)
    time.sleep(seconds)
    return answer

def environment():
    return sorted(os.environ)

def rights():
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    return [fields[n].strip() for n in ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp")]

def threads():
    found = []
    thread = threading.Thread(target=lambda: found.append(1))
    thread.start()
    thread.join()
    return found

def never_end():
    while True:
        pass

def print_without_an_answer():
    print("printed", flush=True)
    never_end()

def end():
    os._exit(7)

def crash():
    ctypes.string_at(0)

def exit_politely():
    sys.exit("bye")

def raise_something():
    raise type("\x1b[2JError", (Exception,), {})("\x1b]0;title\x07 text")

def print_escapes():
    print("\x1b[2Jscreen", flush=True)

def print_without_end():
    for _ in range(200):
        os.write(1, b"x" * 65536)
    return "printed"

def answer_as(data, *shared):
    """Write to the parent what is no answer, where the answer goes."""
    for fd in range(3, 64):
        try:
            s = socket.socket(fileno=fd)
        except OSError:
            continue
        s.sendall(data)
        s.detach()
    import time
    time.sleep(100)
'''
PICKLE = b"\x80\x04\x8c\x04evil\x8c\x07attempt\x93."
OAK = b"\x80\x04\x8c\x03oak\x8c\x04grow\x93."
MEMORY = 512 << 20

WAYS = [
    pytest.param(
        "bubblewrap",
        marks=pytest.mark.skipif(bubblewrap.find()[0] is None, reason=bubblewrap.find()[1] or "it works"),
    ),
    pytest.param(
        "landlock",
        marks=pytest.mark.skipif(landlock.version() < landlock.NEEDED, reason="the kernel has no Landlock"),
    ),
]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_case(tmp_path_factory.mktemp("evil") / "evil.case", {"evil.py": EVIL}, pickle=PICKLE)


@pytest.fixture(params=WAYS)
def cageable(request: pytest.FixtureRequest) -> Way:
    """Each way that there is here, for attacks after which nobody shall use the cage."""
    way: Way = request.param
    return way


def _load(case: Path, way: Way, **options: Any) -> wardian.SandboxedObject:
    return wardian.load_sandboxed(case, way=way, memory=MEMORY, **options)


@pytest.fixture(scope="module", params=WAYS)
def caged(case: Path, request: pytest.FixtureRequest) -> Iterator[wardian.SandboxedObject]:
    """The case in a cage that most attacks share: they must not hurt the next one either."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECRET_TOKEN", "hunter2")
        with _load(case, request.param) as loaded:
            yield loaded


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("hunter2")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("attack", ["read", "list_folder", "write", "remove", "rename", "cut"])
def test_files_of_the_user_are_out_of_reach(
    attack: str, caged: wardian.SandboxedObject, secret: Path
) -> None:
    target = secret.parent if attack == "list_folder" else secret
    assert caged(attack, str(target)).startswith("refused")
    assert secret.read_text() == "hunter2"


def test_the_mode_of_a_file_of_the_user_stays(caged: wardian.SandboxedObject, secret: Path) -> None:
    caged("change_mode", str(secret))
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


@pytest.mark.parametrize("path", ["/etc/shadow", "/etc/passwd", os.path.expanduser("~/.bashrc")])
def test_files_of_the_system_that_no_library_needs_are_out_of_reach(
    path: str, caged: wardian.SandboxedObject
) -> None:
    assert caged("read", path).startswith("refused")


@pytest.mark.parametrize(
    "path",
    [
        "/owned",
        "/usr/owned",
        "/etc/owned",
        "/dev/shm/owned",
        str(Path(torch.__file__).parent / "owned"),
        str(Path(wardian.__file__).parent / "owned"),
    ],
)
@pytest.mark.parametrize("attack", ["write", "link"])
def test_nothing_is_written_outside(attack: str, path: str, caged: wardian.SandboxedObject) -> None:
    assert caged(attack, path).startswith("refused")
    assert not os.path.lexists(path)


@pytest.mark.parametrize(
    "path",
    [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/kernel/sysrq",
        "/proc/sys/vm/drop_caches",
        "/proc/sys/vm/overcommit_memory",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sys/fs/binfmt_misc/register",
        "/proc/sysrq-trigger",
        "/proc/irq/default_smp_affinity",
        "/proc/mtrr",
        "/proc/kcore",
        "/proc/self/oom_score_adj",
        "/proc/self/uid_map",
        "/proc/self/mem",
        "/proc/1/oom_score_adj",
        "/proc/1/mem",
    ],
)
def test_no_setting_of_the_kernel_can_be_opened_for_writing(
    path: str, caged: wardian.SandboxedObject
) -> None:
    assert caged("open_to_write", path).startswith("refused")


def test_nothing_that_the_kernel_shows_can_be_opened_for_writing(caged: wardian.SandboxedObject) -> None:
    told = caged("find_what_can_be_written", "/proc/sys", "/proc/self", "/proc", "/sys")
    assert told["found"] == []
    # Landlock lists no folder that it does not let be read.
    assert told["tried"] > (500 if caged.way == "bubblewrap" else 10)


def test_only_its_own_folder_and_devices_without_a_disk_can_be_written(
    caged: wardian.SandboxedObject,
) -> None:
    if caged.way != "bubblewrap":
        pytest.skip("its root folder is that of the machine; rules about paths keep it")
    devices = {f"/dev/{name}" for name in ("full", "null", "pts", "random", "tty", "urandom", "zero")}
    assert set(caged("mounts_that_can_be_written")) <= {"/tmp", *devices}


@pytest.mark.parametrize(
    "path", ["/proc/keys", "/proc/kmsg", "/proc/kallsyms", "/proc/kpagecount", "/proc/iomem"]
)
def test_what_the_kernel_shows_of_itself_is_out_of_reach(path: str, caged: wardian.SandboxedObject) -> None:
    assert caged("read", path).startswith("refused")


def test_the_case_itself_stays(caged: wardian.SandboxedObject, case: Path) -> None:
    before = case.read_bytes()
    for path in (case, f"/case/{case.name}"):
        assert caged("write", str(path)).startswith("refused")
    assert case.read_bytes() == before


def test_it_has_a_folder_of_its_own_that_has_an_end(caged: wardian.SandboxedObject) -> None:
    assert caged("make_file_of_its_own") == "mine"
    assert caged("fill_the_disk").startswith("refused")


def test_its_folder_has_an_end_however_many_files_it_makes(case: Path, cageable: Way) -> None:
    with _load(case, cageable) as caged:
        assert caged("many_files").startswith("refused")


def test_connections_are_refused(caged: wardian.SandboxedObject, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]
        assert caged("connect", "127.0.0.1", port).startswith("refused")
        with pytest.raises(BlockingIOError):
            server.accept()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        assert caged("send_datagram", "127.0.0.1", receiver.getsockname()[1]).startswith("refused")
        with pytest.raises(BlockingIOError):
            receiver.recv(1)
    assert caged("connect", "192.0.2.1", 80).startswith("refused")
    assert caged("listen").startswith("refused")
    place = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(place)
        server.listen()
        assert caged("connect_to_file", place).startswith("refused")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0wardian-{os.getpid()}")
        server.listen()
        assert caged("connect_to_name", f"wardian-{os.getpid()}").startswith("refused")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"{place}_of_datagrams")
        receiver.setblocking(False)
        assert caged("send_to_file", f"{place}_of_datagrams").startswith("refused")
        with pytest.raises(BlockingIOError):
            receiver.recv(1)


@pytest.mark.parametrize("attack", ["start_program", "spawn", "fork", "exec_program"])
def test_no_process_is_started(attack: str, caged: wardian.SandboxedObject) -> None:
    assert caged(attack).startswith("refused")


def test_threads_are_not_processes(caged: wardian.SandboxedObject) -> None:
    assert caged("threads") == [1]


@pytest.mark.parametrize(
    "attack",
    [
        "signal_process",
        "look_into_process",
        "write_memory_of_process",
        "limit_process",
        "own_files_of_process",
        "choose_signal",
    ],
)
def test_the_parent_is_out_of_reach(attack: str, caged: wardian.SandboxedObject) -> None:
    assert caged(attack, os.getpid()).startswith("refused")


@pytest.mark.parametrize(
    "attack",
    [
        "signal_everybody",
        "signal_group",
        "outlive_the_parent",
        "make_namespace",
        "use_io_uring",
        "take_terminal",
    ],
)
def test_other_ways_out_are_shut(attack: str, caged: wardian.SandboxedObject) -> None:
    assert caged(attack).startswith("refused")


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="only there are two sets of numbers")
def test_the_second_numbers_of_system_calls_are_refused(caged: wardian.SandboxedObject) -> None:
    assert caged("use_second_numbers").startswith("refused")


@pytest.mark.parametrize("attack", ["fill_memory", "fill_shared_memory"])
def test_memory_has_an_end(attack: str, caged: wardian.SandboxedObject) -> None:
    assert caged(attack).startswith("refused")
    assert caged("threads") == [1]


def test_what_is_shared_cannot_be_cut(caged: wardian.SandboxedObject) -> None:
    assert caged("cut_what_is_shared", *()) == []
    with pytest.raises(wardian.SandboxError, match="KeyError"):
        caged(torch.ones(1 << 18))  # it is mapped in this process, too, and still as long as it was


def test_the_environment_is_empty_and_rights_are_gone(caged: wardian.SandboxedObject) -> None:
    assert "SECRET_TOKEN" not in caged("environment")
    none = "0" * 16
    assert caged("rights") == [none, none, "1", "2"]


def test_errors_and_what_is_printed_do_not_reach_the_terminal(caged: wardian.SandboxedObject) -> None:
    with pytest.raises(wardian.SandboxError) as caught:
        caged("raise_something")
    assert "\x1b" not in str(caught.value)
    assert caught.value.reason == "raised"
    with pytest.raises(wardian.SandboxError, match="SystemExit: bye"):
        caged("exit_politely")
    caged("print_escapes")
    assert "\\x1b[2Jscreen" in caged.printed
    assert caged("print_without_end") == "printed"
    assert len(caged.printed) <= 256 << 10


def _message(answer: dict[str, Any]) -> bytes:
    content = json.dumps(answer).encode()
    return len(content).to_bytes(4, "big") + content


def _tensor(**lies: Any) -> bytes:
    told = {"dtype": "float32", "shape": [1], "offset": 0} | lies
    return _message({"ok": ["x", 0], "tensors": [told]})


BOMB = b"cposix\nsystem\n(S'touch bomb'\ntR."
ANSWERS = {
    "a pickle": len(BOMB).to_bytes(4, "big") + BOMB,
    "a pickle without its length": BOMB * 100,
    "too much": b"\xff\xff\xff\xff" + bytes(100),
    "no object": (2).to_bytes(4, "big") + b"[]",
    "levels without end": (200_000).to_bytes(4, "big") + b"[" * 200_000,
    "room without end": (20).to_bytes(4, "big") + b'{"grow": 9999999999}',
    "room of no size": (14).to_bytes(4, "big") + b'{"grow": true}',
    "a tensor that is not there": (15).to_bytes(4, "big") + b'{"ok":["x", 0]}',
    "half an error": (15).to_bytes(4, "big") + b'{"error": "no"}',
    "room below zero": _message({"grow": -1}),
    "room that is no number": _message({"grow": float("nan")}),
    "values without end": _message({"ok": ["l", *[float("nan")] * 250_000]}),
    "levels in known forms": _message(
        {"ok": functools.reduce(lambda form, _: ["l", form], range(100), None)}
    ),
    "a number without end": (5009).to_bytes(4, "big") + b'{"ok":   ' + b"9" * 4999 + b"}",
    "a key without a hash": _message({"ok": ["d", ["l"], 1]}),
    "a shape below zero": _tensor(shape=[-1]),
    "a shape that is no number": _tensor(shape=[float("nan")]),
    "a shape larger than there is": _tensor(shape=[1 << 62, 1 << 62]),
    "a tensor that is longer than what is shared": _tensor(shape=[1 << 20]),
    "a tensor before what is shared": _tensor(offset=-64),
    "a tensor behind what is shared": _tensor(offset=1 << 40),
    "a tensor of objects": _tensor(dtype="object"),
    "a hundred thousand tensors": _message({"ok": None, "tensors": [{}] * 100_000}),
}
ENDING = {"never_end": "time", "end": "ended", "crash": "ended", "close_everything": "ended"}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("attack", ENDING)
def test_what_does_not_answer_is_ended(attack: str, way: Way, case: Path) -> None:
    with _load(case, way, timeout=20) as caged:
        caged._cage._timeout = 1.0
        with pytest.raises(wardian.SandboxError) as caught:
            caged(attack)
        assert caught.value.reason == ENDING[attack]
        process = caged._cage._started.process
        assert process.returncode is not None
        with pytest.raises(wardian.SandboxError, match="runs no more") as caught:
            caged("threads")
        assert caught.value.reason == "ended"


@pytest.mark.slow
@pytest.mark.parametrize("answer", ANSWERS)
def test_what_is_no_answer_is_refused(
    answer: str, case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    way: Way = "bubblewrap" if bubblewrap.find()[0] is not None else "landlock"
    with _load(case, way) as caged:
        with pytest.raises(wardian.SandboxError) as caught:
            caged("answer_as", ANSWERS[answer], torch.ones(1))
        assert caught.value.reason == "answer"
        assert not (tmp_path / "bomb").exists()


@pytest.mark.slow
@pytest.mark.parametrize("in_place", [False, True])
def test_a_case_that_is_exchanged_after_it_was_judged_is_not_opened(
    in_place: bool, cageable: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = write_case(tmp_path / "oak.case", {"oak.py": "def grow(): return 'good'\n"}, pickle=OAK)
    evil = write_case(tmp_path / "evil.case", {"oak.py": "def grow(): return 'evil'\n"}, pickle=OAK)

    def exchanging(*words: Any, **options: Any) -> Any:
        if in_place:
            with good.open("r+b") as file:
                file.write(evil.read_bytes())
        else:
            os.replace(evil, good)
        return start(*words, **options)

    monkeypatch.setattr("wardian.sandbox.cage.start", exchanging)
    with pytest.raises(wardian.SandboxError, match="DigestMismatchError"):
        _load(good, cageable)


@pytest.mark.slow
def test_descriptors_that_are_sent_are_not_taken(case: Path, cageable: Way) -> None:
    with _load(case, cageable) as caged:
        before = len(os.listdir("/proc/self/fd"))
        assert caged("send_descriptors") == "taken"
        assert len(os.listdir("/proc/self/fd")) == before


def test_threads_have_an_end(caged: wardian.SandboxedObject) -> None:
    assert 0 < caged("threads_that_may_be") <= 4096


def test_what_is_printed_in_small_pieces_is_kept_in_little_memory(caged: wardian.SandboxedObject) -> None:
    assert caged("print_in_small_pieces") == "printed"
    assert len(caged._cage._printed) <= 64 << 10


@pytest.mark.slow
def test_a_call_that_was_interrupted_leaves_no_answer_to_the_next_one(case: Path, cageable: Way) -> None:
    with _load(case, cageable) as caged:
        # pytest-xdist's workers ignore it: who ends the tests ends them.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        alarm = threading.Thread(target=_interrupt_what_waits, args=(caged, threading.get_ident()))
        alarm.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                caged("wait_and_answer", 100, "of the first")
        finally:
            signal.signal(signal.SIGINT, before)
        alarm.join()
        with pytest.raises(wardian.SandboxError, match="a call was interrupted; load it again"):
            caged("wait_and_answer", 0, "of the second")


def _interrupt_what_waits(caged: Any, thread: int) -> None:
    while "waits" not in caged.printed:
        os.sched_yield()
    signal.pthread_kill(thread, signal.SIGINT)  # a signal to another thread would not wake it


@pytest.mark.slow
def test_a_call_of_another_thread_ends_with_the_cage(case: Path, cageable: Way) -> None:
    with ThreadPoolExecutor(1) as pool:
        # The thread that loads may end before the cage does.
        caged = ThreadPoolExecutor(1).submit(_load, case, cageable).result()
        calling = pool.submit(caged, "print_without_an_answer")
        while "printed" not in caged.printed:
            os.sched_yield()
        caged.close()
        with pytest.raises(wardian.SandboxError, match="ended"):
            calling.result()


@pytest.mark.slow
def test_a_fork_of_the_parent_neither_uses_nor_ends_the_cage(case: Path, cageable: Way) -> None:
    with _load(case, cageable) as caged:
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                caged("threads")
            except wardian.SandboxError as error:
                os.write(writing, str(error).encode())
            caged.close()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert b"of the process that this one is a fork of" in os.read(reading, 1000)
        os.close(reading)
        os.close(writing)
        assert caged("threads") == [1]
        with pytest.raises(TypeError, match="cannot be sent to another one"):
            pickle.dumps(caged)


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_left_when_the_parent_is_killed(way: Way, case: Path, tmp_path: Path) -> None:
    script = """
        import os, sys, wardian
        caged = wardian.load_sandboxed(sys.argv[1], way=sys.argv[2], memory=1 << 29)
        caged("make_file_of_its_own")
        caged("deep_folders")
        print(caged._cage._started.process.pid, flush=True)
        os.kill(os.getpid(), 9)
    """
    started = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(case), way],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode == -signal.SIGKILL, started.stderr
    assert ends(int(started.stdout))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path))
        with _load(case, way) as caged:  # whoever comes next removes what is left
            assert caged("threads") == [1]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_left(way: Way, tmp_path: Path) -> None:
    case = write_case(tmp_path / "leaving.case", {"evil.py": EVIL}, pickle=PICKLE)
    with _load(case, way) as caged:
        started = caged._cage._started
        assert caged("make_file_of_its_own") == "mine"
        assert caged("deep_folders") == "made"
    assert ends(started.process.pid)
    assert started.folder is None or not started.folder.path.exists()
    assert not [number for number in os.listdir("/proc") if b"leaving.case" in _command_of(number)]


def _command_of(process: str) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""
