"""Functions of packed code, with what each mentions and what each could do to the machine.

A *unit* is a function, or what of a module runs when it is imported. `wardian.inspection.audit` joins the
units of all modules and asks which of them can run.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import ClassVar

from wardian.domain.names import top_level
from wardian.inspection.capabilities import Capability, capability_of, capability_of_method, is_powerful

__all__ = ["ModuleUnits", "NOT_IMPORTED", "Unit", "items_of", "units_of_source", "uses_of"]

_HOPS = 8
"""Modules that pass a name on to each other before the search for what it stands for gives up."""


class Unit:
    """A function, or what of a module runs when it is imported.

    Args:
        record: Record of the module.
        name: Of the function; empty for the module.
        owner: Name of the class that it is a method of; empty without.
    """

    def __init__(self, record: str, name: str, owner: str = "") -> None:
        self.record = record
        self.name = name
        self.owner = owner
        self.mentions: set[str] = set()
        """Last parts of the names in its code, by which other units are found."""
        self.names: set[tuple[str, int]] = set()
        """Dotted names in its code, each with its line. A name that begins with a point is absolute; any
        other begins with something that the module, or the function, has bound."""
        self.bound: dict[str, str] = {}
        """Names that assignments bind, and the names that they stand for: `run` → `os.system`."""
        self.opened: set[tuple[str, str, int]] = set()
        """Calls of `open`: on what ("" for the builtin), the mode ("?" if it is computed), the line."""
        self.items: set[tuple[str, str, int, bool]] = set()
        """Items that are read or set by a constant text: the name of the container, the text, the line,
        whether it is read. Nothing that is read where errors are caught."""


class ModuleUnits:
    """The units of one module, the first of which is what runs when it is imported.

    Args:
        module: Its dotted name.
        record: Its record.
    """

    def __init__(self, module: str, record: str) -> None:
        self.module = module
        self.units = [Unit(record, "")]
        self.imported: dict[str, str] = {}
        """Names that imports bind, wherever in the module, and the names that they stand for."""
        self.stars: list[str] = []
        """Modules of which it imports all names."""


def _resolve(mine: ModuleUnits, unit: Unit, name: str, modules: Mapping[str, ModuleUnits]) -> str | None:
    """Return the absolute name of what a name in a unit stands for; None if no import or builtin tells.

    Args:
        mine: The module of the unit.
        unit: Where the name stands.
        name: One of its `names`.
        modules: All packed modules by name: what one of them imports, others may take from it.
    """
    for _ in range(_HOPS):
        if name.startswith("."):
            break
        root, point, rest = name.partition(".")
        for table in (unit.bound, mine.units[0].bound, mine.imported):
            if root in table and table[root] != root:
                name = table[root] + point + rest
                break
        else:
            return f"builtins.{name}" if root in _BUILTINS else None
    name = name.removeprefix(".")
    for _ in range(_HOPS):
        module, after = _split(name, modules)
        root, point, rest = after.partition(".")
        if module is None or root not in module.imported:
            return name
        name = module.imported[root].removeprefix(".") + point + rest
    return name


def _split(name: str, modules: Mapping[str, ModuleUnits]) -> tuple[ModuleUnits | None, str]:
    """Return the packed module that a dotted name begins with, and what comes after it."""
    above, after = name, ""
    while above not in modules:
        above, point, last = above.rpartition(".")
        after = f"{last}.{after}" if after else last
        if not point:
            return None, name
    return modules[above], after


_BUILTINS = frozenset({"exec", "eval", "compile", "__import__", "breakpoint"})
"""Builtins that can do something; `open` depends on its mode."""

_LONGEST = 80
"""Letters of a text that may be the name of a function."""

_DORMANT = frozenset({"__main__", "TYPE_CHECKING"})

NOT_IMPORTED = "<not when it is imported>"
"""Name of the units that run only where the file is the program, or nowhere."""


def units_of_source(tree: ast.Module, module: str, record: str) -> ModuleUnits:
    """Divide a module into units.

    Args:
        tree: Its syntax.
        module: Its dotted name.
        record: Its record.

    Raises:
        RecursionError: if the source is nested too deeply.
    """
    reader = _Reader(module, record, is_package=record.endswith("/__init__.py"))
    reader.all(tree.body)
    return reader.found


class _Reader:
    """Walk over the syntax of a module once; the loops are by hand, since most of the time goes here."""

    def __init__(self, module: str, record: str, *, is_package: bool) -> None:
        self.found = ModuleUnits(module, record)
        self._package = module if is_package else module.rpartition(".")[0]
        self._record = record
        self._owner = ""
        self._unit = self.found.units[0]
        self._catching = 0
        """How many statements around the node catch errors."""

    def all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self.read(node)

    def read(self, node: ast.AST) -> None:
        handler = self._HANDLERS.get(type(node))
        if handler is not None:
            handler(self, node)
        else:
            self.below(node)

    def below(self, node: ast.AST) -> None:
        for field in node._fields:
            value = getattr(node, field, None)
            if type(value) is list:
                for item in value:
                    if isinstance(item, ast.AST):
                        self.read(item)
            elif isinstance(value, ast.AST):
                self.read(value)

    def imports(self, node: ast.Import) -> None:
        for alias in node.names:
            bound = alias.asname or top_level(alias.name)
            self.found.imported[bound] = f".{alias.name if alias.asname else bound}"

    def imports_from(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level:
            above = self._package.split(".")
            above = above[: len(above) - node.level + 1]
            module = ".".join([*above, module] if module else above)
        for alias in node.names:
            if alias.name == "*":
                self.found.stars.append(module)
                self._unit.names.add((f".{module}.*", node.lineno))
            else:
                self.found.imported[alias.asname or alias.name] = f".{module}.{alias.name}"

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        # Decorators and defaults run where the function is defined. What annotations name does nothing.
        self.all((*node.decorator_list, *node.args.defaults, *node.args.kw_defaults))
        if self._unit.name or node.decorator_list:
            # A function inside of one is there when that runs; a decorator may put one into a table.
            self._unit.mentions.add(node.name)
        self._inside(node.name, node.body)

    def function_without_name(self, node: ast.Lambda) -> None:
        self.all((*node.args.defaults, *node.args.kw_defaults))
        name = f"<lambda of line {node.lineno} of {self._record}>"
        self._unit.mentions.add(name)
        self._inside(name, [node.body])

    def _inside(self, name: str, body: Iterable[ast.AST]) -> None:
        outer, owner = self._unit, self._owner
        self._unit = Unit(self._record, name, owner)
        self._owner = ""
        self.found.units.append(self._unit)
        self.all(body)
        self._unit, self._owner = outer, owner

    def defines_class(self, node: ast.ClassDef) -> None:
        self.all((*node.decorator_list, *node.keywords))
        if node.decorator_list:
            self._unit.mentions.add(node.name)
        for base in node.bases:
            name = _dotted(base)
            if name is None:
                self.read(base)
            else:  # a class of threads starts none until someone makes one: it is as if its methods said so
                self._unit.mentions.add(name.rpartition(".")[2])
                bases = Unit(self._record, "__bases__", node.name)
                bases.names.add((name, base.lineno))
                self.found.units.append(bases)
        owner, self._owner = self._owner, node.name
        self.all(node.body)
        self._owner = owner

    def branches(self, node: ast.If) -> None:
        # What runs only where the file is the program, or nowhere, is not run by an import.
        if not self._unit.name and _DORMANT & _words(node.test):
            self._inside(NOT_IMPORTED, node.body)
            self.all(node.orelse)
        else:
            self.below(node)

    def assigns(self, node: ast.Assign) -> None:
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets):
            return  # a list of names uses none of them
        name = _dotted(node.value)
        if name is not None:
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id != name:
                    self._unit.bound[target.id] = name
        self.below(node)

    def assigns_with_type(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.read(node.value)

    def name(self, node: ast.Name) -> None:
        self._unit.mentions.add(node.id)
        if isinstance(node.ctx, ast.Load):
            self._unit.names.add((node.id, node.lineno))

    def attribute(self, node: ast.Attribute) -> None:
        self._unit.mentions.add(node.attr)
        name = _dotted(node)
        self._unit.names.add((f"?.{node.attr}" if name is None else name, node.lineno))
        self.read(node.value)

    def subscript(self, node: ast.Subscript) -> None:
        name = _dotted(node)
        if name is not None:
            self._unit.names.add((name, node.lineno))
        container, key = _dotted(node.value), _text(node.slice)
        is_read = isinstance(node.ctx, ast.Load)
        if container is not None and key is not None and not (is_read and self._catching):
            self._unit.items.add((container, key, node.lineno, is_read))
        self.below(node)

    def tries(self, node: ast.Try | ast.TryStar) -> None:
        self._catching += bool(node.handlers)
        self.all(node.body)
        self._catching -= bool(node.handlers)
        self.all((*node.handlers, *node.orelse, *node.finalbody))

    def call(self, node: ast.Call) -> None:
        function = node.func
        if isinstance(function, ast.Name) and function.id == "open":
            self._unit.opened.add(("", _mode(node, 1), node.lineno))
        elif isinstance(function, ast.Attribute) and function.attr == "open" and _is_path(node):
            self._unit.opened.add((_dotted(function.value) or "?", _mode(node, 0), node.lineno))
        name = _dotted(node)
        if name is not None:  # getattr(os, "system")
            self._unit.names.add((name, node.lineno))
        elif isinstance(function, ast.Name) and function.id == "getattr" and len(node.args) > 1:
            above = _dotted(node.args[0])  # getattr(os, name)
            if above is not None:
                self._unit.names.add((f"{above}.?", node.lineno))
        self.below(node)

    def constant(self, node: ast.Constant) -> None:
        # getattr(self, "grow"), {"oak": "Oak"}
        if isinstance(node.value, str) and len(node.value) <= _LONGEST and node.value.isidentifier():
            self._unit.mentions.add(node.value)

    def nothing(self, node: ast.AST) -> None:
        """Pass over what has no parts."""

    _HANDLERS: ClassVar[Mapping[type[ast.AST], Callable[..., None]]] = {
        ast.AnnAssign: assigns_with_type,
        ast.Assign: assigns,
        ast.AsyncFunctionDef: function,
        ast.Attribute: attribute,
        ast.Call: call,
        ast.ClassDef: defines_class,
        ast.Constant: constant,
        ast.FunctionDef: function,
        ast.If: branches,
        ast.Import: imports,
        ast.ImportFrom: imports_from,
        ast.Lambda: function_without_name,
        ast.Load: nothing,
        ast.Name: name,
        ast.Pass: nothing,
        ast.Store: nothing,
        ast.Subscript: subscript,
        ast.Try: tries,
        ast.TryStar: tries,
    }


def uses_of(
    mine: ModuleUnits, unit: Unit, modules: Mapping[str, ModuleUnits]
) -> Iterator[tuple[Capability, int, str]]:
    """Yield what a unit could do, with the line, and the name that says so.

    Args:
        mine: Its module.
        unit: The unit.
        modules: All packed modules by name.
    """
    for name, line in unit.names:
        full = _resolve(mine, unit, name, modules)
        if full is None:
            stars = (f"{star}.{name}" for star in mine.stars)
            full = next((star for star in stars if capability_of(star) is not None), "")
        found, shown = _capability_of(full)
        last = name.rpartition(".")[2]
        if found is None and last != name and (found := capability_of_method(last)) is not None:
            shown = f"?.{last}"
        if found is not None:
            yield found, line, shown
    for root, mode, line in unit.opened:
        if not root and "open" not in mine.imported:
            yield _of_mode(mode), line, "open"
        elif mode == "?":  # rather the path of a file that some library opens
            if root and _resolve(mine, unit, root, modules) is None:
                yield Capability.READS, line, "?.open"
        elif root:
            yield _of_mode(mode), line, "?.open"


def items_of(
    mine: ModuleUnits, unit: Unit, modules: Mapping[str, ModuleUnits]
) -> Iterator[tuple[str, str, int, bool]]:
    """Yield the `items` of a unit with the absolute names of the containers, where imports tell them.

    Args:
        mine: Its module.
        unit: The unit.
        modules: All packed modules by name.
    """
    for name, key, line, is_read in unit.items:
        full = _resolve(mine, unit, name, modules)
        if full is not None:
            yield full, key, line, is_read


def _capability_of(full: str) -> tuple[Capability | None, str]:
    if full.endswith(".?"):  # which attribute is computed
        return (Capability.CODE if is_powerful(full[:-2]) else None), f"getattr({full[:-2]}, ...)"
    return capability_of(full), full


def _mode(node: ast.Call, position: int) -> str:
    """Return the mode that a call of `open` gives: "r" without one, "?" if it is computed."""
    given = (
        node.args[position]
        if len(node.args) > position
        else next((k.value for k in node.keywords if k.arg == "mode"), None)
    )
    if given is None:
        return "?" if any(k.arg is None for k in node.keywords) else "r"
    text = _text(given)
    return "?" if text is None else text


def _of_mode(mode: str) -> Capability:
    return Capability.READS if set(mode) <= set("rbtU") else Capability.WRITES


def _is_path(node: ast.Call) -> bool:
    """Tell whether a call of a method `open` may be one of a path, which has the mode first."""
    mode = _mode(node, 0)
    return mode == "?" or set(mode) <= set("rwaxbt+U")


def _words(node: ast.expr) -> set[str]:
    match node:
        case ast.Name(id=name):
            return {name}
        case ast.Attribute(attr=name):
            return {name}
        case ast.Compare(
            left=ast.Name(id="__name__"), ops=[ast.Eq()], comparators=[ast.Constant(value=str(name))]
        ):
            return {name}
    return set()


def _text(node: ast.expr) -> str | None:
    """Return the text that an expression of constants makes."""
    parts: list[str] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        if not isinstance(node.right, ast.Constant) or not isinstance(node.right.value, str):
            return None
        parts.append(node.right.value)
        node = node.left
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return None
    return "".join([node.value, *reversed(parts)])


def _dotted(node: ast.expr) -> str | None:
    """Return the dotted name that an expression is, by attributes or in a roundabout way."""
    after: list[str] = []
    while True:
        if isinstance(node, ast.Attribute):
            after.append(node.attr)
            node = node.value
        elif isinstance(node, ast.Name):
            root = ".builtins" if node.id == "__builtins__" else node.id
            return ".".join([root, *reversed(after)])
        elif isinstance(node, ast.Call):
            match node:
                case ast.Call(func=ast.Name(id="getattr"), args=[value, attribute, *_]):
                    text = _text(attribute)
                    if text is None:
                        return None
                    after.append(text)
                    node = value
                case ast.Call(func=ast.Name(id="__import__" | "import_module"), args=[module, *_]):
                    return _absolute(module, after)
                case ast.Call(func=ast.Attribute(attr="import_module" | "__import__"), args=[module, *_]):
                    return _absolute(module, after)
                case _:
                    return None
        elif isinstance(node, ast.Subscript):
            text = _text(node.slice)
            match node.value:
                case ast.Name(id="__builtins__"):
                    return None if text is None else ".".join([".builtins", text, *reversed(after)])
                case ast.Attribute(value=ast.Name(id="sys"), attr="modules"):
                    return _absolute(node.slice, after)
                case (
                    ast.Attribute(value=value, attr="__dict__")
                    | ast.Call(func=ast.Name(id="vars"), args=[value])
                ):
                    if text is None:
                        return None
                    after.append(text)
                    node = value
                case ast.Call(func=ast.Name(id="globals"), args=[]):
                    return None if text is None else ".".join([text, *reversed(after)])
                case _:
                    return None
        else:
            return None


def _absolute(module: ast.expr, after: list[str]) -> str | None:
    text = _text(module)
    return None if not text or text.startswith(".") else ".".join([f".{text}", *reversed(after)])
