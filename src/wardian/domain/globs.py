"""Patterns of dotted names, with the meaning they have in torch.package."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["GlobGroup"]


class GlobGroup:
    """Names that match one of some patterns and none of others.

    A name and a pattern are segments between separators. In a pattern, `*` stands for any text, also none,
    within a segment, and a segment `**` for any number of whole segments, also none.

    Args:
        include: A pattern, or several; one of them must match.
        exclude: A pattern, or several; none of them may match.
        separator: One character: `.` for modules, `/` for files.

    Raises:
        TypeError: if a pattern is not a string.
        ValueError: if `**` is only part of a segment, or *separator* is not one character.

    >>> group = GlobGroup("torch*.**", exclude="**._*")
    >>> [name for name in ["torch", "torchvision.ops", "torch._C", "numpy"] if group.matches(name)]
    ['torch', 'torchvision.ops']
    """

    __slots__ = ("_excluded", "_included", "exclude", "include", "separator")

    include: tuple[str, ...]
    exclude: tuple[str, ...]
    separator: str

    def __init__(
        self, include: str | Iterable[str], *, exclude: str | Iterable[str] = (), separator: str = "."
    ) -> None:
        if len(separator) != 1 or separator == "*":
            raise ValueError(f"the separator must be one character and not '*', not {separator!r}")
        self.include = _patterns(include)
        self.exclude = _patterns(exclude)
        self.separator = separator
        self._included = _expression(self.include, separator)
        self._excluded = _expression(self.exclude, separator)

    def matches(self, candidate: str) -> bool:
        """Return whether *candidate* matches.

        >>> GlobGroup("torch.*").matches("torch")
        False
        """
        # Every segment of an expression begins with a separator, so the first one needs it too.
        text = self.separator + candidate
        return self._included.fullmatch(text) is not None and self._excluded.fullmatch(text) is None

    def __str__(self) -> str:
        included = ", ".join(f'"{pattern}"' for pattern in self.include)
        excluded = ", ".join(f'"{pattern}"' for pattern in self.exclude)
        return f"{included} except {excluded}" if excluded else included

    def __repr__(self) -> str:
        options = f", exclude={list(self.exclude)!r}" if self.exclude else ""
        options += f", separator={self.separator!r}" if self.separator != "." else ""
        return f"GlobGroup({list(self.include)!r}{options})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GlobGroup) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, self._key()

    def _key(self) -> tuple[tuple[str, ...], tuple[str, ...], str]:
        return self.include, self.exclude, self.separator


def _rebuild(include: tuple[str, ...], exclude: tuple[str, ...], separator: str) -> GlobGroup:
    return GlobGroup(include, exclude=exclude, separator=separator)


def _patterns(given: str | Iterable[str]) -> tuple[str, ...]:
    patterns = (given,) if isinstance(given, str) else tuple(given)
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise TypeError(f"a pattern is a string such as 'mylib.**', not {pattern!r}")
    return patterns


def _expression(patterns: Iterable[str], separator: str) -> re.Pattern[str]:
    choices = [_alternative(pattern, separator) for pattern in patterns]
    return re.compile("|".join(choices) if choices else r"(?!)")


def _alternative(pattern: str, separator: str) -> str:
    begin, inside = re.escape(separator), f"[^{re.escape(separator)}]"
    parts: list[str] = []
    for segment in pattern.split(separator):
        if segment == "**":
            part = f"(?:{begin}{inside}+)*"
            if parts[-1:] == [part]:
                continue  # means the same, and twice would take quadratic time
        elif "**" in segment:
            raise ValueError(f"'**' must stand alone between separators ({separator!r}): {pattern!r}")
        else:
            part = begin + f"{inside}*".join(re.escape(text) for text in segment.split("*"))
        parts.append(part)
    return "".join(parts)
