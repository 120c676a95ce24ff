"""Texts that are known before the code runs."""

from __future__ import annotations

import ast

__all__ = ["KnownTexts"]


class KnownTexts:
    """Tell the value of expressions made of string constants and the module's own name.

    Args:
        module: The name of the module.
        package: The package against which it imports.
    """

    def __init__(self, module: str, package: str) -> None:
        self._module = module
        self._package = package

    def text(self, node: ast.expr | None) -> str | None:
        """Return the value of an expression; None if only running the code tells it.

        >>> KnownTexts("nets.oak", "nets").text(ast.parse("__package__ + '.elm'", mode="eval").body)
        'nets.elm'
        """
        match node:
            case ast.Constant(value=str() as constant):
                return constant
            case ast.Name(id="__name__"):
                return self._module
            case ast.Name(id="__package__"):
                return self._package
            case ast.BinOp(op=ast.Add()):
                left, right = self.text(node.left), self.text(node.right)
                return None if left is None or right is None else left + right
            case ast.FormattedValue(conversion=-1, format_spec=None):
                return self.text(node.value)
            case ast.JoinedStr():
                parts = [self.text(part) for part in node.values]
                known = [part for part in parts if part is not None]
                return "".join(known) if len(known) == len(parts) else None
        return None

    def beginning(self, node: ast.expr | None) -> str:
        """Return what is known of the beginning of a text."""
        known = self.text(node)
        if known is not None:
            return known
        match node:
            case ast.BinOp(op=ast.Add()):
                left = self.text(node.left)
                return self.beginning(node.left) if left is None else left + self.beginning(node.right)
            case ast.JoinedStr():
                parts = [self.text(part) for part in node.values]
                return "".join(map(str, parts[: parts.index(None)]))
        return ""
