"""Text for people, JSON for programs."""

from __future__ import annotations

import io
import json
import sys
import warnings
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.cli import output
from wardian.cli.output import (
    Line,
    check_output,
    columns,
    command,
    echo,
    echo_error,
    echo_json,
    echo_lines,
    echo_note,
    echo_text,
    examples,
    folded,
    keep_whole,
    plain_warnings,
    prepare_streams,
    write_output,
)
from wardian.errors import WardianWarning


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def narrow(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Let standard output and error be a terminal of thirty columns.

    No fixture: pytest gives each phase of a test its own streams.
    """
    terminal = Terminal()
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", terminal)
    return terminal


# Streams


def test_any_text_can_be_printed_wherever_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", ascii_only)
    monkeypatch.setattr(sys, "stderr", None)
    prepare_streams()
    sys.stdout.write("tree \N{DECIDUOUS TREE}")
    sys.stdout.flush()
    assert ascii_only.buffer.getvalue() == rb"tree \U0001f333"
    with sys.stderr as closed:
        assert closed.write("nobody hears it") > 0


# Files


def test_an_output_is_no_input_no_folder_and_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "oak.case").touch()
    (tmp_path / "link.case").symlink_to("oak.case")
    for fine in (None, "-", "new.case", "oak.case", str(tmp_path / "new.case")):
        check_output(fine, "other.case", "https://models.example/oak.case")
    for wrong, words in (
        ("./link.case", "is what is read, and would be gone"),
        (".", "is a folder; name a file in it"),
        ("deep/er/new.case", "there is no folder deep/er for new.case; mkdir -p deep/er"),
        ("s3://me:word@models/oak.case", "is a URL, .*wardian push FILE URL"),
    ):
        with pytest.raises(click.UsageError, match=words) as caught:
            check_output(wrong, "oak.case")
        assert "word" not in caught.value.message.replace("password", "")


def test_a_file_is_written_as_a_whole_or_stays(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    write_output(str(tmp_path / "out"), b"one")
    write_output(str(tmp_path / "out"), b"two")
    assert (tmp_path / "out").read_bytes() == b"two"
    with pytest.raises(FileNotFoundError):
        write_output(str(tmp_path / "gone/out"), b"three")
    write_output("-", b"\xff\x00")
    assert capsysbinary.readouterr().out == b"\xff\x00"


# Text


def test_nothing_that_is_printed_moves_a_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    echo("\x1b[2J")
    echo_lines(["\x1b[2J", "two\nlines"])
    echo_error("\x1b[2J\n  fix: it")
    echo_note("\x1b[2J")
    out, err = capsys.readouterr()
    assert out.splitlines() == [r"\x1b[2J", r"\x1b[2J", r"two\nlines"]
    assert err.splitlines() == [r"error: \x1b[2J", "  fix: it", r"\x1b[2J"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda it: st.lists(it) | st.dictionaries(st.text(), it),
        max_leaves=6,
    )
)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_json_is_what_was_given_in_any_encoding(encoding: str, data: object) -> None:
    with pytest.MonkeyPatch.context() as patch:
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        patch.setattr(sys, "stdout", stream)
        echo_json(data)
        stream.flush()
        assert json.loads(stream.buffer.getvalue()) == data


def test_half_a_character_has_a_form_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    echo_json({"name": "a\udcff"})
    assert json.loads(capsys.readouterr().out) == {"name": "a\udcff"}


def test_a_pipe_has_one_fact_a_line_and_a_terminal_as_many_as_it_needs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fact = Line("one two three four five six seven", "  a: ")
    whole = Line("code that is longer than thirty columns", is_whole=True)
    code = "    x = 'code that is longer than thirty columns'"
    echo_lines([fact, whole, code])
    assert capsys.readouterr().out.splitlines() == [
        "  a: one two three four five six seven",
        whole.text,
        code,
    ]
    terminal = narrow(monkeypatch)
    echo_lines([fact, whole, code])
    assert terminal.getvalue().splitlines() == [
        "  a: one two three four five",
        "     six seven",
        whole.text,
        code,
    ]


def test_an_error_is_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = narrow(monkeypatch)
    echo_error("one two three four five six seven\n  fix: pip install 'something that is long[cli]'")
    assert click.unstyle(terminal.getvalue()).splitlines() == [
        "error: one two three four five",
        "  six seven",
        "  fix: pip install 'something that is long[cli]'",
    ]


@given(
    st.lists(st.text("abc", min_size=1, max_size=12), min_size=1),
    st.integers(5, 40),
    st.text(" ", max_size=3),
)
def test_words_are_neither_broken_nor_lost(words: list[str], width: int, head: str) -> None:
    lines = folded(" ".join(words), head, width=width)
    assert " ".join(lines).split() == words
    assert all(len(line) <= width or " " not in line.strip() for line in lines)
    assert all(line.startswith(head) for line in lines)


@pytest.mark.parametrize(
    "copied",
    [
        "'a b c d'",
        '"a b c d"',
        "`a b c d`",
        "[1, 2, 3, 4]",
        "wardian push 'a b' c d",
        "it helps: pip install a b c",
    ],
)
def test_what_people_copy_is_in_one_line(copied: str) -> None:
    kept = copied.partition(": ")[2] or copied
    assert any(kept in line for line in folded(f"{copied}", width=8))


def test_paths_of_the_command_line_are_not_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(output, "_kept", set())
    keep_whole(["info", "my model.case"])
    assert folded("the file my model.case is here", width=10) == ["the file", "my model.case", "is here"]
    assert str(tmp_path / "my model.case") in folded(f"so {tmp_path}/my model.case", width=10)
    keep_whole(["info"])
    assert folded("my model.case", width=4) == ["my", "model.case"]


def test_columns_are_as_wide_as_their_longest_text() -> None:
    assert columns([]) == []
    assert columns([("a", "b", ""), ("long", "", "c")], indent="  ") == ["  a     b", "  long     c"]
    assert columns([("only",), ("one",)]) == ["only", "one"]


def test_a_command_can_be_copied_and_examples_stay_as_they_are() -> None:
    assert command("wardian", "ls", "a b.case", "*") == "wardian ls 'a b.case' '*'"
    assert examples("one") == "\b\nExample:\n  one"
    assert examples("one", "two") == "\b\nExamples:\n  one\n  two"


def test_a_text_of_several_lines_is_printed_as_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    echo_text("one\n\n  two")
    assert capsys.readouterr().out == "one\n\n  two\n"


# Warnings


def test_a_warning_of_ours_is_a_sentence_once_and_others_are_as_they_were(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    others: list[str] = []
    monkeypatch.setattr(warnings, "showwarning", lambda message, *rest, **more: others.append(str(message)))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        before = warnings.showwarning
        with plain_warnings():
            for _ in range(2):
                warnings.warn("ours", WardianWarning, stacklevel=1)
            warnings.warn("theirs", UserWarning, stacklevel=1)
        assert warnings.showwarning is before
    assert others == ["theirs"]
    assert capsys.readouterr().err == "warning: ours\n"
