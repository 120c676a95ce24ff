"""Whose files are looked at for credentials and variables of the environment, and whose code compiles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import PLAN
from wardian.domain.decisions import Decision, PackedFile
from wardian.domain.graph import Import, ImportContext, ImportGraph
from wardian.domain.names import ModuleName, record_name
from wardian.domain.policy import Action
from wardian.packing.doubts import _compiling, _own_files, _variables


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


def test_each_variable_that_is_set_here_is_told_once_and_a_script_by_its_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RATE", "1")
    monkeypatch.delenv("GONE", raising=False)
    source = b"import os\na = os.environ['RATE']\nb = os.environ['GONE']\n"

    def file(record: str, module: str | None, owner: str | None = None) -> PackedFile:
        name = None if module is None else ModuleName(module)
        return PackedFile(record_name(record), "", 0, name, owner, source)

    def told(*files: PackedFile) -> list[str]:
        lines = {"captured/main.py": "/home/oak/train.py, line 7,"}
        return [*_variables(replace(PLAN, files=files), lambda record, line: lines.get(record))]

    end = "reads the environment variable RATE, which must be set where the case is loaded"
    assert told(file("oak.py", "oak"), file("elm.py", "elm")) == [f"oak, line 2, {end}"]
    script = file("captured/main.py", "captured.main")
    assert told(script) == [f"/home/oak/train.py, line 7, {end}"]
    assert told(file("timber.py", "timber", "timberlib"), file("oak.txt", None)) == []


def test_packed_code_that_compiles_is_told_with_what_it_compiled(tmp_path: Path) -> None:
    (tmp_path / "build.ninja").write_text("cflags = -DTORCH_EXTENSION_NAME=saw")
    libraries = [str(tmp_path / "saw.so"), "/lib/libc.so.6"]

    def told(
        importer: str,
        context: ImportContext = ImportContext.FUNCTION,
        action: Action = Action.INTERN,
        libraries: list[str] = libraries,
    ) -> list[str]:
        name, compiler = ModuleName(importer), ModuleName("torch.utils.cpp_extension")
        plan = replace(
            PLAN,
            decisions=(Decision(name, action, "because", None),),
            graph=ImportGraph([Import(name, compiler, 3, context, "/home/oak/train.py")]),
        )
        return [*_compiling(plan, libraries)]

    (doubt,) = told("mill.saw")
    assert doubt.startswith("mill.saw compiles C++ (saw.so) when it is imported or called (torch.utils.cpp_")
    assert "where the case is loaded, a compiler and ninja are needed. " in doubt
    assert told("captured.main")[0].startswith("/home/oak/train.py compiles C++")
    assert told("mill.saw", ImportContext.TYPE_CHECKING) == []
    assert told("mill.saw", action=Action.EXTERN) == []
    assert told("mill.saw", libraries=libraries[1:]) == []
