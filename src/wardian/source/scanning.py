"""A scan of a module's source: the facts that it shows without running it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence

from wardian.domain.graph import ImportContext
from wardian.domain.names import ModuleName
from wardian.domain.source_facts import SourceFacts
from wardian.source.calls import ImportCalls
from wardian.source.conditions import truth
from wardian.source.edges import Edges, absolute_name
from wardian.source.guards import catches_import_error, suppresses_import_error
from wardian.source.parsing import TokenLines, parse, probe
from wardian.source.texts import KnownTexts

__all__ = ["scan"]


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
"""Functions that write into a registry of the process: a second mount that calls them meets the first."""

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


class _Scanner:
    """One pass over one module: statements first, then the expressions that may matter."""

    def __init__(self, module: ModuleName, file: str, *, is_package: bool) -> None:
        self.package = module if is_package else module.rpartition(".")[0]
        self.edges = Edges(module, file)
        self.texts = KnownTexts(module, self.package)
        self.calls = ImportCalls(self.package, self.texts, self.edges)
        self.looks_at_files = self.dynamic = self.registers = False
        self.climbs_out = 0
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
            for statement in filter(_makes_lazy, _when_imported(tree.body)):
                at_any_rate = statement in tree.body
                context = ImportContext.FUNCTION if at_any_rate else ImportContext.GUARDED
                self.edges.add_walk(self.package, statement.lineno, context)
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
            imports=self.edges.imports,
            candidates=self.edges.candidates,
            looks_at_files=self.looks_at_files,
            dynamic=self.dynamic,
            operators=frozenset(self.operators),
            registers=self.registers,
            climbs_out=self.climbs_out,
            walks=self.edges.walks,
        )

    # Statements

    def statements(self, tree: ast.Module) -> None:
        # Not recursive: an `elif` is an `if` in the `else` of another, and people write hundreds.
        stack = [(node, ImportContext.UNCONDITIONAL) for node in reversed(tree.body)]
        while stack:
            node, context = stack.pop()
            if self.lines.may_be_in(node):
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
                if self.is_package and isinstance(node, ast.If) and self.is_for_checkers(node):
                    when_true = ImportContext.TYPE_CHECKING
                return [(node.body, when_true), (node.orelse, when_false)]
            case ast.For() | ast.AsyncFor():
                self.later((node.target, node.iter), context)
                return [(node.body, context), (node.orelse, context)]
            case ast.With() | ast.AsyncWith():
                self.later(node.items, context)
                suppressed = any(
                    suppresses_import_error(item.context_expr, self.suppress) for item in node.items
                )
                return [(node.body, _guarded(context) if suppressed else context)]
            case ast.Try() | ast.TryStar():
                self.later((handler.type for handler in node.handlers), context)
                catches = any(catches_import_error(handler.type) for handler in node.handlers)
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
        match truth(test, self.type_checking):
            case True:
                return context, ImportContext.TYPE_CHECKING
            case False:
                return ImportContext.TYPE_CHECKING, context
        return _guarded(context), _guarded(context)

    def is_for_checkers(self, node: ast.If) -> bool:
        """Tell whether an `if` makes a package lazy, but for type checkers, and whoever asks for all of it.

        It is `if TYPE_CHECKING or EAGER: from .oak import Oak` and `else: sys.modules[__name__] = Lazy(...)`.
        """
        match node.test:
            case ast.BoolOp(op=ast.Or(), values=values):
                return any(truth(value, self.type_checking) is False for value in values) and any(
                    map(_makes_lazy, _when_imported(node.orelse))
                )
        return False

    def found_import(self, node: ast.Import, context: ImportContext) -> None:
        for alias in node.names:
            self.edges.add_import(alias.name, node.lineno, context)
            if alias.name == "torch" and alias.asname:
                self.torch.add(alias.asname)
            elif alias.name == "importlib" and alias.asname:
                self.importlib.add(alias.asname)
            elif alias.name == "torch.ops" and alias.asname:
                self.torch_ops.add(alias.asname)
            elif alias.name == "torch.library" or alias.name.startswith("torch.library."):
                self.registers = True

    def found_import_from(self, node: ast.ImportFrom, context: ImportContext) -> None:
        base = absolute_name(node.module or "", node.level, self.package)
        if base is None:
            # One dot in a module without a package is what code does that runs as a script, too.
            if node.level > 1:
                self.climbs_out = min(self.climbs_out or node.lineno, node.lineno)
            return
        self.edges.add_import(base, node.lineno, context)
        for alias in node.names:
            name, bound = alias.name, alias.asname or alias.name
            if name == "*":
                continue
            self.edges.add_candidate(f"{base}.{name}", node.lineno, context)
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
            if not self.lines.may_be_in(node):
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
                self.calls.note_import(node, context)
            case ast.Attribute(attr="__import__", value=ast.Name(id=owner)):
                if owner == "builtins" or owner in self.importlib:
                    self.calls.note_import(node, context)
            case ast.Name(id=name) if name in self.import_module:
                self.calls.note_import_module(node, context)
            case ast.Attribute(attr="import_module", value=ast.Name(id=owner)) if owner in self.importlib:
                self.calls.note_import_module(node, context)
            case ast.Name(id="getattr") if len(node.args) >= 2 and self.is_torch_ops(node.args[0]):
                if namespace := self.texts.text(node.args[1]):
                    self.operator(namespace)


def _when_imported(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that an import carries out, also those under a condition; no class's own."""
    stack: list[ast.AST] = [*reversed(body)]
    while stack:
        match stack.pop():
            case (ast.If() | ast.With() | ast.Try() | ast.TryStar() | ast.ExceptHandler()) as node:
                stack += reversed([*ast.iter_child_nodes(node)])
            case ast.stmt() as node:
                yield node


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
