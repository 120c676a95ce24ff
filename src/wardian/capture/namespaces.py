"""The part of a script or notebook that is packed: the names an object needs, and the names those use."""

from __future__ import annotations

import ast
import builtins
import re
import types
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from typing import Any

from wardian.capture.definitions import STATEMENT, Definer, Definition, Piece
from wardian.capture.effects import Effects
from wardian.capture.factories import FACTORY
from wardian.capture.homes import (
    is_importable,
)
from wardian.capture.registrations import find_call
from wardian.capture.replaced_values import ReplacedValues
from wardian.capture.script import Script
from wardian.capture.statements import (
    Binding,
    bound_names,
    is_harmless,
)
from wardian.capture.texts import first_line, verbatim
from wardian.capture.usage import find_usage
from wardian.domain.live_names import original_name
from wardian.domain.modules import is_stdlib
from wardian.domain.names import ModuleName, top_level
from wardian.environment.modules import is_module

__all__ = ["Namespace"]

_OPERATORS = re.compile(r"""\bops\.(\w+)|["'](\w+)::""")
"""How code names operators: `torch.ops.shop.scale`, "shop::scale"."""

_REGISTERS = re.compile(r"regist|^add")
"""How functions are called that do nothing but note what they are given."""

_LOOK_UP = re.compile(r"\b(globals|eval|exec|vars)\s*\(|\bsys\.modules\b")
"""Code without these names looks up no global by a text."""

_OF_NOBODY = ("torch", "wardian")
"""Registrations with these are known by `registrations`, or are none."""

_SKIPPED = frozenset(
    {"__annotations__", "__builtins__", "__cached__", "__doc__", "__file__"}
    | {"__loader__", "__name__", "__package__", "__path__", "__spec__"}
)
"""Globals that each module has of its own."""


def _imported(module: types.ModuleType) -> None:
    """Say that an import finds any module."""


class Namespace:
    """The part of a script, notebook or executed source that is packed, as one synthesised module.

    Args:
        variables: The dictionary of its globals.
        name_module: Returns a name for the synthesised module, which is asked for when something is taken.
        effects: What loading does beside making the object: values of globals, and what is inside of others.
        rename: Returns the name that a module has in the case, and may note that it is needed there.
        module_of: Returns the name of the synthesised module that stands for a module, None for one that is
            imported.
        number: Tells it from others of the case, in the order in which they were met.

    Attributes:
        script: The whole script.
        definitions: What is taken by its source.
        factories: Functions that make local functions.
        looks_up: Whether something in it looks globals up by names that are values.
        is_held: Whether something holds it as a module, whatever it takes of it.
    """

    def __init__(
        self,
        variables: dict[str, Any],
        name_module: Callable[[], ModuleName],
        effects: Effects,
        rename: Callable[[str], ModuleName] = original_name,
        module_of: Callable[[types.ModuleType], ModuleName | None] = _imported,
        *,
        number: int = 0,
    ) -> None:
        self.script = Script(variables)
        self.variables = variables
        self.number = number
        self._name_module = name_module
        self._effects = effects
        replaced = ReplacedValues(self.script, partial(effects.set_inside, self))
        self._definer = Definer(self.script, rename, module_of, replaced)
        self.definitions: dict[str, Definition] = {}
        self.factories: dict[str, Piece] = {}
        self._operators: set[str] = set()
        self.looks_up = False
        self.is_held = False

    @cached_property
    def module(self) -> ModuleName:
        """The name of the synthesised module."""
        return self._name_module()

    @property
    def is_named(self) -> bool:
        """Tell whether something may be taken already."""
        return "module" in vars(self)

    def modules_used(self) -> Iterator[str]:
        """Yield the names of the modules of which something is taken."""
        for name in self.definitions:
            value = self.variables.get(name)
            module = value if is_module(value) else None
            found = module.__name__ if module is not None else getattr(value, "__module__", None)
            if isinstance(found, str):
                yield found

    @property
    def has_values(self) -> bool:
        """Tell whether any of its globals are taken by value."""
        return bool(self._effects.globals_of(self))

    # What is taken

    def require(self, name: str) -> None:
        """Take what *name* stands for, and what that uses."""
        todo = [name]
        while todo:
            wanted = todo.pop()
            if wanted in self.definitions or self._effects.knows(self, wanted):
                continue
            if wanted not in self.variables or wanted in _SKIPPED or self.script.is_synthesised(wanted):
                continue
            value = self.variables[wanted]
            if getattr(builtins, wanted, self) is value:
                continue
            definition = self._definer.define(wanted, value)
            if definition is None:
                otherwise = partial(self._define_otherwise, wanted)
                self._effects.set_global(self, wanted, value, otherwise)
            else:
                self.definitions[wanted] = definition
                todo += sorted(definition.usage.at_once | definition.usage.later)
                todo += sorted(self.looked_up("".join(piece.source for piece in definition.pieces)))
        self._require_registrations()

    def require_all(self) -> None:
        """Take all of it."""
        if not self.is_held:
            self.is_held = True
            for name in list(self.variables):
                self.require(name)

    def looked_up(self, source: str) -> Iterator[str]:
        """Yield the functions, classes and constants that *source* looks up by text: `globals()["act"]`."""
        source = source.replace(f"@{FACTORY}(globals())\n", "")
        if not _LOOK_UP.search(source):
            return
        self.looks_up = True
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from filter(self.script.is_code, re.findall(r"[^\W\d]\w*", node.value))

    def require_operators(self, namespace: str) -> None:
        """Take the statements that define or change operators of *namespace*, of `torch.ops`."""
        if namespace not in self._operators:
            self._operators.add(namespace)
            self.script.statements.read()
            self._require_registrations()

    def require_calls(self, registered: Iterable[Any], *, of_any_name: bool = True) -> list[str]:
        """Take the statements that gave what is *registered* to functions of other modules.

        Args:
            registered: Classes and functions.
            of_any_name: Whether these functions may be called anything. What a module may have registered
                itself tells nothing of a statement: that may be `train(Net)`.

        Returns:
            The names that they use.
        """
        wanted = {id(found) for found in registered}
        names = frozenset(name for name, value in self.variables.items() if id(value) in wanted)
        if not names:
            return []
        taken: set[str] = set()
        for binding in self.script.statements.apart():
            node = binding.node
            function = find_call(node, names, self.variables)
            module = None if function is None else function.__module__
            if function is None or not (
                of_any_name or (_REGISTERS.search(function.__name__) and self.script.uses_no_values(node))
            ):
                continue
            if module is None or module == self.script.name or not is_importable(module):
                continue
            own = original_name(module)
            if top_level(own) not in _OF_NOBODY and not is_stdlib(own):
                self._require_statement(binding)
                used = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
                taken |= names & used & self.definitions.keys()
        return sorted(taken)

    def _require_registrations(self) -> None:
        """Take the statements that register something about what is taken."""
        if not self.script.statements.registrations:
            return
        pieces = [piece for definition in self.definitions.values() for piece in definition.pieces]
        text = "\n".join(piece.source for piece in (*pieces, *self.factories.values()))
        used = self._operators | {name for pair in _OPERATORS.findall(text) for name in pair}
        wanted = [
            (binding, about)
            for binding, about in self.script.statements.registrations
            if not about.names.isdisjoint(self.definitions) or not about.operators.isdisjoint(used)
        ]
        if wanted:
            self.script.statements.registrations = [
                pair for pair in self.script.statements.registrations if pair not in wanted
            ]
            for binding, _ in wanted:
                self._require_statement(binding)

    def _require_statement(self, binding: Binding) -> None:
        """Take a statement for what it does."""
        for name in bound_names(binding.node):
            value = self.variables.get(name)
            taken = self.script.binding_of(name, value)
            if taken is not None and taken.node is binding.node:
                self.require(name)
                if self._effects.remove(self, name):  # the statement, which is executed anyway, makes it
                    self.require_definition(name, binding)
                definition = self.definitions.get(name)
                # Of a decorator that returns None, the name is a constant.
                if definition is not None and definition.rank == STATEMENT:
                    return
        edits = self.script.absolute_imports(binding.text, binding.node)
        source = verbatim(binding.text, binding.node, edits)
        usage = find_usage(source)
        piece = Piece(source, binding.text.file, first_line(binding.node))
        # No name can be this.
        self.definitions[f"line {binding.order}"] = Definition(STATEMENT, binding.order, (piece,), usage)
        for used in sorted(usage.at_once | usage.later):
            self.require(used)

    def require_definition(self, name: str, binding: Binding) -> None:
        """Take *name* from the statement *binding*."""
        if name not in self.definitions:
            self.definitions[name] = self._definer.from_statement(name, binding)
            usage = self.definitions[name].usage
            for used in sorted(usage.at_once | usage.later):
                self.require(used)

    def _define_otherwise(self, name: str) -> bool:
        """Take by its statement what cannot be taken by value; return whether that was possible."""
        if name in self.definitions:
            return True
        binding = self.script.assignment(name)
        if binding is None or not is_harmless(binding.node):
            return False
        self.require_definition(name, binding)
        return True

    def define_what_is_used_at_once(self) -> None:
        """Take by statement, too, what is taken by value but is used already when the module is executed."""
        self._require_registrations()
        while True:
            early = self._used_at_once() & self._effects.globals_of(self) - self.definitions.keys()
            moved = False
            for name in sorted(early):
                binding = self.script.assignment(name)
                if binding is not None:
                    self.require_definition(name, binding)
                    moved = True
            if not moved:
                return

    def _used_at_once(self) -> set[str]:
        found = {used for d in self.definitions.values() for used in d.usage.at_once}
        todo = {used for d in self.definitions.values() for used in d.usage.at_once - d.bases}
        called: set[str] = set()
        while todo:
            name = todo.pop()
            if name not in called:
                called.add(name)
                if name in self.definitions:
                    usage = self.definitions[name].usage
                    todo |= usage.at_once | usage.later
        return found | called

    # What comes out

    def pieces(self) -> list[Piece]:
        """Return the statements of the synthesised module, in an order in which they can be executed."""
        ordered = sorted(
            self.definitions, key=lambda n: (self.definitions[n].rank, self.definitions[n].order, n)
        )
        done: dict[str, None] = {}
        pieces: dict[Piece, None] = {}

        def emit(name: str, *, with_later: bool) -> None:
            if name in done or name not in self.definitions:
                return
            done[name] = None
            definition = self.definitions[name]
            for used in sorted(definition.usage.at_once - {name}):
                emit(used, with_later=True)
            if with_later:
                for used in sorted(definition.usage.later - {name}):
                    emit(used, with_later=True)
            pieces.update(dict.fromkeys(definition.pieces))

        for name in ordered:
            emit(name, with_later=False)
        return [*pieces, *(self.factories[name] for name in sorted(self.factories))]

    def future(self) -> list[str]:
        """Return the features its statements were compiled with."""
        self.script.statements.read()
        used = {piece.file for d in self.definitions.values() for piece in d.pieces}
        used |= {piece.file for piece in self.factories.values()}
        names = set()
        for file in used & self.script.statements.texts.keys():
            for node in self.script.statements.texts[file].tree.body:
                if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                    names |= {alias.name for alias in node.names}
        return sorted(names)
