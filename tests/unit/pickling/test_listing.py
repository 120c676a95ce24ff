"""The globals that a pickle names, for every protocol and for pickles that no pickler writes."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardian.pickling.listing import named_globals

VALUE = [OrderedDict(a=1), OrderedDict(b=2), Fraction(1, 3), len, {"collections": "OrderedDict"}]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_global_is_named_once(protocol: int) -> None:
    found = named_globals(pickle.dumps(VALUE, protocol))
    wanted = {("collections", "OrderedDict"), ("fractions", "Fraction")}
    builtins = {("builtins", "len"), ("__builtin__", "len")}
    assert wanted <= set(found)
    assert builtins & set(found)
    assert len(found) == len(set(found))


def test_a_name_that_is_computed_is_not_missed() -> None:
    # A tuple's item as the name: POP_MARK and the like hide which strings are on top.
    assert named_globals(b"\x80\x04\x8c\x02os)\x93.") == (("os", "?"),)


@given(st.binary(max_size=60))
def test_damage_is_no_error(data: bytes) -> None:
    assert isinstance(named_globals(b"\x80\x04" + data), tuple)
