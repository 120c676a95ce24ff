"""Containers of nothing but texts, numbers and the like, pickled without a step for each item.

Most of the time of the C pickler goes into its memo, and most of ours into taking out of the pickle what is
there because of it. Where nothing but texts is met twice, the pickler need not keep one: what it writes is
then in canonical form, but for frames and texts that are equal.
"""

from __future__ import annotations

import io
import pickle
from collections import Counter
from itertools import chain
from typing import Any, Final, NoReturn

from wardian.pickling.canonical import canonicalise
from wardian.pickling.opcodes import (
    FRAME,
    HEADER,
    PUT,
    STOP,
    fetch_of,
    frame_end,
    run_of_plain,
    split_texts,
    token_end,
)

__all__ = ["pickle_plain"]

_UNKEPT: Final = frozenset({int, float, bool, type(None)})
"""Types of which the pickler keeps nothing in its memo."""
_KNOWN: Final = _UNKEPT | {str, bytes, list, tuple, dict}


class _NotPlainError(Exception):
    """There is something else inside after all: another thread has put it there."""


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> NoReturn:
        raise _NotPlainError


def pickle_plain(obj: Any) -> bytes | None:
    r"""Pickle *obj* in canonical form if it is a tree of plain containers, texts, bytes and numbers.

    Args:
        obj: Any object.

    Returns:
        Its pickle, the same as by way of the memo. None for any other object: for one that holds something
        else, or a part twice, or is nested too deep for the pickler.

    >>> pickle_plain({"a": [1, "b"]})
    b'\x80\x04}\x8c\x01a](K\x01\x8c\x01bes.'
    >>> pickle_plain([len])
    """
    texts = _texts_of_tree(obj)
    if texts is None:
        return None
    buffer = io.BytesIO()
    pickler = _Pickler(buffer, 4)
    pickler.fast = True  # without a memo
    try:
        pickler.dump(obj)
    except (RecursionError, ValueError, _NotPlainError):
        return None
    if pickler.memo.copy():  # `fast` is documented as deprecated
        return None
    data = _without_frames(buffer.getvalue())
    return data if len(set(texts)) == len(texts) else _with_fetches(data)


def _texts_of_tree(obj: Any) -> list[str] | None:
    """Return all texts in *obj*, in no order; None if it is no tree of what is known.

    It goes down level by level, so that there is a step of Python for each level, and not for each item.
    """
    texts: list[str] = []
    met: set[int] = set()
    count = 0
    level = [obj]
    while level:
        kinds = set(map(type, level))
        if not kinds <= _KNOWN:
            return None
        below: list[Any] = []
        for kind in kinds - _UNKEPT:
            mine: list[Any] = level if len(kinds) == 1 else [item for item in level if type(item) is kind]
            if kind is str:
                texts += mine
                continue
            if kind is tuple:
                mine = list(filter(None, mine))  # there is one empty tuple, and it is never kept
            count += len(mine)
            met.update(map(id, mine))
            if kind is not bytes:
                below += chain.from_iterable(mine)
            if kind is dict:
                below += chain.from_iterable(map(dict.values, mine))
        if len(met) < count:
            return None
        level = below
    return texts


def _without_frames(data: bytes) -> bytes:
    """Leave out the frames of a pickle, which only group bytes; large texts and bytes are in none."""
    kept = [HEADER]
    position = len(HEADER)
    while position < len(data):
        op, start = data[position], position
        if op == FRAME:
            start = frame_end(data, position)
            position = start + int.from_bytes(data[position + 1 : start], "little")
        else:
            position = position + 1 if op == STOP else token_end(data, position)
        kept.append(data[start:position])
    return b"".join(kept)


def _with_fetches(data: bytes) -> bytes:
    """Write texts once that are equal, in a pickle that has neither memo nor frames."""
    # Flat: what is between matches, which is nothing, the opcodes before a text, and the text.
    found = split_texts(data[len(HEADER) :])
    last = found[-1]
    if any(found[:-1:3]) or run_of_plain(last).end() != len(last) - 1:  # type: ignore[union-attr]
        return canonicalise(data).data  # a long text, or bytes
    texts = found[2::3]
    shared = [text for text, occurrences in Counter(texts).items() if occurrences > 1]
    fetches = {text: fetch_of(entry) for entry, text in enumerate(shared)}
    written = list(map(fetches.get, texts, texts))
    place = 0
    for text in shared:
        place = texts.index(text, place)
        written[place] = text + PUT
    joined = [b""] * (2 * len(texts))
    joined[::2] = found[1::3]
    joined[1::2] = written
    return b"".join([HEADER, *joined, last])
