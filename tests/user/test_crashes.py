"""A pack that is killed, or cannot write, leaves the file that was there, and nothing that grows."""

from __future__ import annotations

import os
import signal
import stat
import threading
from pathlib import Path

import pytest
import torch

import wardian
from tests.support import finish, start_python

OLD, NEW = torch.zeros(4), torch.ones(600_000)

PACK = """
    import sys, torch, wardian
    print("ready", flush=True)
    wardian.pack(torch.ones(600_000), sys.argv[1], prove=False)
"""

# Stops at the n-th thing that changes a file or folder, counted where Python itself announces it.
KILLED = """
    import os, signal, sys, torch, wardian
    from pathlib import Path
    import wardian.packing.pack, wardian.tensors.storages, blake3, wardian.loading.importing.files
    left, folder = int(sys.argv[2]), os.path.dirname(sys.argv[1])
    def hook(event, arguments):
        global left
        if event in ("open", "os.rename", "os.remove", "os.truncate", "os.chmod") and any(
            isinstance(a, (str, bytes, os.PathLike)) and os.fsdecode(a).startswith(folder) for a in arguments
        ):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
    wardian.pack(torch.ones(600_000), sys.argv[1], prove=False)
    print("done")
"""


def _is_whole(path: Path, *allowed: torch.Tensor) -> bool:
    with wardian.open(path) as case:
        case.verify()
        loaded = case.load()
    return any(torch.equal(loaded, tensor) for tensor in allowed)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("exists", [True, False])
def test_a_pack_that_is_killed_leaves_the_old_file_or_the_new_one(exists: bool, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    path = folder / "model.case"
    if exists:
        wardian.pack(OLD, path, prove=False)
    for moment in range(30):
        process = start_python(KILLED, path, moment, folder=tmp_path)
        process.communicate()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        assert _is_whole(path, OLD, NEW) if exists or path.exists() else True
        # One temporary file at most: each pack removes those of packs before it.
        assert len([name for name in _names(folder) if name != "model.case"]) <= 1
    assert moment >= 2
    assert _is_whole(path, NEW)
    assert _names(folder) == ["model.case"]


def test_a_pack_killed_by_a_signal_while_it_writes_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model.case"
    wardian.pack(OLD, path, prove=False)
    before = path.read_bytes()
    for _ in range(3):
        process = start_python(PACK.replace("600_000", "150_000_000"), path, folder=tmp_path)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        while not any(p.name.endswith(".tmp") and p.stat().st_size for p in tmp_path.iterdir()):
            assert process.poll() is None
        process.kill()
        process.communicate()
        assert path.read_bytes() == before
        assert len([name for name in _names(tmp_path) if name.endswith(".tmp")]) == 1
    wardian.pack(OLD, path, prove=False)
    assert not [name for name in _names(tmp_path) if name.endswith(".tmp")]


def test_packs_at_the_same_time_do_not_remove_each_other_s_files(tmp_path: Path) -> None:
    processes = [start_python(PACK, tmp_path / "model.case", folder=tmp_path) for _ in range(3)]
    errors: list[BaseException] = []

    def pack_often(number: int) -> None:
        try:
            for _ in range(15):
                wardian.pack(OLD, tmp_path / f"own{number}.case", prove=False)
        except BaseException as error:  # noqa: BLE001  for the main thread
            errors.append(error)

    threads = [threading.Thread(target=pack_often, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in processes:
        finish(process)
    assert errors == []
    assert _is_whole(tmp_path / "model.case", NEW)
    assert not [name for name in _names(tmp_path) if name.endswith(".tmp")]


def test_a_link_is_written_through_as_open_does(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    path, link = tmp_path / "store" / "v1.case", tmp_path / "latest.case"
    wardian.pack(OLD, path, prove=False)
    link.symlink_to(path)
    report = wardian.pack(NEW, link, prove=False)
    assert link.is_symlink()
    assert report.path == link
    assert _is_whole(path, NEW)
    new = tmp_path / "store" / "v2.case"
    dangling = tmp_path / "next.case"
    dangling.symlink_to(Path("store") / "v2.case")
    wardian.pack(OLD, dangling, prove=False)
    assert _is_whole(new, OLD)
    assert _names(tmp_path / "store") == ["v1.case", "v2.case"]
    loop = tmp_path / "loop.case"
    loop.symlink_to(loop)
    with pytest.raises(OSError, match=r"loop\.case"):
        wardian.pack(OLD, loop, prove=False)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_file_that_is_replaced_keeps_its_permissions(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "model.case"
    path.write_bytes(b"")
    path.chmod(mode)
    wardian.pack(NEW, path, prove=False)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_new_file_has_the_permissions_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        wardian.pack(NEW, tmp_path / "model.case", prove=False)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model.case").stat().st_mode) == 0o640


def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.case")
    with pytest.raises(OSError, match="device or pipe"):
        wardian.pack(OLD, tmp_path / "pipe.case", prove=False)
    assert stat.S_ISFIFO((tmp_path / "pipe.case").stat().st_mode)
    assert _names(tmp_path) == ["pipe.case"]


FULL = """
    import resource, sys, torch, wardian
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
    try:
        wardian.pack(torch.ones(600_000), sys.argv[1], prove=False)
    except OSError as error:
        print(type(error).__name__, error.errno, error.filename)
"""


def test_a_disk_that_is_full_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model.case"
    wardian.pack(OLD, path, prove=False)
    before = path.read_bytes()
    process = start_python(FULL, path, folder=tmp_path)
    assert finish(process).split() == ["OSError", "27", str(path)]  # EFBIG: the limit stands for a full disk
    assert path.read_bytes() == before
    assert not [name for name in _names(tmp_path) if name.endswith(".tmp")]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_the_device_that_is_always_full_is_none_to_pack_to() -> None:
    with pytest.raises(OSError, match="/dev/full"):
        wardian.pack(OLD, "/dev/full", prove=False)


READ_ONLY = """
    import os, sys, torch, wardian
    wardian.pack(torch.ones(3), sys.argv[1] + ".own", prove=False)  # nobody may not read the libraries
    os.remove(sys.argv[1] + ".own")
    os.setegid(65534)
    os.seteuid(65534)
    try:
        wardian.pack(torch.ones(3), sys.argv[1], prove=False)
    except PermissionError as error:
        print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_may_not_be_written_is_told(what: str, tmp_path: Path) -> None:
    for above in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        above.chmod(above.stat().st_mode | 0o011)
    path = tmp_path / "models" / "model.case"
    path.parent.mkdir()
    path.parent.chmod(0o777 if what == "file" else 0o755)
    wardian.pack(OLD, path, prove=False)
    path.chmod(0o644 if what == "file" else 0o666)
    before = path.read_bytes()
    printed = finish(start_python(READ_ONLY, path, folder=tmp_path))
    assert "model.case" in printed or "models" in printed
    assert path.read_bytes() == before
    assert _names(path.parent) == ["model.case"]


BIG = """
    import os, resource, sys, torch, wardian
    weights = torch.zeros(1 << 28)  # 1 GiB
    weights[::1024] = 1
    wardian.pack(torch.ones(3), sys.argv[1], prove=False)  # what is imported counts as before
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wardian.pack(weights, sys.argv[1], prove=False)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_packing_takes_no_memory_beside_the_weights(tmp_path: Path) -> None:
    kilobytes = int(finish(start_python(BIG, tmp_path / "big.case", folder=tmp_path)))
    assert kilobytes < 50_000
