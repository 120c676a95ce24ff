"""The globals that a pickle names, read without unpickling it."""

from __future__ import annotations

import io
import pickletools

__all__ = ["named_globals"]

_STRINGS = frozenset(
    {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "SHORT_BINSTRING", "BINSTRING"}
)
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})
_SILENT = frozenset({"PROTO", "FRAME"})


def named_globals(data: bytes) -> tuple[tuple[str, str], ...]:
    r"""Return the globals that a pickle names, in its order, each once.

    Args:
        data: A pickle of any protocol. What is damaged or follows is left out.

    Returns:
        Module and qualified name. Where a pickle computes a name, which no pickler does, both are "?".

    >>> named_globals(b"cbuiltins\nlen\n.")
    (('builtins', 'len'),)
    """
    found: dict[tuple[str, str], None] = {}
    memo: dict[int, str | None] = {}
    pushed: list[str | None] = []  # what was pushed last, None if it is no string
    try:
        for opcode, argument, _ in pickletools.genops(io.BytesIO(data)):
            name = opcode.name
            if name in _STRINGS:
                pushed.append(str(argument))
            elif name in _GETS:
                pushed.append(memo.get(int(str(argument))))
            elif name == "MEMOIZE" or name in _PUTS:
                memo[len(memo) if argument is None else int(str(argument))] = pushed[-1] if pushed else None
            elif name in ("GLOBAL", "INST"):
                module, _, qualname = str(argument).partition(" ")
                found[module, qualname] = None
                pushed.append(None)
            elif name == "STACK_GLOBAL":
                named = (pushed[-2], pushed[-1]) if len(pushed) > 1 else (None, None)
                module, qualname = ("?" if part is None else part for part in named)
                found[module, qualname] = None
                pushed.append(None)
            elif name not in _SILENT:
                pushed.append(None)
            del pushed[:-2]
    except (ValueError, IndexError, KeyError):  # a damaged pickle
        pass
    return tuple(found)
