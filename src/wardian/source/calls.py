"""Imports by a call: `__import__` and `importlib.import_module`."""

from __future__ import annotations

import ast

from wardian.domain.graph import ImportContext
from wardian.source.edges import Edges, absolute_name
from wardian.source.texts import KnownTexts

__all__ = ["ImportCalls"]


class ImportCalls:
    """Find what calls import, as far as it is written there.

    Args:
        package: The package against which the module imports.
        texts: What it says of texts.
        edges: Gets what is found.
    """

    def __init__(self, package: str, texts: KnownTexts, edges: Edges) -> None:
        self._package = package
        self._texts = texts
        self._edges = edges

    def note_import(self, node: ast.Call, context: ImportContext) -> None:
        """Note the modules that a call of `__import__` imports."""
        name = self._texts.text(_argument(node, 0, "name"))
        if name is None:
            self._computed(_argument(node, 0, "name"), None, node.lineno, context)
        level = _argument(node, 4, "level")
        number = level.value if isinstance(level, ast.Constant) else 0
        if name is None or not isinstance(number, int):
            return
        base = absolute_name(name, number, self._package)
        if base is None:
            return
        self._edges.add_import(base, node.lineno, context)
        fromlist = _argument(node, 3, "fromlist")
        if "." in name and (
            fromlist is None or (isinstance(fromlist, ast.List | ast.Tuple) and not fromlist.elts)
        ):
            # The call returns a package above the module, for the sake of its attributes.
            self._edges.add_import(base.rpartition(".")[0], node.lineno, context)
        if isinstance(fromlist, ast.Tuple | ast.List):
            for element in fromlist.elts:
                if (attribute := self._texts.text(element)) and attribute != "*":
                    self._edges.add_candidate(f"{base}.{attribute}", node.lineno, context)

    def note_import_module(self, node: ast.Call, context: ImportContext) -> None:
        """Note the module that a call of `importlib.import_module` imports."""
        name = self._texts.text(_argument(node, 0, "name"))
        if name is None:
            self._computed(_argument(node, 0, "name"), _argument(node, 1, "package"), node.lineno, context)
            return
        level = len(name) - len(name.lstrip("."))
        package = self._texts.text(_argument(node, 1, "package")) or ""
        base = absolute_name(name[level:], level, package)
        if base is not None:
            self._edges.add_import(base, node.lineno, context)

    def _computed(
        self, name: ast.expr | None, package: ast.expr | None, line: int, context: ImportContext
    ) -> None:
        """Note the package above a module of whose name only the beginning is written: f"nets.{name}"."""
        known, point, _ = self._texts.beginning(name).rpartition(".")
        if not point:
            return
        stem = known.lstrip(".")
        level = len(known) - len(stem) + (not stem)
        above = absolute_name(stem, level, self._texts.text(package) or "")
        if above is not None:
            self._edges.add_walk(above, line, context)


def _argument(node: ast.Call, position: int, keyword: str) -> ast.expr | None:
    if len(node.args) > position:
        found = node.args[: position + 1]
        return None if any(isinstance(argument, ast.Starred) for argument in found) else found[-1]
    return next((argument.value for argument in node.keywords if argument.arg == keyword), None)
