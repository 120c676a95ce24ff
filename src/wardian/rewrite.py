"""Absolute imports of packed modules, turned into relative ones.

Packed module `mylib.nn` is loaded as `<root>.mylib.nn`, and `import mylib` in it must mean
`<root>.mylib`. A hook on `__import__` is not enough: torch.compile ignores it and traces the
environment's `mylib` instead, silently. Relative imports that climb to the root are followed by everything,
and the bytecode does not depend on the root's name (docs/format.md, 5.2 and 5.3).
"""

from __future__ import annotations

import ast
import copy
import marshal
import re
from collections.abc import Sequence
from functools import lru_cache
from types import CodeType

from wardian.names import ModuleName
from wardian.source import parse, probe

__all__ = ["SHIMMED", "compile_module", "dump_code"]

SHIMMED = frozenset({"importlib", "importlib_metadata", "importlib_resources", "pkgutil"})
"""Modules that are never packed and for which a root serves its own: they find modules and files by name.

The caller of `compile_module` includes them in *roots*.
"""

_BODIES = ("body", "handlers", "orelse", "finalbody", "cases")


def compile_module(
    source: bytes,
    module: ModuleName,
    *,
    is_package: bool,
    filename: str,
    roots: frozenset[str],
    tree: ast.Module | None = None,
) -> CodeType:
    """Compile a module so that it imports packed modules from its own root.

    Everything else stays: names that imports bind, their order, what circular imports tolerate, lines.

    Args:
        source: Bytes as they are in the file.
        module: Original name of the module; it is loaded as `<root>.<module>`.
        is_package: Whether it is the `__init__` of a package.
        filename: Becomes `co_filename`.
        roots: Top-level names of packed modules, and `SHIMMED`.
        tree: What `wardian.source.parse` returned for *source*, if it was called before. Not modified.

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
    >>> code.co_consts[0]  # climbs from <root>.app.model over <root>.app to <root>
    2
    """
    if _imports_one_of(roots, probe(source)):
        if tree is None:
            tree = parse(source, filename)
        depth = module.count(".") + (2 if is_package else 1)
        body = _Rewriter(roots, depth).statements(tree.body)
        if body is not None:
            rewritten = ast.Module(body, tree.type_ignores)
            return compile(rewritten, filename, "exec", dont_inherit=True)
    # From source it takes a fifth of the time that it takes from a tree.
    try:
        code: CodeType = compile(source, filename, "exec", dont_inherit=True)
    except ValueError as error:  # a null byte, before CPython 3.12
        raise SyntaxError(str(error), (filename, 1, 1, None, 1, 1)) from error
    return code


def _imports_one_of(roots: frozenset[str], text: bytes) -> bool:
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
        re.compile(rb"import[ \t\f\\](?:[^\n;#]|\\\n)*?(?<![\w.])(?:" + names + rb")(?![a-zA-Z0-9_])"),
    )


class _Rewriter:
    """Makes new statement lists; nodes on the way to an import are copied, the others are shared."""

    def __init__(self, roots: frozenset[str], depth: int) -> None:
        self.roots = roots
        self.depth = depth

    def is_root(self, name: str) -> bool:
        return name.partition(".")[0] in self.roots

    def statements(self, body: Sequence[ast.stmt]) -> list[ast.stmt] | None:
        """Return *body* with its imports rewritten, or None if there is nothing to rewrite."""
        result: list[ast.stmt] = []
        changed = False
        for node in body:
            new = self.statement(node)
            if new is None:
                result.append(node)
            else:
                result += new
                changed = True
        return result if changed else None

    def statement(self, node: ast.stmt) -> list[ast.stmt] | None:
        match node:
            case ast.ImportFrom(level=0, module=str(name)) if self.is_root(name):
                return [self.import_from(node, name, *node.names)]
            case ast.Import() if any(self.is_root(alias.name) for alias in node.names):
                return self.imports(node)
        return self.compound(node)

    def compound(self, node: ast.stmt) -> list[ast.stmt] | None:
        changes = self.changed_bodies(node)
        if not changes:
            return None
        new = copy.copy(node)
        for field, body in changes.items():
            setattr(new, field, body)
        return [new]

    def changed_bodies(self, node: ast.AST) -> dict[str, list[ast.AST]]:
        changes: dict[str, list[ast.AST]] = {}
        for field in _BODIES:
            body = getattr(node, field, None)
            if not isinstance(body, list) or not body:
                continue
            new: list[ast.AST] | None
            if isinstance(body[0], ast.stmt):
                new = self.statements(body)  # type: ignore[assignment]
            else:
                new = self.blocks(body)
            if new is not None:
                changes[field] = new
        return changes

    def blocks(self, blocks: Sequence[ast.AST]) -> list[ast.AST] | None:
        """Do for exception handlers and cases what `statements` does for statements."""
        result: list[ast.AST] = []
        changed = False
        for block in blocks:
            changes = self.changed_bodies(block)
            if changes:
                changed = True
                block = copy.copy(block)
                for field, body in changes.items():
                    setattr(block, field, body)
            result.append(block)
        return result if changed else None

    def imports(self, node: ast.Import) -> list[ast.stmt]:
        result: list[ast.stmt] = []
        for alias in node.names:
            name, bound = alias.name, alias.asname
            parent, _, last = name.rpartition(".")
            first = name.partition(".")[0]
            if not self.is_root(name):
                result.append(ast.copy_location(ast.Import([alias]), node))
                continue
            if parent:
                # Imports the submodule whether or not it is, or ever becomes, an attribute of its parent,
                # and binds no extra name: the next statement binds the same one.
                loading = ast.copy_location(ast.alias("__name__", bound or first), alias)
                result.append(self.import_from(node, name, loading))
            if bound and parent:
                result.append(self.import_from(node, parent, ast.copy_location(ast.alias(last, bound), alias)))
            else:
                result.append(self.import_from(node, None, ast.copy_location(ast.alias(first, bound), alias)))
        return result

    def import_from(self, node: ast.stmt, name: str | None, *names: ast.alias) -> ast.ImportFrom:
        return ast.copy_location(ast.ImportFrom(name, list(names), self.depth), node)


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
        # CPython 3.14 keeps constant slices, which format 2 cannot hold. A round trip takes away the marks that
        # depend on who else holds a reference.
        return marshal.dumps(marshal.loads(marshal.dumps(code)))
