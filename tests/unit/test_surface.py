"""The public surface changes only on purpose."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

_SOURCE = Path(__file__).parents[2] / "src"


def _public_modules() -> dict[str, Path]:
    """Find every module without a leading underscore in its dotted name, without importing it."""
    found = {}
    for path in sorted((_SOURCE / "wardian").rglob("*.py")):
        parts = path.relative_to(_SOURCE).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if not any(part.startswith("_") for part in parts):
            found[".".join(parts)] = path
    return found


_MODULES = _public_modules()


def _statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """List the statements of a module that bind names: also those under `if` and `try`."""
    found: list[ast.stmt] = []
    for statement in body:
        found.append(statement)
        for field in ("body", "orelse", "finalbody"):
            if isinstance(statement, (ast.If, ast.Try, ast.With)):
                found += _statements(getattr(statement, field, []))
    return found


def _public_names(tree: ast.Module, *, reexports: bool) -> set[str]:
    """Name what a module defines, and for a package what it takes from its own modules."""
    names: set[str] = set()
    for statement in _statements(tree.body):
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names |= {t.id for t in targets if isinstance(t, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.ImportFrom(module=module, names=aliases) if reexports:
                if (module or "").partition(".")[0] == "wardian":
                    names |= {alias.asname or alias.name for alias in aliases}
            case _:
                pass
    return {name for name in names if not name.startswith("_")}


def _declared(tree: ast.Module) -> list[str] | None:
    for statement in tree.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id="__all__")], value=value)
                | ast.AnnAssign(target=ast.Name(id="__all__"), value=ast.expr() as value)
            ):
                return list(ast.literal_eval(value))
            case _:
                pass
    return None


@pytest.mark.parametrize("module", _MODULES)
def test_all_is_sorted_and_names_exactly_what_is_public(module: str) -> None:
    tree = ast.parse(_MODULES[module].read_text(encoding="utf-8"))
    declared = _declared(tree)
    public = _public_names(tree, reexports=_MODULES[module].name == "__init__.py")
    if declared is None:
        assert not public, f"{module} defines {sorted(public)} and has no __all__"
        return
    assert declared == sorted(set(declared)), f"{module}.__all__ is not sorted or names something twice"
    # A module may offer a name of another one, as the facade of torch.package does; a package must.
    offered = _public_names(tree, reexports=True)
    assert public <= set(declared) <= offered, f"{module}.__all__ and its public names differ"


def test_every_name_of_the_top_level_resolves() -> None:
    # In a process of its own: names may load torch at first use.
    script = "import wardian; print([n for n in getattr(wardian, '__all__', []) if not hasattr(wardian, n)])"
    done = _run(script)
    assert done == "[]", f"names in wardian.__all__ that do not exist: {done}"


def test_import_wardian_does_not_import_torch() -> None:
    heavy = {"torch", "numpy", "click", "rich", "wardian.integrations"}
    assert _run(f"import sys, wardian; print(sorted({heavy!r} & set(sys.modules)))") == "[]"


def _run(script: str) -> str:
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(_SOURCE)!r}); {script}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
