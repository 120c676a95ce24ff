"""Runs trees of sources, either as they are or rewritten below a private root."""

from __future__ import annotations

import builtins
import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import FunctionType, ModuleType

from wardian.domain.names import SHIMMED, ModuleName
from wardian.source.rewriting import compile_module

ROOT = "wardian_test_live.case_3f9a2c1b"


def tree(text: str) -> dict[str, str]:
    r"""Read a folder of sources from one text, in which `--- path` stands above each file.

    >>> tree("--- mylib/ops.py\nx = 1")
    {'mylib/ops.py': 'x = 1'}
    """
    files: dict[str, str] = {}
    for part in ("\n" + textwrap.dedent(text)).split("\n--- ")[1:]:
        path, _, source = part.partition("\n")
        files[path.strip()] = source
    return files


class _Finder(MetaPathFinder, Loader):
    def __init__(self, files: Mapping[str, str], root: str | None) -> None:
        self.files = files
        self.prefix = f"{root}." if root else ""
        self.roots = frozenset(path.partition("/")[0].removesuffix(".py") for path in files) | SHIMMED

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(self.prefix):
            return None
        name = fullname.removeprefix(self.prefix)
        if name == "sys" and self.prefix:
            return ModuleSpec(fullname, _Sys())
        if name in SHIMMED and self.prefix:
            return ModuleSpec(fullname, _Shim(name))
        place = name.replace(".", "/")
        for file, is_package in ((f"{place}/__init__.py", True), (f"{place}.py", False)):
            if file in self.files:
                return ModuleSpec(fullname, self, origin=file, is_package=is_package)
        return None

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        assert spec is not None
        assert spec.origin is not None
        source = self.files[spec.origin].encode()
        is_package = spec.submodule_search_locations is not None
        if self.prefix:
            name = ModuleName(spec.name.removeprefix(self.prefix))
            code = compile_module(source, name, is_package=is_package, filename=spec.origin, roots=self.roots)
        else:
            code = compile(source, spec.origin, "exec", dont_inherit=True)
        exec(code, module.__dict__)


class _Sys(Loader):
    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = sys


class _Shim(Loader):
    def __init__(self, name: str) -> None:
        self.name = name

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["shim_of"] = self.name


@contextmanager
def importable(files: Mapping[str, str], root: str | None) -> Iterator[Callable[[str], ModuleType]]:
    """Make *files* importable, below *root* if it is given; yield a function that imports by plain name."""
    finder = _Finder(files, root)
    before = set(sys.modules)
    if root:
        for name in (root.partition(".")[0], root):
            sys.modules[name] = package = ModuleType(name)
            package.__path__ = []
    sys.meta_path.insert(0, finder)
    try:
        yield lambda name: importlib.import_module(finder.prefix + name)
    finally:
        sys.meta_path.remove(finder)
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in finder.roots or (root and name.startswith(root.partition(".")[0])):
                del sys.modules[name]


def bindings(namespace: Mapping[str, object]) -> dict[str, object]:
    """Describe what names are bound to, so that it can be compared between two roots."""
    hidden = {"__builtins__", "__loader__", "__spec__", "__cached__", "__file__", "__dict__", "__weakref__"}
    return {name: describe(value) for name, value in namespace.items() if name not in hidden}


def describe(value: object) -> object:
    match value:
        case ModuleType():
            return f"module {_plain(value.__name__)}"
        case FunctionType():
            return f"function {_plain(value.__module__)}.{value.__qualname__}"
        case type() if value.__module__ != builtins.__name__:
            return f"class {_plain(value.__module__)}", bindings(vars(value))
        case BaseException():
            return type(value).__name__
        case str():
            return _plain(value)
        case dict():
            return bindings(value)
        case list() | tuple():
            return [describe(element) for element in value]
    return repr(value)


def _plain(name: str) -> str:
    return "" if name == ROOT else name.replace(f"{ROOT}.", "")


def run_both(files: Mapping[str, str], name: str) -> tuple[dict[str, object], dict[str, object]]:
    """Import module *name* of *files* plainly and below a private root; return what it binds each time."""
    with importable(files, None) as load:
        plain = bindings(vars(load(name)))
    with importable(files, ROOT) as load:
        private = bindings(vars(load(name)))
    return plain, private
