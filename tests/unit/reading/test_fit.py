"""What a case needs and what is installed: small distributions in a folder on `sys.path`."""

from __future__ import annotations

import importlib
import pickle
import platform
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement

import wardian
from tests.support import MANIFEST, importable, write_case, write_tree
from wardian.domain.manifest import Extern, Library, Platform
from wardian.errors import EnvironmentMismatchError
from wardian.reading.fit import packed_elsewhere

assert torch.__version__, "it must be imported before a project is forgotten again"
SOURCES = """
--- meadow.py
raise SystemExit("packed code ran")
"""

LACKS = "compost 3.0 lacks compost.turn"
PACKED = "; the case was packed with 2.1"


def install(folder: Path, name: str, version: str | None, sources: Mapping[str, str]) -> None:
    """Write a distribution as an installer leaves it."""
    lines = [f"{path},," for path in sources]
    header = f"Version: {version}\n" if version is not None else ""
    info = f"{name.replace(chr(45), chr(95))}-{version or '0'}.dist-info"
    files = {**sources, f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\n{header}"}
    write_tree(folder, "".join(f"--- {path}\n{text}\n" for path, text in files.items()))
    (folder / info / "RECORD").write_text("\n".join(lines))


def compost(version: str, names: tuple[str, ...] = ("compost.turn",)) -> Extern:
    return Extern(distribution="compost", version=version, modules=("compost",), names=names, soft=False)


def problems_of(case: Path, site: Path) -> EnvironmentMismatchError | None:
    """Load a case where the distributions of *site* are installed."""
    with importable(site), wardian.open(case) as opened:
        try:
            opened.load()
        except EnvironmentMismatchError as error:
            return error
    return None


@pytest.mark.parametrize(
    ("packed", "installed", "source", "told"),
    [
        ("2.1", "2.1", "", None),
        ("2.1+cpu", "2.1+cu130", "", None),
        ("2.1", "2.2.post1", "", None),
        ("2.1", "2.1rc1", "turn = 1", None),
        ("2.1", "2.1rc1", "", "compost 2.1rc1 lacks compost.turn; the case was packed with 2.1"),
        ("2.1", "2.0", "turn = 1", None),
        ("2.1", "2.0", "", "compost 2.0 lacks compost.turn; the case was packed with 2.1"),
        ("2.1", "3.0", "turn = 1", None),
        ("2.1", "3.0", "", "compost 3.0 lacks compost.turn; the case was packed with 2.1"),
        ("2.1", "1.9", "turn = 1", "compost 1.9 is too old, the case was packed with 2.1"),
        ("1!2.1", "2.1", "turn = 1", "compost 2.1 is too old, the case was packed with 1!2.1"),
        ("2.1", "wild", "", None),
        ("2.1", None, "turn = 1", None),
        ("2.1", None, "", "compost lacks compost.turn; the case was packed with 2.1"),
        ("wild", "2.0", "turn = 1", None),
        ("wild", "wild", "", None),
        ("2.1", "3.0", "raise SystemExit('it ran')", f"{LACKS}{PACKED}"),
        ("2.1", "3.0", "from none_such import turn", None),
        ("2.1", "3.0", "def turn(): pass", None),
        ("2.1", "3.0", "class turn: pass", None),
        ("2.1", "3.0", "def heap():\n    global turn\n    turn = 1", None),
        ("2.1", "3.0", "def heap():\n    turn = 1", f"{LACKS}{PACKED}"),
        ("2.1", "3.0", "if False:\n    with open('x') as (turn, _): pass", None),
    ],
)
def test_releases_that_fit(
    tmp_path: Path, packed: str, installed: str | None, source: str, told: str | None
) -> None:
    install(tmp_path / "site", "compost", installed, {"compost.py": source})
    case = write_case(tmp_path / "meadow.case", SOURCES, externs=(compost(packed),))
    error = problems_of(case, tmp_path / "site")
    assert (error and error.problems[0].what) == told


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("raise RuntimeError('ABI'); from heap import *", " (compost cannot be imported: RuntimeError: ABI)"),
        (
            "import none_such; globals()['turn'] = 1",
            " (compost cannot be imported: ModuleNotFoundError: No module named 'none_such')",
        ),
        ("import sys; sys.exit(__getattr__)", " (compost cannot be imported: NameError: name"),
        ("import sys; sys.exit(vars())", " (compost cannot be imported: SystemExit: "),
        ("def __getattr__(name): raise AttributeError(name)", ";"),
        ("def __getattr__(name): return 1", None),
    ],
)
def test_what_no_source_tells_is_told_by_the_library_when_code_is_to_run(
    tmp_path: Path, source: str, why: str | None
) -> None:
    install(tmp_path / "site", "compost", "3.0", {"compost.py": f"print('compost ran')\n{source}"})
    case = write_case(tmp_path / "meadow.case", "--- meadow.py\n", externs=(compost("2.1"),))
    importlib.import_module("torch")  # which shall not be forgotten with the rest
    with importable(tmp_path / "site"), wardian.open(case) as opened:
        for use in (opened.load, lambda: opened.import_module("meadow")):
            assert "compost" not in sys.modules
            if why is None:
                use()
                sys.modules.pop("compost", None)
                continue
            with pytest.raises(EnvironmentMismatchError) as caught:
                use()
            assert caught.value.problems[0].what.startswith(f"{LACKS}{why}")
            sys.modules.pop("compost", None)


def test_the_fix_is_a_command_that_gives_a_release_that_fits(tmp_path: Path) -> None:
    externs = [
        Extern(distribution=name, version=version, modules=(name,), names=(f"{name}.x",), soft=False)
        for name, version in (("older", "2.1"), ("newer", "1!2.1+cpu"), ("odd", "wild"), ("gone", "4.0"))
    ]
    install(tmp_path / "site", "older", "1.0", {"older.py": ""})
    install(tmp_path / "site", "newer", "1!3.0", {"newer.py": ""})
    install(tmp_path / "site", "odd", "wilder", {"odd.py": ""})
    case = write_case(tmp_path / "meadow.case", SOURCES, externs=tuple(externs))
    error = problems_of(case, tmp_path / "site")
    assert error is not None
    error = pickle.loads(pickle.dumps(error))
    assert [p.fix for p in error.problems] == [
        'pip install "older>=2.1,<3"',
        'pip install "newer>=1!2.1,<1!3"',
        "pip install odd===wild",
        "pip install gone==4.0",
    ]
    assert error.command == 'pip install "older>=2.1,<3" "newer>=1!2.1,<1!3" odd===wild gone==4.0'
    assert str(error).endswith(f"all at once: {error.command}")
    assert str(error).count("fix: ") == 4
    for line in wardian.requirements(case):
        assert str(Requirement(line)) == line


def test_what_is_missing_comes_with_the_module_that_wants_it(tmp_path: Path) -> None:
    sources = """
    --- meadow/__init__.py
    --- meadow/hay.py
    def bale():
        import compost
    --- meadow/soil.py
    import os
    from compost import turn
    """
    case = write_case(tmp_path / "meadow.case", textwrap.dedent(sources), externs=(compost("2.1"),))
    error = problems_of(case, tmp_path)
    assert error is not None
    (step,) = error.problems[0].chain
    assert "meadow.soil" in step
    assert "meadow/soil.py:2" in step
    assert step in str(error)


def test_another_distribution_of_the_same_modules_takes_the_place(tmp_path: Path) -> None:
    case = write_case(tmp_path / "meadow.case", SOURCES, externs=(compost("2.1"),))
    install(tmp_path / "good", "compost-headless", "2.3", {"compost.py": ""})
    assert problems_of(case, tmp_path / "good") is None
    install(tmp_path / "old", "compost-headless", "1.3", {"compost.py": ""})
    error = problems_of(case, tmp_path / "old")
    assert error is not None
    assert error.problems[0].what == ("compost-headless 1.3 is too old, the case was packed with compost 2.1")


def test_a_copy_without_a_distribution_is_asked_for_the_names(tmp_path: Path) -> None:
    case = write_case(tmp_path / "meadow.case", SOURCES, externs=(compost("2.1"),))
    assert problems_of(case, write_tree(tmp_path / "good", "--- compost.py\nturn = 1")) is None
    error = problems_of(case, write_tree(tmp_path / "bad", "--- compost.py\nburn = 1"))
    assert error is not None
    assert error.problems[0].what == f"compost lacks compost.turn{PACKED}"


def test_what_no_distribution_had_is_looked_for(tmp_path: Path) -> None:
    extern = Extern(distribution=None, version=None, modules=("shed.tools",), names=(), soft=False)
    case = write_case(tmp_path / "meadow.case", SOURCES, externs=(extern, compost("2.1")))
    error = problems_of(case, tmp_path)
    assert error is not None
    assert error.problems[0].what.startswith("shed is not here")
    assert error.command == "pip install compost==2.1"
    assert "all at once" not in str(error)
    site = write_tree(tmp_path / "site", "--- shed/__init__.py\n")
    install(site, "compost", "2.1", {"compost.py": ""})
    assert problems_of(case, site) is None


def test_nothing_of_torch_is_imported_to_tell(tmp_path: Path) -> None:
    case = write_case(tmp_path / "meadow.case", SOURCES, externs=(compost("2.1"),))
    script = (
        "import sys, wardian\n"
        "try:\n    wardian.load(sys.argv[1])\n"
        "except wardian.EnvironmentMismatchError as error:\n    print(error.command, 'torch' in sys.modules)"
    )
    run = [sys.executable, "-c", script, str(case)]
    printed = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert printed == "pip install compost==2.1 False\n"


def test_what_is_not_as_it_was_packed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here = {"python": platform.python_version(), "system": platform.system(), "machine": platform.machine()}
    same = replace(
        MANIFEST,
        python=replace(MANIFEST.python, version=here["python"]),
        platform=Platform(system=here["system"], machine=here["machine"]),
        externs=(compost("2.1"),),
    )
    install(tmp_path, "compost", "2.1", {"compost.py": ""})
    with importable(tmp_path):
        assert packed_elsewhere(same) == ""
        other = replace(same, platform=Platform(system="Plan9", machine="vax"), externs=(compost("2.0+cpu"),))
        assert packed_elsewhere(other) == (
            f"; not as it was packed: the platform {here['system']} {here['machine']} (was Plan9 vax),"
            " compost 2.1 (was 2.0+cpu)"
        )


_DECOY = "import pathlib\npathlib.Path('RAN').touch()\ndef __getattr__(name): return 1\n"


@pytest.mark.parametrize(
    "name",
    [
        "helper_model.x",  # beside the file
        "helper_model.below.x",
        "helper_model.below.deeper.x",
        "venv.__main__.x",  # it would end the process
        "antigravity.nope",  # it would start a browser
        "this.d.x",
        "wardian.live.decoy_00000000.helper_model.x",
    ],
)
@pytest.mark.parametrize("use", ["open", "load"])
def test_no_module_runs_because_a_file_names_it(name: str, use: str, tmp_path: Path) -> None:
    for module in ("helper_model/__init__.py", "helper_model/below.py"):
        (tmp_path / module).parent.mkdir(exist_ok=True)
        (tmp_path / module).write_text(_DECOY)
    top = name.partition(".")[0]
    extern = Extern(distribution="none-such", version="1.0", modules=(top,), names=(name,), soft=False)
    soft = replace(extern, soft=True)
    libraries = [
        foreign_library(f"{module}/lib.so") for module in ("helper_model.below", "antigravity.x", "this.d")
    ]
    write_case(
        tmp_path / "model.case",
        {library.record: b"" for library in libraries},
        externs=(extern, soft),
        libraries=tuple(libraries),
    )
    script = f"""
import sys, wardian
before = set(sys.modules)
try:
    with wardian.open("model.case") as case:
        case.files()
    if {use == "load"}:
        wardian.load("model.case")
except wardian.WardianError:
    pass
print(sorted({{"helper_model", "venv", "antigravity", "this"}} & (set(sys.modules) - before)))
"""
    run = [sys.executable, "-c", script]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, (tmp_path / "RAN").exists()) == ("[]\n", False), done.stderr


def foreign_library(record: str) -> Library:
    return Library(record=record, operators=(), torch="1.0", system="Plan9", machine="vax")
