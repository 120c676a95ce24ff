"""A row of the table answers for one kind of objects, or refuses what must not be written."""

from __future__ import annotations

import pickle

import pytest

from wardian.pickling.reducers.row import RefusedError, Row


def test_a_refusal_has_what_is_wrong_and_what_settles_it() -> None:
    with pytest.raises(RefusedError, match=r"^it is sharded$") as caught:
        raise RefusedError("it is sharded", "gather it first")
    assert caught.value.fix == "gather it first"


def test_a_row_is_a_pair_of_a_question_and_an_answer() -> None:
    row = Row(lambda obj: type(obj) is int, lambda capture, obj: (int, (obj,)))
    is_about, answer = row
    assert (is_about(3), is_about("3")) == (True, False)
    assert answer is row.answer
    assert not issubclass(RefusedError, pickle.PicklingError)  # which many catch
