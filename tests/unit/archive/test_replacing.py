"""A file that takes its name when all of it is written."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.archive import replacing
from wardian.archive.replacing import ReplacingFile


def there(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def replace(target: Path, content: bytes) -> None:
    with ReplacingFile(target) as file:
        file.write(content)
        file.publish()


# Targets


def test_a_missing_folder_is_reported_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="folder of the target does not exist"):
        ReplacingFile(tmp_path / "missing" / "resnet.case")


def test_what_is_no_file_is_no_target(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    (tmp_path / "nowhere").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    before = there(tmp_path)
    refusals: list[tuple[str, type[OSError], str]] = [
        ("folder", IsADirectoryError, "a folder; name a file in it"),
        ("file/resnet.case", NotADirectoryError, "cannot write"),
        ("nowhere", OSError, "a link that leads nowhere"),
        ("pipe", OSError, "a device or pipe"),
    ]
    for name, kind, words in refusals:
        with pytest.raises(kind, match=words) as caught:
            ReplacingFile(tmp_path / name)
        assert caught.value.filename == str(tmp_path / name)
    assert there(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_what_may_not_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "resnet.case").write_bytes(b"")
    (tmp_path / "resnet.case").chmod(0o400)
    with pytest.raises(PermissionError, match="the target may not be written"):
        ReplacingFile(tmp_path / "resnet.case")
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="cannot write"):
        ReplacingFile(tmp_path / "vgg.case")


def test_the_temporary_file_lies_beside_the_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ReplacingFile("resnet.case") as file:
        assert file.target == tmp_path / "resnet.case"
        assert file.path.parent == tmp_path
        assert file.path.name.startswith(".resnet.case.")
        assert file.path.name.endswith(".tmp")
        monkeypatch.chdir("/")
        file.publish()
    assert there(tmp_path) == ["resnet.case"]


def test_a_target_may_have_the_longest_name_there_is(tmp_path: Path) -> None:
    replace(tmp_path / ("é" * 125 + ".case"), b"")


# Writing


@given(
    st.lists(
        st.tuples(st.just("write"), st.binary(max_size=20))
        | st.tuples(st.just("overwrite"), st.integers(0, 40))
        | st.tuples(st.just("truncate"), st.integers(0, 40)),
        max_size=12,
    )
)
def test_what_is_written_is_what_a_buffer_would_hold(steps: list[tuple[str, bytes | int]]) -> None:
    wanted = bytearray()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "resnet.case")
        with ReplacingFile(target) as file:
            for step, what in steps:
                if isinstance(what, bytes):
                    file.write(memoryview(what))
                    wanted += what
                elif step == "overwrite" and what < len(wanted):
                    file.overwrite(what, b"!")
                    wanted[what : what + 1] = b"!"
                elif step == "truncate" and what <= len(wanted):
                    file.truncate(what)
                    del wanted[what:]
            assert file.path.read_bytes() == wanted  # another process sees it at once
            file.publish()
        assert target.read_bytes() == wanted


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
@pytest.mark.parametrize(
    "use",
    [lambda file: file.write(b"x"), lambda file: file.overwrite(0, b"x"), lambda file: file.truncate(0)],
)
def test_an_error_of_the_disk_names_the_target(tmp_path: Path, use: Callable[[ReplacingFile], None]) -> None:
    with ReplacingFile(tmp_path / "resnet.case") as file:
        full = os.open("/dev/full", os.O_RDWR)
        os.dup2(full, file._file.fileno())
        os.close(full)
        with pytest.raises(OSError, match="cannot write: ") as caught:
            use(file)
        assert caught.value.filename == str(tmp_path / "resnet.case")
        assert caught.value.errno in (errno.ENOSPC, errno.EINVAL)


# Publishing


def test_the_old_file_stays_until_the_new_one_is_published(tmp_path: Path) -> None:
    target = tmp_path / "resnet.case"
    replace(target, b"old")
    with ReplacingFile(target) as file:
        file.write(b"new")
        assert target.read_bytes() == b"old"
    assert (target.read_bytes(), there(tmp_path)) == (b"old", ["resnet.case"])
    replace(target, b"new")
    assert (target.read_bytes(), there(tmp_path)) == (b"new", ["resnet.case"])


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf/resnet.case").write_bytes(b"old")
    (tmp_path / "latest.case").symlink_to("shelf/resnet.case")
    with ReplacingFile(tmp_path / "latest.case") as file:
        assert file.target == tmp_path / "latest.case"
        assert file.path.parent == tmp_path / "shelf"
        file.write(b"new")
        file.publish()
    assert os.readlink(tmp_path / "latest.case") == "shelf/resnet.case"
    assert (tmp_path / "shelf/resnet.case").read_bytes() == b"new"


def test_a_link_to_what_is_not_there_yet_makes_it(tmp_path: Path) -> None:
    (tmp_path / "latest.case").symlink_to("resnet.case")
    replace(tmp_path / "latest.case", b"new")
    assert (tmp_path / "resnet.case").read_bytes() == b"new"
    assert (tmp_path / "latest.case").is_symlink()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path, mode: int) -> None:
    target = tmp_path / "resnet.case"
    target.write_bytes(b"")
    target.chmod(mode)
    with ReplacingFile(target) as file:
        assert stat.S_IMODE(file.path.stat().st_mode) == mode
        file.publish()
    assert stat.S_IMODE(target.stat().st_mode) == mode


def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    replace(tmp_path / "resnet.case", b"")
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "resnet.case").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_to_discard_takes_nothing_but_what_is_unpublished(tmp_path: Path) -> None:
    file = ReplacingFile(tmp_path / "resnet.case")
    file.path.unlink()
    file.discard()
    file.discard()
    with ReplacingFile(tmp_path / "resnet.case") as file:
        file.publish()
        file.discard()
    assert there(tmp_path) == ["resnet.case"]


def test_a_forked_process_neither_publishes_nor_discards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ReplacingFile(tmp_path / "resnet.case") as file:
        with monkeypatch.context() as child:
            child.setattr(os, "getpid", lambda: -1)
            with pytest.raises(RuntimeError, match="written by the process that this one was forked from"):
                file.publish()
        assert file.path.exists()
        with monkeypatch.context() as child:
            child.setattr(os, "getpid", lambda: -1)
            file.discard()
        assert file.path.exists()


# Litter


def test_the_next_writer_removes_what_a_dead_one_left(tmp_path: Path) -> None:
    with ReplacingFile(tmp_path / "vgg.case") as alive:
        (tmp_path / f".oak.case.0123{replacing._SUFFIX}").write_bytes(b"left")
        (tmp_path / "oak.case.tmp").write_bytes(b"another's")
        with ReplacingFile(tmp_path / "resnet.case") as file:
            assert there(tmp_path) == sorted([alive.path.name, file.path.name, "oak.case.tmp"])


def test_litter_is_no_way_to_other_files(tmp_path: Path) -> None:
    litter = tmp_path / f".oak.case.0123{replacing._SUFFIX}"
    (tmp_path / "precious").write_bytes(b"")
    litter.symlink_to("precious")
    os.mkfifo(tmp_path / f"pipe{replacing._SUFFIX}")  # opening it would wait for a writer
    replace(tmp_path / "resnet.case", b"")
    assert (tmp_path / "precious").exists()
    assert litter.is_symlink()
