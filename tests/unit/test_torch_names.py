"""Each name of PyTorch that is not public, and that the code relies on, is there.

Most are looked up while cases are opened and closed, and one that is gone is left alone: a release of PyTorch
that renames one shows here, and not in what stays behind when a case is closed.
"""

from __future__ import annotations

import ast
import functools
import importlib
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import wardian

_SOURCE = Path(wardian.__file__).parent
_DOTTED = re.compile(r"torch(\.\w+)*")
_NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*")


def _private(name: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in name.split("."))


def _chain(node: ast.AST) -> str:
    """Return the dotted name that an expression spells, empty if it is none."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            above = _chain(value)
            return f"{above}.{name}" if above else ""
    return ""


def _texts(nodes: list[ast.expr]) -> Iterator[str]:
    """Yield module and name, one after the other in arguments or a tuple, as one dotted name."""
    values = [node.value if isinstance(node, ast.Constant) else None for node in nodes]
    for module, name in itertools.pairwise(values):
        if not (isinstance(module, str) and isinstance(name, str)):
            continue
        if _DOTTED.fullmatch(module) and _NAME.fullmatch(name):
            yield f"{module}.{name}"


def _names_in(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute():
                yield _chain(node)
            case ast.ImportFrom(module=str(module), names=names):
                yield from (f"{module}.{alias.name}" for alias in names)
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.Call(args=parts) | ast.Tuple(elts=parts):
                yield from _texts(parts)
            case ast.Constant(value=str(text)) if _DOTTED.fullmatch(text):
                yield text


@functools.cache
def _found() -> list[str]:
    names = {
        name
        for source in (path.read_text(encoding="utf-8") for path in _SOURCE.rglob("*.py"))
        if "torch" in source
        for name in _names_in(ast.parse(source))
        if name.startswith("torch.") and _private(name)
    }
    names |= {
        f"torch.nn.modules.module._global_{kind}_hooks"
        for kind in (
            *("backward", "backward_pre", "forward", "forward_pre"),
            *("buffer_registration", "module_registration", "parameter_registration"),
        )
    }
    return sorted(names)


def _is_there(name: str) -> bool:
    """Tell whether a dotted name leads somewhere, by imports as far as there are modules."""
    parts = name.split(".")
    for stop in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:stop]))
        except ModuleNotFoundError:
            continue
        for part in parts[stop:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def test_each_private_name_of_torch_is_there() -> None:
    assert [name for name in _found() if not _is_there(name)] == []


def test_names_that_are_spelled_in_every_way_are_found() -> None:
    found = _found()
    for name in (
        "torch._C.PyTorchFileReader",  # an attribute
        "torch.serialization._serialization_tls",  # a name that is imported, or an attribute
        "torch._jit_internal._overloaded_fns",  # a table, by module and name
        "torch._dynamo.eval_frame.OptimizedModule",  # a class, in a tuple
        "torch._library.custom_ops.CustomOpDef",  # a text
    ):
        assert name in found


@pytest.mark.parametrize("name", ["torch._C.no_such_name", "torch._no_such_module.table"])
def test_what_is_not_there_is_not_found(name: str) -> None:
    assert not _is_there(name)
