"""Whose files are looked at for credentials."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.support import PLAN
from wardian.domain.decisions import PackedFile
from wardian.domain.names import ModuleName, record_name
from wardian.packing.doubts import _own_files


def test_the_users_files_are_looked_at_and_those_of_distributions_are_not(tmp_path: Path) -> None:
    source = tmp_path / "net.py"
    source.write_bytes(b"LEAVES = 3\n")

    def file(record: str, path: Path | str, owner: str | None, content: bytes | None = None) -> PackedFile:
        return PackedFile(record_name(record), str(path), 0, ModuleName("oak.net"), owner, content)

    plan = replace(
        PLAN,
        files=(
            file("oak/net.py", source, None),
            file("oak/gone.py", tmp_path / "gone.py", None),
            file("script.py", "", None, b"TREES = 4\n"),
            file("timberlib/net.py", source, "timberlib"),
        ),
    )
    assert dict(_own_files(plan)) == {"oak/net.py": b"LEAVES = 3\n", "script.py": b"TREES = 4\n"}
