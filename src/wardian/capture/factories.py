"""Functions that make functions: the source by which a local function or lambda is made again."""

from __future__ import annotations

import ast
import textwrap
import types

from wardian.capture.texts import Edit, Function, Text, span_of

__all__ = ["FACTORY", "factory_source"]

FACTORY = "captured_factory"
"""Under which name synthesised modules import what decorates the factories."""


def factory_source(
    name: str,
    code: types.CodeType,
    text: Text,
    node: Function,
    namespace: str,
    imports: list[Edit],
) -> str:
    """Return the source of a function that makes the function *code* was compiled from.

    Args:
        name: Name of the factory.
        code: Of the live function; its free variables become the parameters.
        text: Where its source is.
        node: Its syntax in *text*.
        namespace: Expression for the globals it is to have.
        imports: Edits that make relative imports absolute.

    The default arguments are left out, and annotations are strings: what they refer to may be gone, and the
    values are in the pickle.
    """
    edits = [*_signature_edits(node), *imports]
    body = _body(text, node, edits)
    made = "made" if isinstance(node, ast.Lambda) else node.name
    cls = _class_of(text, node) if _has_private_names(node) else None
    if cls is None and made not in code.co_freevars and _names_itself(node):
        # Its name is a global, as that of a decorated function is. What is in a class is not found by it.
        cls = "_"
    if cls is not None:
        # `self.__x` means `self._Class__x` only in a class of that name, and itself in one called `_`.
        inner = textwrap.indent(_normal(body), "        ")
        body = f"    class {cls}:\n{inner}    made = {cls}.__dict__[{made!r}]\n"
        made = "made"
    indent = body[: len(body) - len(body.lstrip())]
    parameters = ", ".join(code.co_freevars)
    return f"@{FACTORY}({namespace})\ndef {name}({parameters}):\n{body}{indent}return {made}\n"


def _body(text: Text, node: Function, edits: list[Edit]) -> str:
    """Return statements, with an indent, that bind the function."""
    if isinstance(node, ast.Lambda):
        return f"    made = ({text.edited(span_of(node), edits)})\n"
    start = text.lines[node.lineno - 1][: node.col_offset]
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    rest = text.lines[node.end_lineno - 1][node.end_col_offset :].strip()
    if start and not start.strip() and (not rest or rest.startswith(b"#")):
        end = len(text.lines[node.end_lineno - 1])
        return text.edited((node.lineno, 0, node.end_lineno, end), edits).rstrip() + "\n"
    return textwrap.indent(_normal(text.edited(span_of(node), edits)), "    ")


def _normal(source: str) -> str:
    """Return statements so that they can be indented: no text in quotes over several lines."""
    return ast.unparse(ast.parse(textwrap.dedent(source))) + "\n"


def _signature_edits(node: Function) -> list[Edit]:
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
    defaults: list[ast.expr | None] = [*arguments.defaults, *arguments.kw_defaults]
    annotations = [*(argument.annotation for argument in every), getattr(node, "returns", None)]
    return [(span_of(part), "None") for part in defaults if part is not None] + [
        (span_of(part), _quoted(part)) for part in annotations if part is not None
    ]


def _quoted(annotation: ast.expr) -> str:
    """Return an annotation as a string, which nothing evaluates; TorchScript reads its text."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return repr(annotation.value)
    return repr(ast.unparse(annotation))


def _class_of(text: Text, node: ast.AST) -> str | None:
    parent: ast.AST | None = text.parents.get(node)
    while parent is not None:
        if isinstance(parent, ast.ClassDef):
            return parent.name
        parent = text.parents.get(parent)
    return None


def _names_itself(node: ast.AST) -> bool:
    name = getattr(node, "name", None)
    return any(isinstance(inner, ast.Name) and inner.id == name for inner in ast.walk(node))


def _has_private_names(node: ast.AST) -> bool:
    return any(
        name.startswith("__") and not name.endswith("__")
        for inner in ast.walk(node)
        for name in (getattr(inner, "id", None), getattr(inner, "attr", None))
        if isinstance(name, str)
    )
