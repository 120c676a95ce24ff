"""The command `wardian` in a terminal of 80 columns: what people read is folded, what they copy is whole."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from tests.support import write_case, write_tree
from tests.terminals import in_terminal
from wardian.domain.manifest import Extern
from wardian.wording import printable

LONG = "laboratory_of_applied_pomology/instruments_and_measurements/spectrometers"
LINE = (
    "DESCRIPTION = 'a spectrometer  of\tthe orchard, with a line that is far longer than a terminal is wide'"
)
SOURCES = {
    f"{LONG}/__init__.py": f"import os\n\n{LINE}\n\nos.system(DESCRIPTION)\n",
    "first.py": "",
}


@pytest.fixture
def case(tmp_path: Path) -> Path:
    extern = Extern(distribution="unobtainium", version="3.1", modules=("unobtainium",), names=(), soft=False)
    return write_case(tmp_path / "my orchard.case", SOURCES, externs=(extern,))


def test_cat_shows_a_source_as_it_is(case: Path) -> None:
    code, printed = in_terminal("cat", case, f"{LONG}/__init__.py", folder=case.parent)
    assert code == 0
    assert printed == SOURCES[f"{LONG}/__init__.py"]


def test_cat_colours_a_source_unless_colours_are_refused(case: Path) -> None:
    words = ("cat", case, f"{LONG}/__init__.py")
    assert "\x1b[" in in_terminal(*words, folder=case.parent, colours=True)[1]
    assert "\x1b[" not in in_terminal(*words, folder=case.parent, colours=True, NO_COLOR="1")[1]


def test_audit_indents_what_goes_on_below_and_breaks_no_name(case: Path) -> None:
    code, printed = in_terminal("audit", case, folder=case.parent)
    assert code == 0
    lines = printed.splitlines()
    [place] = [number for number, line in enumerate(lines) if LONG in line]
    assert lines[place].startswith("    at import ")
    assert lines[place + 1].startswith(" " * 14)
    # A name is whole, whatever the terminal makes of it.
    assert all(len(line) <= 80 for line in lines if LONG not in line)


def test_commands_that_are_to_be_copied_are_one_line(case: Path) -> None:
    folder = case.parent
    _, printed = in_terminal("info", case, folder=folder)
    assert "      fix: pip install unobtainium==3.1" in printed.splitlines()
    words = ("run", case, "--inputs", "(1,)")
    code, printed = in_terminal(*words, folder=folder)
    assert code == 1
    assert "    fix: pip install unobtainium==3.1" in printed.splitlines()
    assert str(case) in printed
    code, printed = in_terminal("requirements", case, "--pylock", folder=folder)
    assert code == 2
    assert (
        f"    wardian requirements '{case}' --pylock --wheels downloads > pylock.toml" in printed.splitlines()
    )


def test_a_diff_folds_facts_and_leaves_code_alone(case: Path) -> None:
    changed = {**SOURCES, f"{LONG}/__init__.py": f"{LINE}\n", f"{LONG}/notes.txt": "x"}
    other = write_case(case.parent / "other.case", changed)
    code, printed = in_terminal("diff", case, other, folder=case.parent)
    assert code == 1
    assert f" {printable(LINE)}" in printed.splitlines()
    short = [
        line for line in printed.splitlines() if LONG not in line and not line.startswith((" ", "-", "+"))
    ]
    assert all(len(line) <= 80 for line in short)


def test_a_pipe_has_one_fact_a_line(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from wardian.cli.app import run

    assert run(["audit", str(case)]) == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if LONG in line]
    assert "os.system" in line


def test_a_long_name_in_an_error_is_not_broken(case: Path) -> None:
    content = bytearray(case.read_bytes())
    with zipfile.ZipFile(case) as archive:
        [record] = [info for info in archive.infolist() if info.filename.endswith(f"{LONG}/__init__.py")]
    name_length, extra_length = struct.unpack_from("<HH", content, record.header_offset + 26)
    content[record.header_offset + 30 + name_length + extra_length + 20] ^= 1
    damaged = case.with_name("damaged orchard in a folder of a name.case")
    damaged.write_bytes(content)
    code, printed = in_terminal("verify", damaged, folder=case.parent)
    assert code == 1
    assert f"'{damaged}'" in printed
    assert f"'{LONG}/__init__.py'" in printed
    code, printed = in_terminal("cat", damaged, f"{LONG}/__init__.py", folder=case.parent)
    assert code == 2
    assert printed.startswith("error: ")
    assert all(line.startswith("  ") for line in printed.splitlines()[1:])


def test_a_plan_and_a_report_of_packing_are_folded(tmp_path: Path) -> None:
    write_tree(tmp_path, "--- plum.py\nimport torch\ndef build():\n    return torch.nn.Dropout()\n")
    code, printed = in_terminal("pack", "plum.py:build", "-o", "plum.case", folder=tmp_path)
    assert code == 0
    assert "note: " in printed
    # A path is never broken; pytest's folder may be a long one.
    assert [line for line in printed.splitlines() if len(line) > 80 and str(tmp_path) not in line] == []
