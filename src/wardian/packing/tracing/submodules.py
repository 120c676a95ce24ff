"""Submodules that code takes from their packages without importing them: `import scipy`, then `scipy.fft`.

It works where something else has imported them, and would go another way, or fail, where nothing has.
"""

from __future__ import annotations

import dis
import sys
import types
from collections.abc import Collection, Iterator, Mapping

from wardian.domain.live_names import is_live
from wardian.domain.names import ModuleName, top_level
from wardian.environment.distributions import Distributions
from wardian.environment.modules import is_module, known_attribute, variables_of
from wardian.source.mentions import mentions, parts_of

__all__ = ["code_of", "find_submodules", "is_imported_above", "stays_outside"]


def find_submodules(code: types.CodeType, variables: Mapping[str, object]) -> list[types.ModuleType]:
    """Return the loaded submodules that a module takes from packages which it has under a name.

    Args:
        code: Of the module.
        variables: Its globals, as far as they are known.

    Returns:
        Those that no import in the module names, and of no library that stays outside. Something else may
        import them wherever the module is imported.

    >>> import xml.dom
    >>> code = compile("import xml; xml.dom; xml.sax", "model.py", "exec")
    >>> [module.__name__ for module in find_submodules(code, {})]
    ['xml.dom']
    """
    modules = {name: value for name, value in variables.items() if is_module(value)}
    bound = {name: module.__name__ for name, module in modules.items()}
    imported: set[str] = set()
    parts = list(parts_of(code))
    for part in parts:
        for module, name in _imports(part):
            imported.add(module)
            bound.setdefault(name, module)
    bound = {name: full for name, full in bound.items() if not stays_outside(sys.modules.get(full))}
    packages = tuple(f"{full}." for full in set(bound.values()))
    below = {name.rpartition(".")[2] for name in list(sys.modules) if name.startswith(packages)}
    # Going through instructions takes long: most code mentions nothing of the kind.
    parts = [part for part in parts if not below.isdisjoint((*part.co_names, *part.co_consts))]
    taken = {
        f"{bound[name]}.{'.'.join(path)}"
        for part in parts
        for name, path in (*_attributes(part), *_asked(part, bound.keys()))
        if name in bound
    }
    found = [name for name in sorted(taken) if _is_submodule(name) and name not in imported]
    return [sys.modules[name] for name in found]


def _is_submodule(name: str) -> bool:
    package, _, last = name.rpartition(".")
    module = sys.modules.get(name)
    own = variables_of(module).get("__name__") == name  # os.path is posixpath
    return own and variables_of(sys.modules.get(package)).get(last) is module


def stays_outside(module: types.ModuleType | None) -> bool:
    """Tell whether a module is of a library with machine code, which may be missing for the receiver."""
    file = known_attribute(module, "__file__")
    if module is None or is_live(module.__name__) or not isinstance(file, str):
        return False
    distributions = Distributions.current()
    distribution = distributions.get(distributions.owner(ModuleName(module.__name__), file) or "")
    return distribution is not None and distribution.is_compiled


def is_imported_above(module: types.ModuleType) -> bool:
    """Tell whether the package of a submodule seems to import it."""
    package, _, name = module.__name__.rpartition(".")
    code = code_of(sys.modules[package])
    return code is not None and mentions(code, frozenset({name}))


def code_of(module: types.ModuleType) -> types.CodeType | None:
    """Return the code that a module was made by, or would be now; None if its loader does not tell."""
    try:
        code = module.__loader__.get_code(module.__name__)  # type: ignore[union-attr]
    except Exception:  # noqa: BLE001  a loader may be anybody's
        return None
    return code if isinstance(code, types.CodeType) else None


def _imports(part: types.CodeType) -> Iterator[tuple[str, str]]:
    """Yield the absolute names of what code imports, modules and parts of them, and their names there."""
    if dis.opmap["IMPORT_NAME"] not in part.co_code[::2]:
        return
    module = taken = ""
    for step in dis.get_instructions(part):
        if step.opname == "IMPORT_NAME":
            module, taken = step.argval, ""
            yield module, ""
        elif step.opname == "IMPORT_FROM":
            taken = f"{module}.{step.argval}"
            # `import a.b as c` takes `b` from `a.b`.
            taken = module if module.endswith(f".{step.argval}") and taken not in sys.modules else taken
        elif step.opname.startswith("STORE_") and module and isinstance(step.argval, str):
            yield taken or top_level(module), step.argval
            module = module if taken else ""


def _attributes(part: types.CodeType) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what code takes from a name: of `a.b.c` both `a`, `b` and `a`, `b.c`."""
    name = ""
    path: tuple[str, ...] = ()
    for step in dis.get_instructions(part):
        if step.opname in ("LOAD_ATTR", "LOAD_METHOD") and name:
            path = (*path, step.argval)
            yield name, path
        elif step.opname.startswith("LOAD_") and step.opname != "LOAD_CONST" and isinstance(step.argval, str):
            name, path = step.argval, ()
        elif step.opname not in ("CACHE", "PUSH_NULL", "NOP"):
            name = ""


def _asked(part: types.CodeType, names: Collection[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what code asks for by a text: `hasattr(a, "b")`."""
    if {"hasattr", "getattr"}.isdisjoint(part.co_names):
        return
    texts = [text for text in part.co_consts if isinstance(text, str) and text.isidentifier()]
    for name in {*part.co_names, *part.co_varnames, *part.co_freevars}.intersection(names):
        for text in texts:
            yield name, (text,)
