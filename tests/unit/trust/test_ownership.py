"""Whose files policies are read from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import SOURCE
from wardian.errors import PolicyFileError
from wardian.trust.ownership import require_own

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no modes")


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A policy to which two links lead, each in a folder of its own."""
    for name in ("here", "between", "there"):
        (tmp_path / name).mkdir(0o700)
    file = tmp_path / "there" / "trust.toml"
    file.touch(0o644)
    (tmp_path / "between" / "link.toml").symlink_to(file)
    (tmp_path / "here" / "trust.toml").symlink_to("../between/link.toml")
    return tmp_path / "here" / "trust.toml"


@pytest.mark.parametrize(
    ("bits", "said", "fix"),
    [
        (0o020, "its group can write", "chmod g-w"),
        (0o002, "anybody can write", "chmod o-w"),
        (0o022, "anybody can write", "chmod go-w"),
    ],
)
@pytest.mark.parametrize("place", ["here", "between", "there", "there/trust.toml"])
def test_what_others_can_write_is_refused_until_the_fix_is_made(
    place: str, bits: int, said: str, fix: str, policy: Path, tmp_path: Path
) -> None:
    require_own(policy)
    written = tmp_path / place
    written.chmod(written.stat().st_mode | bits)
    with pytest.raises(PolicyFileError, match=f"{said} .*{place}, of the policy\n    fix: {fix} ") as caught:
        require_own(policy)
    command = str(caught.value).splitlines()[1].removeprefix("    fix: ")
    subprocess.run(["/bin/sh", "-c", command], check=True)
    require_own(policy)


def test_a_folder_in_which_only_owners_replace_files_is_fine(policy: Path, tmp_path: Path) -> None:
    for place in ("here", "between", "there"):
        (tmp_path / place).chmod(0o1777)
    require_own(policy)
    (tmp_path / "there" / "trust.toml").chmod(0o664)
    with pytest.raises(PolicyFileError, match="its group can write"):
        require_own(policy)


@pytest.mark.parametrize("place", ["here", "here/trust.toml", "between", "there", "there/trust.toml"])
def test_what_belongs_to_another_user_is_refused(
    place: str, policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.getuid() == 0:
        os.lchown(tmp_path / place, 12345, 12345)
        named = place
    else:
        monkeypatch.setattr(os, "getuid", lambda: 12345)
        named = "here"
    with pytest.raises(PolicyFileError, match=f"{named}, of the policy, belongs to another user"):
        require_own(policy)


def test_what_belongs_to_root_is_fine(policy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.getuid() != 0:
        policy = Path("/etc/passwd")
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    require_own(policy)


def test_what_is_not_there_is_left_to_whoever_opens_it(tmp_path: Path) -> None:
    require_own(tmp_path / "nothing" / "trust.toml")
    require_own(tmp_path / "trust.toml")
    (tmp_path / "file").touch()
    require_own(tmp_path / "file" / "trust.toml")
    (tmp_path / "round.toml").symlink_to("round.toml")
    require_own(tmp_path / "round.toml")
    tmp_path.chmod(0o777)
    with pytest.raises(PolicyFileError, match="anybody can write"):  # and so can make the file
        require_own(tmp_path / "trust.toml")


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="nothing here mounts folders read-only")
def test_what_is_mounted_read_only_is_fine_whatever_its_modes(policy: Path, tmp_path: Path) -> None:
    for place in ("here", "between", "there"):
        (tmp_path / place).chmod(0o777)
    with pytest.raises(PolicyFileError):
        require_own(policy)
    code = (
        "import sys, pathlib; from wardian.trust.ownership import require_own;"
        " require_own(pathlib.Path(sys.argv[1]))"
    )
    mounts = ["--bind", "/", "/", "--dev", "/dev", "--ro-bind", str(tmp_path), str(tmp_path)]
    done = subprocess.run(
        ["bwrap", *mounts, sys.executable, "-c", code, str(policy)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
