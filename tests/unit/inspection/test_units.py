"""How code is divided into functions, and what the names in each stand for."""

from __future__ import annotations

import ast

import pytest

from wardian.inspection.units import ModuleUnits, Unit, units_of_source, uses_of


def _units(source: str, module: str = "yew.rings", record: str = "yew/rings.py") -> ModuleUnits:
    return units_of_source(ast.parse(source), module, record)


def _uses(source: str, **others: str) -> list[tuple[str, int, str]]:
    """Return what any unit of a module could do; *others* are modules beside it, `yew_b` is `yew.b`."""
    modules = {"yew.rings": _units(source)}
    for key, text in others.items():
        name = key.replace("_", ".")
        modules[name] = _units(text, name, name.replace(".", "/") + ".py")
    mine = modules["yew.rings"]
    found = {
        (str(can), line, name) for unit in mine.units for can, line, name in uses_of(mine, unit, modules)
    }
    return sorted(found, key=lambda use: use[1:])


def _named(found: ModuleUnits) -> list[tuple[str, str]]:
    return [(unit.owner, unit.name) for unit in found.units]


def _unit(found: ModuleUnits, name: str) -> Unit:
    return next(unit for unit in found.units if unit.name == name)


def test_each_function_is_a_unit_and_the_module_is_the_first() -> None:
    found = _units(
        "def grow():\n    def inner():\n        pass\n"
        "class Yew(Tree):\n    def rings(self):\n        pass\n    class Leaf:\n        def fall(self): ...\n"
        "f = lambda: 1\n"
        "if __name__ == '__main__':\n    run()\n"
    )
    assert _named(found) == [
        ("", ""),
        ("", "grow"),
        ("", "inner"),
        ("Yew", "__bases__"),
        ("Yew", "rings"),
        ("Leaf", "fall"),
        ("", "<lambda of line 9 of yew/rings.py>"),
        ("", "<not when it is imported>"),
    ]
    assert {unit.record for unit in found.units} == {"yew/rings.py"}


def test_what_runs_at_the_definition_is_of_what_is_around() -> None:
    found = _units("@wrap(size)\ndef grow(x: Kind = usual(), *, key=other) -> Result:\n    return body\n")
    assert {"wrap", "size", "usual", "other", "grow"} <= found.units[0].mentions
    assert _unit(found, "grow").mentions == {"body"}
    assert not {"Kind", "Result"} & (found.units[0].mentions | _unit(found, "grow").mentions)


def test_functions_inside_and_those_that_are_decorated_are_mentioned_by_what_makes_them() -> None:
    found = _units(
        "def outer():\n    def inner(): ...\n@table.add\ndef kept(): ...\n@table.add\nclass Kept: ...\n"
    )
    assert _unit(found, "outer").mentions == {"inner"}
    assert {"kept", "Kept"} <= found.units[0].mentions
    assert "outer" not in found.units[0].mentions


@pytest.mark.parametrize(
    ("test", "dormant"),
    [
        ("__name__ == '__main__'", True),
        ("TYPE_CHECKING", True),
        ("typing.TYPE_CHECKING", True),
        ("__name__ != '__main__'", False),
        ("__name__ == 'other'", False),
        ("flag", False),
    ],
)
def test_what_an_import_does_not_run_is_a_unit_of_its_own(test: str, dormant: bool) -> None:
    found = _units(f"if {test}:\n    never()\nelse:\n    always()\n")
    assert ("never" not in found.units[0].mentions) is dormant
    assert "always" in found.units[0].mentions


def test_imports_bind_absolute_names() -> None:
    source = (
        "import os.path, json as j\nfrom . import bark\nfrom ..oak import grow as g\nfrom .leaf import *\n"
    )
    found = _units(source)
    assert found.imported == {"os": ".os", "j": ".json", "bark": ".yew.bark", "g": ".oak.grow"}
    assert found.stars == ["yew.leaf"]
    package = _units("from . import bark\n", "yew", "yew/__init__.py")
    assert package.imported == {"bark": ".yew.bark"}


def test_texts_that_may_name_functions_are_mentioned_and_a_list_of_names_uses_none() -> None:
    found = _units(
        f"__all__ = ['grow']\ngetattr(x, 'fall')\nTEXT = 'two words', '{'a' * 81}', '{'b' * 80}'\n"
    )
    assert found.units[0].mentions == {"getattr", "x", "fall", "TEXT", "b" * 80}


@pytest.mark.parametrize(
    ("source", "uses"),
    [
        (
            "import os\nrun = os.system\nrun('x')",
            [("processes", 2, "os.system"), ("processes", 3, "os.system")],
        ),
        ("import os\ndef f():\n    o = os\n    o.system('x')", [("processes", 4, "os.system")]),
        ("import os\nclass A:\n    os = None\nos.system('x')", [("processes", 4, "os.system")]),
        (
            "eval = eval\neval('x')",
            [("dynamic code", 1, "builtins.eval"), ("dynamic code", 2, "builtins.eval")],
        ),
        ("globals()['exec']('x')", [("dynamic code", 1, "builtins.exec")]),
        ("import os\nvars(os)[name]('x')", []),
        ("from os import *\nsystem('x')", [("processes", 2, "os.system")]),
        ("a = b\nb = a\na.system()", []),
        ("import os\nos.path.join('x')", []),
        ("import os\ngetattr(os, name)", [("dynamic code", 2, "getattr(os, ...)")]),
        ("import torch\ngetattr(torch, name)", []),
        ("x.write_text('y')", [("files written", 1, "?.write_text")]),
        ("write_text('y')", []),
        ("__import__('o' + 's').system('x')", [("processes", 1, "os.system")]),
        ("__import__('.os').system('x')", [("dynamic import", 1, "builtins.__import__")]),
    ],
)
def test_names_are_followed_to_what_they_stand_for(source: str, uses: list[tuple[str, int, str]]) -> None:
    found = [use for use in _uses(source) if use[2] != "builtins.__import__" or not uses or use in uses]
    assert found == uses


@pytest.mark.parametrize(
    ("call", "uses"),
    [
        ("open('f')", [("files read", "open")]),
        ("open('f', 'r+')", [("files written", "open")]),
        ("open('f', mode='rb')", [("files read", "open")]),
        ("open('f', **how)", [("files written", "open")]),
        ("open('f', how)", [("files written", "open")]),
        ("x.open()", [("files read", "?.open")]),
        ("x.open('w')", [("files written", "?.open")]),
        ("x.open('f')", []),  # of a library: it has the path first
        ("x.open(how)", [("files read", "?.open")]),
        ("make().open(how)", [("files read", "?.open")]),
    ],
)
def test_a_file_is_read_or_written_by_its_mode(call: str, uses: list[tuple[str, str]]) -> None:
    assert [(can, name) for can, _, name in _uses(call)] == uses


def test_an_open_that_is_imported_is_another() -> None:
    assert _uses("from .files import open\nopen('f', 'w')", yew_files="def open(path, mode): ...") == []


def test_names_that_packed_modules_pass_on_are_followed_through_them() -> None:
    chain = {f"yew_m{n}": f"from .m{n + 1} import run\n" for n in range(3)} | {
        "yew_m3": "from os import system as run\n"
    }
    assert _uses("from .m0 import run\nrun('x')", **chain) == [("processes", 2, "os.system")]
    circle = {"yew_a": "from .b import run\n", "yew_b": "from .a import run\n"}
    assert _uses("from .a import run\nrun('x')", **circle) == []


def test_a_base_class_is_used_as_if_its_methods_said_so() -> None:
    assert _uses("import threading\nclass Yew(threading.Thread): ...") == [("threads", 2, "threading.Thread")]
