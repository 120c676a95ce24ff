"""Submodules that code takes from their packages without importing them: `import scipy`, then `scipy.fft`.

It works where something else has imported them, and would go another way, or fail, where nothing has.
"""

from __future__ import annotations

import dis
import sys
import types
from collections.abc import Iterable, Iterator

from wardian.domain.live_names import is_live
from wardian.domain.names import ModuleName, ancestors
from wardian.environment.distributions import Distributions
from wardian.environment.modules import known_attribute, variables_of
from wardian.source.mentions import mentions, parts_of

__all__ = ["code_of", "find_submodules", "is_imported_above", "stays_outside"]


def find_submodules(code: types.CodeType, variables: Iterable[object]) -> list[types.ModuleType]:
    """Return the loaded submodules whose names a module mentions beside packages that it has.

    Args:
        code: Of the module.
        variables: The values of its globals, as far as they are known.

    Returns:
        Those that no import in the module names. Something else may import them wherever it is imported.

    >>> import xml.dom
    >>> code = compile("import xml; xml.dom; xml.sax", "model.py", "exec")
    >>> [module.__name__ for module in find_submodules(code, ())]
    ['xml.dom']
    """
    imported = set(_imports(code))
    packages = {value.__name__ for value in variables if isinstance(value, types.ModuleType)}
    packages |= imported.union(*(ancestors(ModuleName(name)) for name in imported))
    names = {name for part in parts_of(code) for name in (*part.co_names, *part.co_consts) if _is_name(name)}
    found: dict[str, types.ModuleType] = {}
    waiting = sorted(packages)
    while waiting:
        package = sys.modules.get(waiting.pop(0))
        if package is None or "__path__" not in variables_of(package):
            continue
        for name in sorted(names & variables_of(package).keys()):
            full = f"{package.__name__}.{name}"
            module = sys.modules.get(full)
            if module is not None and full not in found and variables_of(package)[name] is module:
                found[full] = module
                waiting.append(full)
    return [module for name, module in found.items() if name not in imported]


def stays_outside(module: types.ModuleType) -> bool:
    """Tell whether a module is of a library with machine code, which may be missing for the receiver."""
    file = known_attribute(module, "__file__")
    if is_live(module.__name__) or not isinstance(file, str):
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


def _imports(code: types.CodeType) -> Iterator[str]:
    """Yield the names of modules, and of what is taken from them, in the absolute imports of code."""
    for part in parts_of(code):
        module = ""
        for step in dis.get_instructions(part):
            if step.opname == "IMPORT_NAME":
                module = step.argval
                yield module
            elif step.opname == "IMPORT_FROM":
                yield f"{module}.{step.argval}"


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.isidentifier()
