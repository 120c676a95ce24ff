"""What a module's source shows without running it."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import unicodedata
import warnings
from bisect import bisect_left
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from wardian.collector import collector_paused
from wardian.graph import Import, ImportContext
from wardian.names import ModuleName, is_module_name

__all__ = [
    "SourceFacts",
    "TokenLines",
    "batch",
    "find_unguarded_imports",
    "parse",
    "probe",
    "scan",
    "with_whole_stack",
]

_T = TypeVar("_T")

_LINE_END = re.compile(rb"\r\n?")

_LOOKS = frozenset(
    {
        "__file__",
        "__path__",
        "__spec__",
        "__loader__",
        "getfile",
        "getsourcefile",
        "getabsfile",
        "submodule_search_locations",
    }
)
_LOOKS_AS_STRING = frozenset({"__file__", "__path__"})

_DYNAMIC = frozenset({"__import__", "exec", "eval"})

_REGISTERS = frozenset(
    {
        "_register_pytree_node",
        "add_safe_globals",
        "custom_op",
        "impl_abstract",
        "load_library",
        "register_autograd",
        "register_backend",
        "register_constant",
        "register_dataclass",
        "register_decomposition",
        "register_fake",
        "register_kernel",
        "register_lowering",
        "register_opaque_type",
        "register_package",
        "register_pytree_flatten_spec",
        "register_pytree_node",
        "register_pytree_node_class",
        "register_vmap",
        "triton_op",
    }
)
"""Functions that write into a registry of the process: a second root that calls them meets the first."""

_TORCH_NAMESPACES = frozenset(
    {
        "_c10d_functional",
        "_c10d_functional_autograd",
        "_dtensor",
        "_native",
        "_native_aot",
        "_quantized",
        "_test",
        "aten",
        "c10d",
        "coor",
        "debug_mode_ops",
        "debugprims",
        "export",
        "flex_gemm",
        "fsdp",
        "higher_order",
        "import_module",
        "inductor",
        "inductor_prims",
        "load_library",
        "loaded_libraries",
        "mkl",
        "mkldnn",
        "mkldnn_prepacked",
        "onednn",
        "prepacked",
        "prim",
        "prims",
        "profiler",
        "quantization",
        "quantized",
        "rngprims",
        "sparse",
        "static_runtime",
        "symm_mem",
        "xnnpack",
    }
)
"""Attributes of `torch.ops` after a plain `import torch` (2.15, and some of older releases)."""

# Where none of these stands, nothing is to be found. The scan descends only into statements and expressions
# whose lines hold one, which is why it costs a tenth of `ast.walk`.
_TOKENS = (
    b"import",
    b"__file__",
    b"__path__",
    b"__spec__",
    b"__loader__",
    b"getfile",
    b"getsourcefile",
    b"getabsfile",
    b"submodule_search_locations",
    b"library",
    b"custom_op",
    b"triton_op",
    b"impl_abstract",
    b"add_safe_globals",
)
# These are parts of too many words ("props", "evaluate", "register_buffer"): look at what surrounds them.
# `bytes.find` and this are five times faster than one regular expression for all.
_WORDS = {
    b"ops": re.compile(rb"(?<!\w)ops(?!\w)"),
    b"eval": re.compile(rb"((?<![\w.])|(?<=builtins\.))eval(?!\w)"),
    b"exec": re.compile(rb"((?<![\w.])|(?<=builtins\.))exec(?!\w)"),
    b"register_": re.compile(
        rb"register_(?:"
        + b"|".join(sorted({name.partition("register_")[2].encode() for name in _REGISTERS} - {b""}))
        + rb")"
    ),
}

_CATCHES_IMPORT_ERROR = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What one module's source shows.

    Attributes:
        imports: Modules that the code imports, by line.
        candidates: Names that `from a.b import c` imports and that may be modules (`a.b.c`) or
            attributes of one, by line. The caller knows which modules exist.
        looks_at_files: The code could look at where it lies: it mentions `__file__`, `__path__`, a
            module's spec or loader, or `inspect.getfile` and its relatives.
        dynamic: The code mentions `__import__`, `exec` or `eval`: it may import what no scan sees.
        operators: The X of each `torch.ops.X` that torch itself does not bring.
        registers: The code calls functions that write into a registry of the process.
        climbs_out: Line of the first `from` import that climbs above all packages; 0 if there is none.
        walks: Packages of which the code may import any module: it computes the last part of a name, or, in
            the `__init__` of a package, what is asked for is imported then (`def __getattr__`).
    """

    imports: tuple[Import, ...]
    candidates: tuple[Import, ...]
    looks_at_files: bool
    dynamic: bool
    operators: frozenset[str]
    registers: bool
    climbs_out: int = 0
    walks: tuple[Import, ...] = ()


@contextmanager
def batch() -> Iterator[None]:
    """Make parsing and compiling many sources five times faster, and silent.

    The garbage collector is off, because it walks all syntax trees again and again; warnings of the
    compiler about other people's code (invalid escapes, `is` with a literal) are ignored, because under
    `-W error` they would become syntax errors. Both are settings of the process: use it where no other
    thread of ours compiles.

    >>> with batch():
    ...     tree = parse(b"x = 1", "mylib.py")
    """
    with collector_paused(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def parse(source: bytes, file: str) -> ast.Module:
    """Parse *source* once for `scan` and `wardian.rewrite.compile_module`.

    Args:
        source: Bytes as they are in the file; a BOM and a PEP 263 encoding are respected.
        file: Path to name in errors.

    Returns:
        The tree, which neither of the two alters.

    Raises:
        SyntaxError: if it is not source of this interpreter's Python; `filename` is *file*.

    >>> parse(b"import mylib", "app.py").body[0].names[0].name
    'mylib'
    """
    tree: ast.Module = with_whole_stack(partial(ast.parse, source, file), file)
    return tree


def with_whole_stack(run: Callable[[], _T], file: str) -> _T:
    """Call the compiler so that it does not matter how deep the caller already is.

    Between syntax trees and the compiler's own trees stands a recursion that counts against the limit of
    Python frames (CPython 3.11), and imports easily take hundreds of frames.

    Args:
        run: Parses or compiles *file*.
        file: Path to name in errors.

    Returns:
        What *run* returns.

    Raises:
        SyntaxError: if the source is invalid, holds a null byte or is nested too deeply for this
            interpreter; `filename` is *file*.
    """
    try:
        try:
            return run()
        except RecursionError:
            # A new thread begins with an empty stack.
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(run).result()
    except SyntaxError as error:
        error.filename = file  # a null byte comes without
        raise
    except RecursionError as error:
        raise SyntaxError(f"nested too deeply: {error}", (file, 1, 1, None, 1, 1)) from error
    except ValueError as error:  # a null byte, before CPython 3.12
        raise SyntaxError(str(error), (file, 1, 1, None, 1, 1)) from error


def probe(source: bytes) -> bytes:
    r"""Return *source* in a form in which every token can be searched as ASCII bytes.

    Lines are those of the syntax tree and end with a line feed. The encoding is UTF-8 and text is in the
    normal form (NFKC) in which Python compares identifiers, so that no spelling of a name escapes.

    >>> probe("import \N{FULLWIDTH LATIN SMALL LETTER X}\r\n".encode())
    b'import x\n'
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        if encoding != "utf-8" or not source.isascii():
            source = unicodedata.normalize("NFKC", source.decode(encoding)).encode()
    except (SyntaxError, UnicodeDecodeError):
        pass  # the compiler refuses it, with the better message
    return _LINE_END.sub(b"\n", source) if b"\r" in source else source


def scan(
    source: bytes, module: ModuleName, *, is_package: bool, file: str, tree: ast.Module | None = None
) -> SourceFacts:
    r"""Find what the source of *module* imports and what else matters for packing it.

    Args:
        source: Bytes as they are in the file.
        module: Name under which the module is imported; relative imports resolve against it.
        is_package: Whether it is the `__init__` of a package.
        file: Path to name in the imports and in errors.
        tree: What `parse` returned for *source*, if it was called before.

    Returns:
        The facts. Equal inputs give equal facts.

    Raises:
        SyntaxError: if the source cannot be parsed; `filename` is *file*.

    >>> facts = scan(b"from . import ops", ModuleName("mylib.nn"), is_package=False, file="mylib/nn.py")
    >>> print(*facts.imports, *facts.candidates, sep="\n")
    mylib/nn.py:1: mylib.nn imports mylib (unconditional)
    mylib/nn.py:1: mylib.nn imports mylib.ops (unconditional)
    """
    if tree is None:
        tree = parse(source, file)
    text = probe(source)
    scanner = _Scanner(module, file, is_package=is_package)
    scanner.read(tree, text)
    return scanner.facts()


def find_unguarded_imports(source: bytes, file: str) -> frozenset[int]:
    r"""Return the lines of the imports that must succeed when a module runs.

    They stand at module or class level, and no `try` or `suppress` around them handles ImportError.

    Args:
        source: Bytes as they are in the file.
        file: Path to name in errors.

    Raises:
        SyntaxError: if the source cannot be parsed.

    >>> sorted(find_unguarded_imports(b"import a\ntry:\n import b\nexcept ImportError:\n import c", "m.py"))
    [1, 5]
    """
    lines: set[int] = set()
    stack: list[ast.AST] = list(parse(source, file).body)
    while stack:
        node = stack.pop()
        match node:
            case ast.Import() | ast.ImportFrom():
                lines.add(node.lineno)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                pass
            case ast.Try() | ast.TryStar() if any(_catches_import_error(h.type) for h in node.handlers):
                stack += [*node.handlers, *node.orelse, *node.finalbody]
            case ast.With() if any(
                _suppresses_import_error(item.context_expr, ("suppress",)) for item in node.items
            ):
                pass
            case _:
                stack += [
                    n for n in ast.iter_child_nodes(node) if isinstance(n, ast.stmt | ast.ExceptHandler)
                ]
                stack += [n for case in getattr(node, "cases", ()) for n in case.body]
    return frozenset(lines)


class TokenLines:
    r"""The lines of a text that hold one of some tokens.

    Args:
        text: What `probe` returned.
        tokens: Parts of names to look for.
        words: More of them, each with a pattern that tells the names meant from those that contain it.

    >>> lines = TokenLines(b"x = 1\nimport mylib\n", [b"import"])
    >>> [lines.meet(node) for node in ast.parse("x = 1\nimport mylib\n").body]
    [False, True]
    """

    def __init__(
        self, text: bytes, tokens: Iterable[bytes], words: Mapping[bytes, re.Pattern[bytes]] | None = None
    ) -> None:
        places: list[int] = []
        for token in tokens:
            place = text.find(token)
            while place != -1:
                places.append(place)
                place = text.find(token, place + len(token))
        for token, word in (words or {}).items():
            place = text.find(token)
            while place != -1:
                if word.match(text, place):
                    places.append(place)
                place = text.find(token, place + len(token))
        places.sort()
        self._lines: list[int] = []
        line, last = 1, 0
        for place in places:
            line += text.count(b"\n", last, place)
            last = place
            if not self._lines or self._lines[-1] != line:
                self._lines.append(line)

    def __bool__(self) -> bool:
        return bool(self._lines)

    def meet(self, node: ast.AST) -> bool:
        """Return whether *node* may hold one of the tokens; False is certain."""
        if not isinstance(node, ast.stmt | ast.expr | ast.excepthandler):
            return True  # it has no lines, but what is in it has
        # Decorators stand above the line that a definition counts as its first.
        decorators = getattr(node, "decorator_list", None)
        first = decorators[0].lineno if decorators else node.lineno
        at = bisect_left(self._lines, first)
        return at < len(self._lines) and self._lines[at] <= (node.end_lineno or node.lineno)


class _Scanner:
    """One pass over one module: statements first, then the expressions that may matter."""

    def __init__(self, module: ModuleName, file: str, *, is_package: bool) -> None:
        self.module = module
        self.package = module if is_package else module.rpartition(".")[0]
        self.file = file
        self.imports: dict[Import, None] = {}
        self.candidates: dict[Import, None] = {}
        self.looks_at_files = self.dynamic = self.registers = False
        self.climbs_out = 0
        self.walks: dict[Import, None] = {}
        self.is_package = is_package
        self.operators: set[str] = set()
        # Names that mean something, however the module calls them.
        self.torch = {"torch"}
        self.torch_ops: set[str] = set()
        self.importlib = {"importlib"}
        self.import_module: set[str] = set()
        self.type_checking = {"TYPE_CHECKING"}
        self.suppress = {"suppress"}
        self.lines = TokenLines(b"", ())
        self.pending: list[tuple[ast.AST, ImportContext]] = []

    def read(self, tree: ast.Module, text: bytes) -> None:
        if self.is_package and (b"__getattr__" in text or b"sys.modules" in text):
            for statement in filter(_makes_lazy, tree.body):
                self.walk(self.package, statement.lineno, ImportContext.FUNCTION)
        self.lines = TokenLines(text, _TOKENS, _WORDS)
        if not self.lines:
            return
        self.statements(tree)
        aliases = self.torch_ops | self.import_module
        if aliases:
            # Calls of an alias stand on lines that hold none of the tokens: look again.
            tokens = (*_TOKENS, *sorted(alias.encode() for alias in aliases))
            self.lines = TokenLines(text, tokens, _WORDS)
            self.pending.clear()
            self.statements(tree)
        for node, context in self.pending:
            self.expressions(node, context)

    def facts(self) -> SourceFacts:
        return SourceFacts(
            imports=tuple(sorted(self.imports, key=_line)),
            candidates=tuple(sorted(self.candidates, key=_line)),
            looks_at_files=self.looks_at_files,
            dynamic=self.dynamic,
            operators=frozenset(self.operators),
            registers=self.registers,
            climbs_out=self.climbs_out,
            walks=tuple(sorted(self.walks, key=_line)),
        )

    # Statements

    def statements(self, tree: ast.Module) -> None:
        # Not recursive: an `elif` is an `if` in the `else` of another, and people write hundreds.
        stack = [(node, ImportContext.UNCONDITIONAL) for node in reversed(tree.body)]
        while stack:
            node, context = stack.pop()
            if self.lines.meet(node):
                for body, inner in reversed(self.statement(node, context)):
                    stack += [(child, inner) for child in reversed(body)]

    def statement(
        self, node: ast.stmt, context: ImportContext
    ) -> list[tuple[Sequence[ast.stmt], ImportContext]]:
        """Look at one statement and return the blocks in it, each with its context."""
        match node:
            case ast.Import():
                self.found_import(node, context)
            case ast.ImportFrom():
                self.found_import_from(node, context)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self.later((*node.decorator_list, node.args, node.returns), context)
                return [(node.body, _in_function(context))]
            case ast.ClassDef():
                self.later((*node.decorator_list, *node.bases, *node.keywords), context)
                return [(node.body, context)]
            case ast.If() | ast.While():
                self.later((node.test,), context)
                when_true, when_false = self.branches(node.test, context)
                return [(node.body, when_true), (node.orelse, when_false)]
            case ast.For() | ast.AsyncFor():
                self.later((node.target, node.iter), context)
                return [(node.body, context), (node.orelse, context)]
            case ast.With() | ast.AsyncWith():
                self.later(node.items, context)
                suppressed = any(
                    _suppresses_import_error(item.context_expr, self.suppress) for item in node.items
                )
                return [(node.body, _guarded(context) if suppressed else context)]
            case ast.Try() | ast.TryStar():
                self.later((handler.type for handler in node.handlers), context)
                catches = any(_catches_import_error(handler.type) for handler in node.handlers)
                inside = _guarded(context) if catches else context
                handlers = [(handler.body, _guarded(context)) for handler in node.handlers]
                return [(node.body, inside), *handlers, (node.orelse, inside), (node.finalbody, context)]
            case ast.Match():
                self.later((node.subject,), context)
                for case in node.cases:
                    self.later((case.pattern, case.guard), context)
                return [(case.body, _guarded(context)) for case in node.cases]
            case _:
                self.later((node,), context)
        return []

    def later(self, nodes: Iterable[ast.AST | None], context: ImportContext) -> None:
        # Expressions wait until all aliases are known: a function may stand above the import it uses.
        self.pending += [(node, context) for node in nodes if node is not None]

    def branches(self, test: ast.expr, context: ImportContext) -> tuple[ImportContext, ImportContext]:
        """Return the contexts of the two branches of an `if`."""
        match self.truth(test):
            case True:
                return context, ImportContext.TYPE_CHECKING
            case False:
                return ImportContext.TYPE_CHECKING, context
        return _guarded(context), _guarded(context)

    def truth(self, test: ast.expr) -> bool | None:
        """Return the value a condition has at run time whatever happens, or None."""
        match test:
            case ast.Constant():
                return bool(test.value)
            case ast.Name(id=name) if name in self.type_checking:
                return False
            case ast.Attribute(attr="TYPE_CHECKING"):
                return False
            case ast.UnaryOp(op=ast.Not()):
                value = self.truth(test.operand)
                return None if value is None else not value
            case ast.BoolOp():
                decides = isinstance(test.op, ast.Or)
                values = [self.truth(operand) for operand in test.values]
                if decides in values:
                    return decides
                return None if None in values else not decides
        return None

    def found_import(self, node: ast.Import, context: ImportContext) -> None:
        for alias in node.names:
            self.edge(alias.name, node.lineno, context)
            if alias.name == "torch" and alias.asname:
                self.torch.add(alias.asname)
            elif alias.name == "importlib" and alias.asname:
                self.importlib.add(alias.asname)
            elif alias.name == "torch.ops" and alias.asname:
                self.torch_ops.add(alias.asname)
            elif alias.name == "torch.library" or alias.name.startswith("torch.library."):
                self.registers = True

    def found_import_from(self, node: ast.ImportFrom, context: ImportContext) -> None:
        base = self.absolute(node.module or "", node.level)
        if base is None:
            # One dot in a module without a package is what code does that runs as a script, too.
            if node.level > 1:
                self.climbs_out = min(self.climbs_out or node.lineno, node.lineno)
            return
        self.edge(base, node.lineno, context)
        for alias in node.names:
            name, bound = alias.name, alias.asname or alias.name
            if name == "*":
                continue
            self.candidate(f"{base}.{name}", node.lineno, context)
            if name in _LOOKS:
                self.looks_at_files = True
            if name in _REGISTERS or base == "torch.library" or (base, name) == ("torch", "library"):
                self.registers = True
            match base, name:
                case "torch", "ops":
                    self.torch_ops.add(bound)
                case "torch.ops", _:
                    self.operator(name)
                case "importlib", "import_module":
                    self.import_module.add(bound)
                case _, "TYPE_CHECKING":
                    self.type_checking.add(bound)
                case "contextlib", "suppress":
                    self.suppress.add(bound)

    # Expressions

    def expressions(self, root: ast.AST, context: ImportContext) -> None:
        stack = [(root, context)]
        while stack:
            node, context = stack.pop()
            if not self.lines.meet(node):
                continue
            match node:
                case ast.Name(id=name):
                    self.mentioned(name)
                case ast.Attribute():
                    self.attribute(node)
                case ast.Constant(value=value):
                    if isinstance(value, str) and value in _LOOKS_AS_STRING:
                        self.looks_at_files = True
                case ast.Call():
                    self.call(node, context)
            if isinstance(node, ast.Lambda):
                stack += [(node.args, context), (node.body, _in_function(context))]
                continue
            inner = _guarded(context) if isinstance(node, ast.IfExp | ast.BoolOp) else context
            stack += [(child, inner) for child in ast.iter_child_nodes(node)]

    def mentioned(self, name: str) -> None:
        if name in _LOOKS:
            self.looks_at_files = True
        elif name in _DYNAMIC:
            self.dynamic = True
        elif name in _REGISTERS:
            self.registers = True

    def attribute(self, node: ast.Attribute) -> None:
        name, owner = node.attr, node.value
        if name in _DYNAMIC:
            self.dynamic |= isinstance(owner, ast.Name) and owner.id in {"builtins", *self.importlib}
        elif name == "library":
            self.registers |= isinstance(owner, ast.Name) and owner.id in self.torch
        else:
            self.mentioned(name)
        if self.is_torch_ops(owner):
            self.operator(name)

    def is_torch_ops(self, node: ast.expr) -> bool:
        match node:
            case ast.Name(id=name):
                return name in self.torch_ops
            case ast.Attribute(attr="ops", value=ast.Name(id=name)):
                return name in self.torch
        return False

    def operator(self, name: str) -> None:
        if name not in _TORCH_NAMESPACES and not name.startswith("__"):
            self.operators.add(name)

    def call(self, node: ast.Call, context: ImportContext) -> None:
        match node.func:
            case ast.Name(id="__import__"):
                self.called_import(node, context)
            case ast.Attribute(attr="__import__", value=ast.Name(id=owner)):
                if owner == "builtins" or owner in self.importlib:
                    self.called_import(node, context)
            case ast.Name(id=name) if name in self.import_module:
                self.called_import_module(node, context)
            case ast.Attribute(attr="import_module", value=ast.Name(id=owner)) if owner in self.importlib:
                self.called_import_module(node, context)
            case ast.Name(id="getattr") if len(node.args) >= 2 and self.is_torch_ops(node.args[0]):
                if namespace := self.text(node.args[1]):
                    self.operator(namespace)

    def called_import(self, node: ast.Call, context: ImportContext) -> None:
        name = self.text(_argument(node, 0, "name"))
        if name is None:
            self.computed(_argument(node, 0, "name"), None, node.lineno, context)
        level = _argument(node, 4, "level")
        number = level.value if isinstance(level, ast.Constant) else 0
        if name is None or not isinstance(number, int) or (level is not None and number < 0):
            return
        base = self.absolute(name, number)
        if base is None:
            return
        self.edge(base, node.lineno, context)
        fromlist = _argument(node, 3, "fromlist")
        if "." in name and (
            fromlist is None or (isinstance(fromlist, ast.List | ast.Tuple) and not fromlist.elts)
        ):
            # The call returns a package above the module, for the sake of its attributes.
            self.edge(ModuleName(base.rpartition(".")[0]), node.lineno, context)
        if isinstance(fromlist, ast.Tuple | ast.List):
            for element in fromlist.elts:
                if (attribute := self.text(element)) and attribute != "*":
                    self.candidate(f"{base}.{attribute}", node.lineno, context)

    def called_import_module(self, node: ast.Call, context: ImportContext) -> None:
        name = self.text(_argument(node, 0, "name"))
        if name is None:
            self.computed(_argument(node, 0, "name"), _argument(node, 1, "package"), node.lineno, context)
            return
        level = len(name) - len(name.lstrip("."))
        package = self.text(_argument(node, 1, "package")) if level else ""
        if package is None:
            return
        base = _resolve(name[level:], level, package)
        if base is not None:
            self.edge(base, node.lineno, context)

    def computed(
        self, name: ast.expr | None, package: ast.expr | None, line: int, context: ImportContext
    ) -> None:
        """Note the package above a module of whose name only the beginning is written: f"nets.{name}"."""
        known, point, _ = self.beginning(name).rpartition(".")
        if not point:
            return
        stem = known.lstrip(".")
        level = len(known) - len(stem) + (not stem)
        above = _resolve(stem, level, (self.text(package) or "") if level else "")
        if above is not None:
            self.walk(above, line, context)

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

    def text(self, node: ast.expr | None) -> str | None:
        """Return the value of an expression made of string constants and the module's own name."""
        match node:
            case ast.Constant(value=str() as constant):
                return constant
            case ast.Name(id="__name__"):
                return self.module
            case ast.Name(id="__package__"):
                return self.package
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

    # Results

    def absolute(self, name: str, level: int) -> str | None:
        return _resolve(name, level, self.package)

    def edge(self, name: str, line: int, context: ImportContext) -> None:
        if is_module_name(name):
            self.imports[Import(self.module, ModuleName(name), line, context, self.file)] = None

    def walk(self, package: str, line: int, context: ImportContext) -> None:
        if is_module_name(package):
            self.walks[Import(self.module, ModuleName(package), line, context, self.file)] = None

    def candidate(self, name: str, line: int, context: ImportContext) -> None:
        if is_module_name(name):
            self.candidates[Import(self.module, ModuleName(name), line, context, self.file)] = None


def _resolve(name: str, level: int, package: str) -> str | None:
    """Return the absolute name of a relative import, or None if it climbs too high."""
    if not level:
        return name
    parts = package.split(".") if package else []
    if level > len(parts):
        return None
    base = ".".join(parts[: len(parts) - level + 1])
    return f"{base}.{name}" if name else base


def _argument(node: ast.Call, position: int, keyword: str) -> ast.expr | None:
    if len(node.args) > position:
        found = node.args[: position + 1]
        return None if any(isinstance(argument, ast.Starred) for argument in found) else found[-1]
    return next((argument.value for argument in node.keywords if argument.arg == keyword), None)


def _catches_import_error(kind: ast.expr | None) -> bool:
    match kind:
        case None:
            return True
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in _CATCHES_IMPORT_ERROR
        case ast.Tuple():
            return any(_catches_import_error(element) for element in kind.elts)
    return False


def _suppresses_import_error(manager: ast.expr, names: Container[str]) -> bool:
    """Tell whether *manager* is `contextlib.suppress`, by one of *names*, of ImportError."""
    match manager:
        case ast.Call(func=ast.Name(id=name)) if name in names:
            return any(_catches_import_error(argument) for argument in manager.args)
        case ast.Call(func=ast.Attribute(attr="suppress")):
            return any(_catches_import_error(argument) for argument in manager.args)
    return False


def _makes_lazy(node: ast.stmt) -> bool:
    """Tell whether a statement lets a module import what is asked of it: `def __getattr__(name)`."""
    match node:
        case ast.FunctionDef(name="__getattr__"):
            return True
        case ast.Assign(targets=targets):
            for target in targets:
                for inner in ast.walk(target):
                    if isinstance(inner, ast.Name) and inner.id == "__getattr__":
                        return True
                if isinstance(target, ast.Subscript) and ast.unparse(target) == "sys.modules[__name__]":
                    return True
    return False


def _guarded(context: ImportContext) -> ImportContext:
    return ImportContext.GUARDED if context is ImportContext.UNCONDITIONAL else context


def _in_function(context: ImportContext) -> ImportContext:
    return context if context is ImportContext.TYPE_CHECKING else ImportContext.FUNCTION


def _line(edge: Import) -> int:
    return edge.line
