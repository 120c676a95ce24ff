"""Numbers and names as people read them."""

from __future__ import annotations

import pickle
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.wording import MissingNameError, count_text, near_to, printable, size_text, with_article


@given(st.text())
def test_nothing_is_left_that_a_terminal_obeys_and_the_rest_is_as_it_was(text: str) -> None:
    shown = printable(text)
    assert printable(shown) == shown
    assert not any(unicodedata.category(letter) == "Cc" and letter not in "\t\n" for letter in shown)
    harmless = "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf"))
    assert printable(harmless) == harmless


@pytest.mark.parametrize("letter", ["\x1b", "\r", "\x7f", "\x9b", "\u202e", "\u2066"])
def test_what_moves_the_cursor_or_turns_text_around_is_escaped(letter: str) -> None:
    assert printable(f"a{letter}b") == f"a{ascii(letter)[1:-1]}b"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (99_999, "100.0 kB"),
        (100_000, "0.1 MB"),
        (2_500_000_000, "2500.0 MB"),
    ],
)
def test_sizes_have_the_unit_in_which_they_are_short(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(("number", "text"), [(0, "0 modules"), (1, "1 module"), (2, "2 modules")])
def test_only_one_is_singular(number: int, text: str) -> None:
    assert count_text(number, "module") == text


@pytest.mark.parametrize(
    ("noun", "text"),
    [("int", "an int"), ("Union", "an Union"), ("list", "a list"), ("_Model", "a _Model"), ("", "a ")],
)
def test_an_article_fits_the_first_letter(noun: str, text: str) -> None:
    assert with_article(noun) == text


def test_the_nearest_names_come_first_each_once() -> None:
    names = ["encoder.weight", "decoder.weight", "encoder.bias", "head"]
    assert near_to("hed", names) == ["head"]
    assert near_to("encodr.weight", names)[0] == "encoder.weight"
    assert near_to("*bias*", names) == ["encoder.bias"]  # by a part of it
    assert near_to("zzz", names) == []
    assert len(near_to("weight", [f"w.weight{n}" for n in range(9)])) == 3


def test_of_very_many_names_not_all_are_compared() -> None:
    names = ("x" * 9 for _ in range(10_000))
    assert near_to("head", [*names, "head"]) == []


def test_a_missing_name_looks_for_the_nearest_when_it_is_read() -> None:
    names = ["head"]
    error = MissingNameError("tensor", "bady", names)
    names.append("body")
    assert str(error) == "no tensor 'bady'; near to it: body"
    assert error.args == ("bady",)
    assert str(MissingNameError("tensor", 3, [])) == "no tensor '3'"
    with pytest.raises(KeyError):
        raise error


def test_a_missing_name_travels_to_other_processes() -> None:
    copy = pickle.loads(pickle.dumps(MissingNameError("tensor", "hed", ["head"])))
    assert type(copy) is KeyError
    assert copy.args == ("no tensor 'hed'; near to it: head",)
