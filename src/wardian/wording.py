"""Numbers and names as people read them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from typing import Any

__all__ = ["MissingNameError", "count_text", "near_to", "printable", "size_text", "with_article"]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that a terminal obeys instead of showing them, and those that turn text around."""


def printable(text: str) -> str:
    r"""Return text with the characters escaped that a terminal obeys: names come from strangers' files.

    >>> print(printable("a\x1b[2Jb"))
    a\x1b[2Jb
    """
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def size_text(size: int) -> str:
    """Return a number of bytes as people read it.

    >>> size_text(1), size_text(643), size_text(11_292), size_text(46_800_000)
    ('1 byte', '643 bytes', '11.3 kB', '46.8 MB')
    """
    if size < 1000:
        return count_text(size, "byte")
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


def count_text(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> count_text(1, "module"), count_text(1200, "module")
    ('1 module', '1200 modules')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def with_article(noun: str) -> str:
    """Return a noun, as the name of a class, with its article.

    >>> with_article("OrderedDict"), with_article("dict")
    ('an OrderedDict', 'a dict')
    """
    return f"{'an' if noun[:1].lower() in set('aeiou') else 'a'} {noun}"


def near_to(name: str, names: Iterable[str]) -> list[str]:
    """Return the names that somebody may have meant, the nearest first.

    >>> near_to("encoder*", ["encoder.weight", "decoder.weight", "head"])
    ['encoder.weight', 'decoder.weight']
    """
    import difflib

    known: dict[str, str] = {}
    for each in islice(names, _COMPARED):
        # A part of a long name may be nearer than the whole is.
        for part in (each, *re.split(r"[./:]", each)):
            known.setdefault(part, each)
    return list(dict.fromkeys(known[part] for part in difflib.get_close_matches(name.strip("*?"), known, 3)))


_COMPARED = 10_000
"""Names that are compared: of very many it would take long."""


class MissingNameError(KeyError):
    """There is nothing of a name. Its text tells the nearest names, looked for once it is read."""

    def __init__(self, what: str, name: object, names: Iterable[str]) -> None:
        super().__init__(name)
        self._what = what
        self._names = names

    def __str__(self) -> str:
        name = str(self.args[0])
        near = near_to(name, self._names)
        return f"no {self._what} {name!r}" + (f"; near to it: {', '.join(near)}" if near else "")

    def __reduce__(self) -> tuple[Any, ...]:
        return KeyError, (str(self),)
