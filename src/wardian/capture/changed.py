"""Modules that are not what their files hold."""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import marshal
import os
import sys
import types
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from wardian.capture.statements import assigned, bound_names, statements
from wardian.capture.texts import Text, read_texts, was_changed
from wardian.domain.modules import is_stdlib
from wardian.domain.names import ModuleName, top_level
from wardian.environment.distributions import Distributions
from wardian.environment.modules import is_instance, is_module, known_attribute, variables_of
from wardian.environment.unpacking import on_disk

__all__ = ["ChangedModule", "find_changed_modules", "find_removed"]


@dataclass(frozen=True, slots=True)
class ChangedModule:
    """A loaded module that its file does not show, or does not show any more.

    Attributes:
        source: What it was made from; None if that is not known.
        by_loader: Whether its loader gives another source than the file: nothing is wrong then.
    """

    name: ModuleName
    file: str
    is_package: bool
    source: str | None
    by_loader: bool = False


def find_changed_modules() -> Iterator[ChangedModule]:
    """Yield first-party modules that were changed on disk since they were imported, or that a loader changes.

    Only files that were written to since this process began are taken for changed: if the module holds
    a function that the file does not compile to, or the bytecode that was written when it was imported is of
    another text.
    """
    for name, module in sorted(sys.modules.copy().items()):  # threads import
        file = known_attribute(module, "__file__")
        if (
            not is_module(module)
            or not isinstance(file, str)
            or name == "__main__"
            or top_level(name) == "wardian"
            or is_stdlib(ModuleName(name))
        ):
            continue
        loader = known_attribute(module, "__loader__")
        is_usual = type(loader) is importlib.machinery.SourceFileLoader
        if is_usual and was_changed(file):
            found = _changed_since(name, module, file)
        elif not is_usual and file.endswith(".py") and known_attribute(loader, "get_source") is not None:
            found = _given(name, module, file, loader)
        else:
            continue
        if found is not None and Distributions.current().owner(ModuleName(name), file) is None:
            yield found


def find_removed(modules: Iterable[ModuleName]) -> list[str]:
    """Return which of some loaded modules have no file any more, as sentences."""
    files = {name: known_attribute(sys.modules.get(name), "__file__") for name in sorted(modules)}
    return [
        f"{file} was removed after {name} was imported; the case holds what an import finds now: pack in a"
        " new process, which imports it"
        for name, file in files.items()
        if isinstance(file, str) and not os.path.exists(on_disk(file))
    ]


def _changed_since(name: str, module: types.ModuleType, file: str) -> ChangedModule | None:
    codes = {function.__code__ for function in _functions_of(module) if function.__code__.co_filename == file}
    imported = _code_of_import(module, file)
    if imported is not None and codes <= set(_codes_in(imported)):
        codes.add(imported)
    texts = list(read_texts(file))
    fitting = [text for text in texts if all(map(text.holds, codes)) and _holds_constants(text, module)]
    # The last text is that of the disk.
    if not texts or texts[-1] in fitting:
        return None
    return ChangedModule(ModuleName(name), file, _is_package(module), fitting[0].source if fitting else None)


def _given(name: str, module: types.ModuleType, file: str, loader: Any) -> ChangedModule | None:
    try:
        source = loader.get_source(name)
    except (ImportError, OSError, SyntaxError, UnicodeDecodeError):
        return None
    texts: list[Text] = list(read_texts(file)) if isinstance(source, str) and os.path.isfile(file) else []
    if not texts or texts[-1].source == source.replace("\r\n", "\n"):
        return None
    return ChangedModule(ModuleName(name), file, _is_package(module), source, by_loader=True)


def _is_package(module: types.ModuleType) -> bool:
    return known_attribute(module, "__path__") is not None


def _code_of_import(module: types.ModuleType, file: str) -> types.CodeType | None:
    """Return the code that an import wrote beside the file, if the file is another one since.

    The head tells time and size of the source: https://peps.python.org/pep-0552/
    """
    cached = known_attribute(module, "__cached__")
    try:
        with open(cached, "rb") as stream:
            data = stream.read()
        status = os.stat(file)
    except (OSError, TypeError, ValueError):
        return None
    flags, time, size = (int.from_bytes(data[at : at + 4], "little") for at in (4, 8, 12))
    same = (time, size) == (int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF)
    if data[:4] != importlib.util.MAGIC_NUMBER or flags or same:
        return None
    try:
        code = marshal.loads(data[16:])  # noqa: S302  of this Python's cache, which it would run
    except (EOFError, ValueError, TypeError):
        return None
    return code if isinstance(code, types.CodeType) else None


def _codes_in(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes_in(constant)


def _holds_constants(text: Text, module: types.ModuleType) -> bool:
    """Tell whether the constants of a module and its classes are as the text has them.

    Where no bytecode is written, nothing else tells; what a function sets (`global count`) does not count.
    """
    bodies: list[tuple[list[ast.stmt], Any]] = [(text.tree.body, variables_of(module))]
    bodies += [
        (node.body, vars(cls))
        for node in text.tree.body
        if isinstance(node, ast.ClassDef) and isinstance(cls := variables_of(module).get(node.name), type)
    ]
    set_later = {name for node in ast.walk(text.tree) if isinstance(node, ast.Global) for name in node.names}
    for body, variables in bodies:
        bound = Counter(name for node in statements(body) for name in bound_names(node))
        for node in body:
            name, expression = assigned(node)
            if not isinstance(expression, ast.Constant) or bound[name] > 1 or name in set_later:
                continue
            live = variables.get(name, expression.value)
            if type(live) is type(expression.value) and live != expression.value:
                return False
    return True


def _functions_of(module: types.ModuleType) -> Iterator[types.FunctionType]:
    for value in list(variables_of(module).values()):
        members = list(vars(value).values()) if is_instance(value, type) else [value]
        for member in members:
            function = known_attribute(member, "__func__") or known_attribute(member, "fget") or member
            if is_instance(function, types.FunctionType) and function.__globals__ is variables_of(module):
                yield function
