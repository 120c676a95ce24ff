"""The modules that a case has of code that no import leads to, as text."""

from __future__ import annotations

from dataclasses import dataclass

from wardian.capture.definitions import Piece
from wardian.capture.effects import SET
from wardian.capture.factories import FACTORY
from wardian.capture.homes import import_as
from wardian.capture.namespaces import Namespace
from wardian.domain.names import ModuleName

__all__ = ["CapturedModule", "Home", "module_of_home", "module_of_namespace"]


@dataclass(frozen=True, slots=True)
class CapturedModule:
    """A synthesised module."""

    name: ModuleName
    source: str
    is_package: bool
    origins: tuple[tuple[str, int], ...] = ()
    """For each line the user's file and line it comes from; ("", 0) where there is none."""
    file: str | None = None
    """The file of a module that has one and was changed after it was imported."""


class Home:
    """An importable module, functions of which hold local functions."""

    def __init__(self, name: ModuleName, module: ModuleName) -> None:
        self.name = name
        self.module = module
        self.factories: dict[str, Piece] = {}


def module_of_namespace(namespace: Namespace, package: str) -> CapturedModule | None:
    """Return the module of what is taken of a script, None if it is nothing.

    Args:
        namespace: The script.
        package: Name of the package of synthesised modules.
    """
    pieces = namespace.pieces()
    if not pieces and not namespace.has_values and not namespace.is_held:
        return None
    head = []
    if future := namespace.future():
        head.append(Piece(f"from __future__ import {', '.join(future)}\n", "", 0))
    if namespace.factories:
        head.append(Piece(f"from {package} import factory as {FACTORY}\n", "", 0))
    if namespace.has_values:
        setter = f"def {SET}(name, value):\n    globals()[name] = value\n"
        pieces.append(Piece(setter, "", 0))
    return _assembled(namespace.module, namespace.script.title, head + pieces)


def module_of_home(home: Home, package: str) -> CapturedModule:
    """Return the module that makes the local functions of an importable module.

    Args:
        home: The importable module.
        package: Name of the package of synthesised modules.
    """
    head = [
        Piece("from __future__ import annotations\n", "", 0),
        # Not the module: its package may have a class of the same name in its place.
        Piece(f"{import_as(home.name, 'namespace', '__dict__')}\n", "", 0),
        Piece(f"from {package} import factory as {FACTORY}\n", "", 0),
    ]
    pieces = [home.factories[name] for name in sorted(home.factories)]
    return _assembled(
        home.module, f"Functions that were made inside functions of {home.name}.", head + pieces
    )


def _assembled(name: ModuleName, title: str, pieces: list[Piece]) -> CapturedModule:
    source = f'"""{title}"""\n'
    origins: list[tuple[str, int]] = [("", 0)]
    last_is_block = False
    for piece in pieces:
        is_block = piece.source.count("\n") > 1
        gap = 2 if is_block or last_is_block else (1 if len(origins) == 1 else 0)
        last_is_block = is_block
        source += "\n" * gap + piece.source
        origins += [("", 0)] * gap
        count = piece.source.count("\n")
        origins += [(piece.file, piece.line + i) if piece.file else ("", 0) for i in range(count)]
    return CapturedModule(name, source, False, tuple(origins))
