"""Absolute imports of packed modules, turned into relative ones.

Packed module `mylib.nn` is loaded as `<mount>.mylib.nn`, and `import mylib` in it must mean
`<mount>.mylib`. A hook on `__import__` is not enough: torch.compile ignores it and traces the
environment's `mylib` instead, silently. Relative imports that climb to the mount are followed by everything,
and the bytecode does not depend on the mount's name (docs/reference/format.md, 5.2 and 5.3).
"""

from __future__ import annotations

import ast
import copy
import marshal
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from types import CodeType

from wardian.domain.names import ModuleName, top_level
from wardian.source.parsing import TokenLines, parse, probe, with_whole_stack

__all__ = ["compile_module", "dump_code", "mentioned"]

_BLOCKS = frozenset({"body", "handlers", "orelse", "finalbody", "cases"})
"""Fields of syntax nodes that are, or lead to, lists of statements."""


def compile_module(
    source: bytes,
    module: ModuleName,
    *,
    is_package: bool,
    filename: str,
    roots: frozenset[str],
    tree: Callable[[], ast.Module] | None = None,
) -> CodeType:
    """Compile a module so that it imports packed modules from its own mount.

    A relative import that climbs out of its top-level package fails, as it does anywhere; it must not find
    the mount, or what is above it. Everything else stays: names that imports bind, their order, what circular
    imports tolerate, lines and columns. `__import__(...)` and strings are left to the mount's hooks.

    Args:
        source: Bytes as they are in the file.
        module: Original name of the module; it is loaded as `<mount>.<module>`.
        is_package: Whether it is the `__init__` of a package.
        filename: Becomes `co_filename`.
        roots: Top-level names of packed modules, and `wardian.domain.names.SHIMMED`.
        tree: Returns what `wardian.source.parsing.parse` does for *source*, if somebody else asks, too. It
            is asked where there may be something to rewrite, and the tree is not modified.

    Returns:
        The code object. Equal inputs give equal code.

    Raises:
        SyntaxError: if the source is not valid for this interpreter; `filename` is *filename*.

    >>> code = compile_module(
    ...     b"from mylib.ops import relu",
    ...     ModuleName("app.model"),
    ...     is_package=False,
    ...     filename="app/model.py",
    ...     roots=frozenset({"app", "mylib"}),
    ... )
    >>> code.co_consts[0]  # climbs from <mount>.app.model over <mount>.app to <mount>
    2
    """
    text = probe(source)
    if b"modules" in text and b"sys" in text:
        # `sys.modules["mylib"]` is an import by another name: such a module gets the mount's view of sys.
        roots |= {"sys"}
    place = _Place(module if is_package else module.rpartition(".")[0], is_package=is_package)
    if _may_import(roots, text) or _may_climb_out(text, place):
        rewritten = _rewrite(tree() if tree else parse(source, filename), text, roots, place)
        if rewritten is not None:
            return _compile(rewritten, filename)
    # Nothing to rewrite. From source the compiler gives the same code, needs no tree, and takes code that is
    # nested three times deeper.
    return _compile(source, filename)


def mentioned(roots: Iterable[str], source: bytes) -> frozenset[str]:
    """Return those of *roots* that stand anywhere in *source*: of no other can it import anything.

    >>> sorted(mentioned(["app", "mylib"], b"from mylib import ops"))
    ['mylib']
    """
    text = probe(source)
    return frozenset(root for root in roots if root.encode() in text)


def _compile(code: bytes | ast.Module, filename: str) -> CodeType:
    return with_whole_stack(partial(compile, code, filename, "exec", dont_inherit=True), filename)


def _may_import(roots: frozenset[str], text: bytes) -> bool:
    """Return whether *text* may import one of *roots*; False is certain."""
    return any(pattern.search(text) for pattern in _patterns(roots))


@lru_cache(maxsize=64)
def _patterns(roots: frozenset[str]) -> tuple[re.Pattern[bytes], ...]:
    if not roots:
        return ()
    names = b"|".join(re.escape(name.encode()) for name in sorted(roots))
    return (
        re.compile(rb"from[ \t\f\\\n]+(?:" + names + rb")(?![a-zA-Z0-9_])"),
        # Several modules may stand on one line, and a backslash continues it.
        re.compile(rb"import(?:[ \t\f]|\\\n)(?:[^\n;#]|\\\n)*?(?<![\w.])(?:" + names + rb")(?![a-zA-Z0-9_])"),
    )


def _may_climb_out(text: bytes, place: _Place) -> bool:
    """Return whether *text* may import from outside of its top-level package by dots; False is certain."""
    return any(match[0].count(b".") >= place.depth for match in _CLIMBS.finditer(text))


_CLIMBS = re.compile(rb"from[ \t\f\\\n]*\.[. \t\f\\\n]*")

_TOO_HIGH = 10_000
"""The level of a relative import that is beyond whatever package it stands in."""


@dataclass(frozen=True, slots=True)
class _Place:
    """The module whose imports are rewritten."""

    package: str
    is_package: bool

    @property
    def depth(self) -> int:
        """The level of a relative import that climbs to the mount."""
        return len(self.package.split(".")) + 1 if self.package else 1


def _rewrite(tree: ast.Module, text: bytes, roots: frozenset[str], place: _Place) -> ast.Module | None:
    """Return *tree* with its imports rewritten, or None if there is nothing to rewrite.

    Nodes on the way to an import are copied, all others are shared.
    """
    lines = TokenLines(text, [b"import"])
    module = copy.copy(tree)
    changed = False
    # Not recursive: an `elif` is an `if` in the `else` of another, and people write hundreds.
    stack: list[ast.AST] = [module]
    while stack:
        parent = stack.pop()
        for field in _BLOCKS.intersection(parent._fields):
            block: list[ast.AST] = []
            for node in getattr(parent, field):
                if not lines.may_be_in(node):
                    block.append(node)
                elif isinstance(node, ast.Import) and any(_top(alias.name) in roots for alias in node.names):
                    block += _rewrite_import(node, roots, place)
                    changed = True
                elif isinstance(node, ast.ImportFrom) and not node.level and _top(node.module) in roots:
                    block.append(_import_from(node, node.module, node.names, place))
                    changed = True
                elif isinstance(node, ast.ImportFrom) and node.level >= place.depth:
                    block.append(ast.copy_location(ast.ImportFrom(node.module, node.names, _TOO_HIGH), node))
                    changed = True
                elif _BLOCKS.isdisjoint(node._fields):
                    block.append(node)
                else:
                    block.append(copy.copy(node))
                    stack.append(block[-1])
            setattr(parent, field, block)
    return module if changed else None


def _rewrite_import(node: ast.Import, roots: frozenset[str], place: _Place) -> Iterator[ast.stmt]:
    """Yield statements that bind the same names to the packed modules.

    `import a.b.c as d` becomes `from <mount>.a.b.c import __class__ as d` and
    `from <mount>.a.b import c as d`. The first imports the submodule, whether or not it is an attribute of
    its parent. It binds no extra name, because the second binds the same one. `__class__` is the one
    attribute that whatever stands in `sys.modules` has; not even modules are sure to have `__name__`.
    """
    for alias in node.names:
        parent, _, last = alias.name.rpartition(".")
        first = _top(alias.name)
        if first not in roots:
            yield ast.copy_location(ast.Import([alias]), node)
            continue
        bound = alias.asname or first
        if not parent:
            yield _import_from(node, None, [_alias(first, bound, alias)], place)
        elif not alias.asname:
            yield _import_from(node, alias.name, [_alias("__class__", bound, alias)], place)
            yield _import_from(node, None, [_alias(first, bound, alias)], place)
        elif bound == last and place.is_package and parent == place.package:
            # In the package itself the name that is bound is the attribute that is read next. A name that no
            # source can contain takes its place.
            yield _import_from(node, alias.name, [_alias("__class__", "@loaded", alias)], place)
            yield _import_from(node, parent, [_alias(last, bound, alias)], place)
            gone = ast.copy_location(ast.Name("@loaded", ast.Del()), node)
            yield ast.copy_location(ast.Delete([gone]), node)
        else:
            yield _import_from(node, alias.name, [_alias("__class__", bound, alias)], place)
            yield _import_from(node, parent, [_alias(last, bound, alias)], place)


def _alias(name: str, bound: str, origin: ast.alias) -> ast.alias:
    return ast.copy_location(ast.alias(name, bound), origin)


def _import_from(
    origin: ast.stmt, module: str | None, names: list[ast.alias], place: _Place
) -> ast.ImportFrom:
    return ast.copy_location(ast.ImportFrom(module, names, place.depth), origin)


def _top(name: str | None) -> str:
    return top_level(name or "")


def dump_code(code: CodeType) -> bytes:
    """Serialise *code* so that equal code gives equal bytes in every process.

    `marshal` marks an object as shared when its reference count is above one and as interned when anybody
    interned an equal string, so that its newest format differs from run to run
    (https://github.com/python/cpython/issues/78274, https://github.com/python/cpython/issues/98819).
    Format 2 knows neither mark. `marshal.loads` reads it like any other.

    >>> dump_code(compile("x = 1", "mylib.py", "exec"))[:1]
    b'c'
    """
    try:
        return marshal.dumps(code, 2)
    except ValueError:
        # Constant slices, which CPython 3.14 makes, need format 5. A round trip forgets who else holds the
        # objects; what else could differ, whether a string of one character is interned, is the same in
        # every process since 3.13.
        return marshal.dumps(marshal.loads(marshal.dumps(code)))  # noqa: S302 - written a moment ago
