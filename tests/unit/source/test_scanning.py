from __future__ import annotations

import gc
import textwrap
import warnings

import pytest

from wardian.domain.graph import Import, ImportContext
from wardian.domain.names import ModuleName
from wardian.domain.source_facts import SourceFacts
from wardian.source.parsing import batch, parse, probe
from wardian.source.scanning import scan

U, G, F, T = (
    ImportContext.UNCONDITIONAL,
    ImportContext.GUARDED,
    ImportContext.FUNCTION,
    ImportContext.TYPE_CHECKING,
)


def facts(source: str, module: str = "mylib.models.resnet", *, is_package: bool = False) -> SourceFacts:
    return scan(textwrap.dedent(source).encode(), ModuleName(module), is_package=is_package, file="resnet.py")


def imports(source: str, module: str = "mylib.models.resnet", *, is_package: bool = False) -> list[str]:
    return [edge.imported for edge in facts(source, module, is_package=is_package).imports]


def candidates(source: str, module: str = "mylib.models.resnet", *, is_package: bool = False) -> list[str]:
    return [edge.imported for edge in facts(source, module, is_package=is_package).candidates]


def contexts(source: str) -> dict[str, ImportContext]:
    return {edge.imported: edge.context for edge in facts(source).imports}


def test_an_edge_says_who_what_where_and_how() -> None:
    found = facts("\nif fast:\n    import numpy.linalg\n").imports
    assert found == (
        Import(ModuleName("mylib.models.resnet"), ModuleName("numpy.linalg"), 3, G, "resnet.py"),
    )


@pytest.mark.parametrize(
    ("source", "imported", "also"),
    [
        ("import numpy", ["numpy"], []),
        ("import numpy.linalg", ["numpy.linalg"], []),
        ("import numpy.linalg as la, os", ["numpy.linalg", "os"], []),
        ("from numpy import linalg", ["numpy"], ["numpy.linalg"]),
        (
            "from numpy.linalg import norm as n, inv",
            ["numpy.linalg"],
            ["numpy.linalg.norm", "numpy.linalg.inv"],
        ),
        ("from numpy import *", ["numpy"], []),
        ("from . import layers", ["mylib.models"], ["mylib.models.layers"]),
        ("from .layers import Conv", ["mylib.models.layers"], ["mylib.models.layers.Conv"]),
        ("from .. import ops", ["mylib"], ["mylib.ops"]),
        ("from ..ops.nms import nms", ["mylib.ops.nms"], ["mylib.ops.nms.nms"]),
        ("from ... import above", [], []),
        ("from .... import above", [], []),
        ("import a; import b", ["a", "b"], []),
    ],
)
def test_import_statements(source: str, imported: list[str], also: list[str]) -> None:
    assert (imports(source), candidates(source)) == (imported, also)


def test_relative_imports_of_a_package_begin_at_itself() -> None:
    assert imports("from . import a\nfrom .b import c\nfrom ..d import e", "mylib.nn", is_package=True) == [
        "mylib.nn",
        "mylib.nn.b",
        "mylib.d",
    ]


def test_relative_imports_of_a_top_level_module_lead_nowhere() -> None:
    assert imports("from . import a\nfrom .b import c", "script") == []
    assert imports("from . import a", "mylib", is_package=True) == ["mylib"]


@pytest.mark.parametrize(
    ("source", "imported"),
    [
        ("x = __import__('a.b')", ["a.b", "a"]),
        ("f(*[__import__(name='a.b').c])", ["a.b", "a"]),
        ("__import__('ops', globals(), None, ['nms'], 2)", ["mylib.ops"]),
        ("__import__('ops', globals(), level=1)", ["mylib.models.ops"]),
        ("__import__('ops', level=n)", ["ops"]),
        ("__import__(name)", []),
        ("__import__(*names)", []),
        ("builtins.__import__('a')", ["a"]),
        ("import importlib\nimportlib.__import__('a')", ["importlib", "a"]),
        ("import importlib\nimportlib.import_module('a.b')", ["importlib", "a.b"]),
        ("import importlib as il\nil.import_module('a.b')", ["importlib", "a.b"]),
        ("from importlib import import_module\nimport_module(name='a.b')", ["importlib", "a.b"]),
        ("from importlib import import_module as im\n\nx = im('a.b')", ["importlib", "a.b"]),
        ("def f():\n  return im('a.b')\nfrom importlib import import_module as im", ["a.b", "importlib"]),
        ("importlib.import_module('.b', __package__)", ["mylib.models.b"]),
        ("importlib.import_module('.b', package=__name__)", ["mylib.models.resnet.b"]),
        ("importlib.import_module('..b', 'other.pkg')", ["other.b"]),
        ("importlib.import_module('.b', package)", []),
        ("importlib.import_module('.b')", []),
        ("importlib.import_module(name)", []),
        ("importlib.import_module('not a module')", []),
        ("importlib.import_module(__name__ + '.heads')", ["mylib.models.resnet.heads"]),
        ("importlib.import_module(f'{__package__}.heads')", ["mylib.models.heads"]),
        ("importlib.import_module(f'{name}.heads')", []),
        ("loader.import_module('a.b')", []),
        ("import_module('a.b')", []),
        ("importlib.util.find_spec('a.b')", []),
        ("'import a'\n# import b\nx = '''\nimport c\n'''", []),
        ("x = f'''\n{__import__('a')}\n\n{\n__import__('b')}'''", ["a", "b"]),
    ],
)
def test_imports_by_call(source: str, imported: list[str]) -> None:
    assert imports(source) == imported


def test_imports_by_call_name_their_attributes() -> None:
    assert candidates("__import__('a.b', fromlist=('c', '*', x))") == ["a.b.c"]


def test_imports_are_in_the_order_of_lines_and_single() -> None:
    source = "x = importlib.import_module('z')\nimport m, m\nfrom m import a\nimport b\nfrom m import a"
    assert [(edge.line, edge.imported) for edge in facts(source).imports] == [
        (1, "z"),
        (2, "m"),
        (3, "m"),
        (4, "b"),
        (5, "m"),
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a\nclass C:\n  import b\n  with x: import c", {"a": U, "b": U, "c": U}),
        ("for x in y: import a\nelse: import b", {"a": U, "b": U}),
        (
            "def f(): import a\nasync def g(): import b\nclass C:\n  def f(self): import c",
            {"a": F, "b": F, "c": F},
        ),
        (
            "def f():\n  if x: import a\n  try: import b\n  except ImportError: import c",
            {"a": F, "b": F, "c": F},
        ),
        ("if x: import a\nelif y: import b\nelse: import c", {"a": G, "b": G, "c": G}),
        ("while x: import a", {"a": G}),
        ("while True: import a", {"a": U}),
        ("match x:\n  case 1: import a\n  case _: import b", {"a": G, "b": G}),
        (
            "try: import a\nexcept ImportError: import b\nelse: import c\nfinally: import d",
            {"a": G, "b": G, "c": G, "d": U},
        ),
        ("try: import a\nexcept (OSError, ModuleNotFoundError): pass", {"a": G}),
        ("try: import a\nexcept Exception as e: pass", {"a": G}),
        ("try: import a\nexcept builtins.ImportError: pass", {"a": G}),
        ("try: import a\nexcept: pass", {"a": G}),
        ("try: import a\nexcept* ImportError: pass", {"a": G}),
        ("try: import a\nexcept KeyError: import b\nelse: import c", {"a": U, "b": G, "c": U}),
        ("try: import a\nfinally: import b", {"a": U, "b": U}),
        ("try:\n  with x:\n    class C:\n      import a\nexcept ImportError: pass", {"a": G}),
        (
            "with suppress(ImportError): import a\nwith c.suppress(OSError): import b",
            {"a": G, "b": U},
        ),
        (
            "from contextlib import suppress as s\nwith x, s(OSError, ImportError): import a",
            {"contextlib": U, "a": G},
        ),
        ("if importlib.util.find_spec('a'): import a", {"a": G}),
        (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING: import a\nelse: import b",
            {"typing": U, "a": T, "b": U},
        ),
        ("from typing import TYPE_CHECKING as TC\nif TC: import a", {"typing": U, "a": T}),
        ("import typing as t\nif t.TYPE_CHECKING: import a", {"typing": U, "a": T}),
        ("if not TYPE_CHECKING: import a\nelse: import b", {"a": U, "b": T}),
        ("if TYPE_CHECKING and x: import a\nelse: import b", {"a": T, "b": U}),
        ("if TYPE_CHECKING or x: import a\nelse: import b", {"a": G, "b": G}),
        ("if not TYPE_CHECKING or x: import a\nelse: import b", {"a": U, "b": T}),
        ("if TYPE_CHECKING:\n  def f(): import a\nelif x: import b", {"a": T, "b": G}),
        ("def f():\n  if TYPE_CHECKING: import a", {"a": T}),
        ("if False: import a\nif 1: import b", {"a": T, "b": U}),
        ("f = lambda: __import__('a')", {"a": F}),
        ("f = lambda x=__import__('a'): x", {"a": U}),
        ("x = __import__('a') if y else __import__('b')", {"a": G, "b": G}),
        ("x = y and __import__('a')", {"a": G}),
        (
            "@__import__('a').deco\ndef f(x=__import__('b')) -> __import__('c'): __import__('d')",
            dict.fromkeys("abc", U) | {"d": F},
        ),
        (
            "@__import__('a').deco\nclass C(__import__('b').B, m=__import__('c')): x = __import__('d')",
            dict.fromkeys("abcd", U),
        ),
        (
            "if __import__('a'): pass\nwhile __import__('b'): pass\nfor x in __import__('c'): pass",
            dict.fromkeys("abc", U),
        ),
        (
            "with __import__('a') as x: pass\nmatch __import__('b'):\n  case 1 if __import__('c'): pass",
            dict.fromkeys("abc", U),
        ),
        ("try: __import__('a')\nexcept ImportError: pass", {"a": G}),
        ("try: pass\nexcept __import__('a').Error: pass", {"a": U}),
    ],
)
def test_contexts(source: str, expected: dict[str, ImportContext]) -> None:
    assert contexts(source) == expected


def test_hundreds_of_branches() -> None:
    source = "if a: pass\n" + "".join(f"elif a == {i}:\n    import m{i}\n" for i in range(800))
    assert len(imports(source)) == 800


@pytest.mark.parametrize(
    "source",
    [
        "here = __file__",
        "here = os.path.dirname(mylib.__file__)",
        "x = globals()['__file__']",
        "x = getattr(mylib, '__path__')",
        "for m in pkgutil.iter_modules(__path__): pass",
        "x = __spec__.origin",
        "x = mylib.__loader__",
        "x = inspect.getfile(f)",
        "from inspect import getsourcefile as g",
        "x = getabsfile(f)",
        "x = find_spec('mylib').submodule_search_locations",
        "def f():\n  class C:\n    x = [y for y in z if f'''{\n__file__}''']",
    ],
)
def test_code_that_looks_at_files(source: str) -> None:
    assert facts(source).looks_at_files


@pytest.mark.parametrize(
    "source",
    [
        "'''Mentions __file__ and inspect.getfile.'''\n# __file__\nx = 'see __path__'",
        "x = importlib.resources.files('mylib')",
        "x = pkgutil.get_data('mylib', 'labels.json')",
        "x = __name__, __package__, my__file__",
    ],
)
def test_code_that_does_not_look_at_files(source: str) -> None:
    assert not facts(source).looks_at_files


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("__import__(name)", True),
        ("exec(code)", True),
        ("x = [eval]", True),
        ("builtins.eval(x)", True),
        ("importlib.__import__(x)", True),
        ("model.eval()", False),
        ("model.exec(x)", False),
        ("evaluate(x); retrieval = 'eval(x)'  # eval(x)", False),
        ("class A:\n  def eval(self): pass", False),
    ],
)
def test_dynamic_code(source: str, expected: bool) -> None:
    assert facts(source).dynamic is expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("y = torch.ops.torchvision.nms(x)", {"torchvision"}),
        ("y = torch.ops\\\n  .image.decode(x); torch.ops.torchvision.nms", {"image", "torchvision"}),
        ("import torch as t\ny = t.ops.mylib.f", {"mylib"}),
        ("from torch import ops\ny = ops.mylib.f", {"mylib"}),
        ("from torch import ops as o\n\ny = o.mylib.f", {"mylib"}),
        ("def f():\n  return o.mylib.f\nimport torch.ops as o", {"mylib"}),
        ("from torch.ops import mylib", {"mylib"}),
        ("y = getattr(torch.ops, 'mylib').f", {"mylib"}),
        ("y = torch.ops.aten.add, torch.ops.prims.x, torch.ops.quantized.y", set()),
        ("torch.ops.load_library(p); torch.ops.loaded_libraries; torch.ops.__file__", set()),
        ("y = mylib.ops.nms.f; ops.nms.f; '''torch.ops.mylib'''  # torch.ops.mylib", set()),
        ("from mylib import ops\nops.nms.f", set()),
    ],
)
def test_operators(source: str, expected: set[str]) -> None:
    assert facts(source).operators == expected


@pytest.mark.parametrize(
    "source",
    [
        "torch.ops.load_library(path)",
        "lib = torch.library.Library('mylib', 'DEF')",
        "import torch.library",
        "from torch import library",
        "from torch.library import custom_op",
        "import torch as t\n@t.library.custom_op('a::b')\ndef f(): pass",
        "_torch_pytree._register_pytree_node(Output, f, g)",
        "from torch.utils._pytree import register_pytree_node as r",
        "torch.serialization.add_safe_globals([A])",
    ],
)
def test_code_that_registers(source: str) -> None:
    assert facts(source).registers


@pytest.mark.parametrize(
    "source",
    ["self.register_buffer('x', y)", "x.library", "@registry.register\ndef f(): pass", "# load_library"],
)
def test_code_that_does_not_register(source: str) -> None:
    assert not facts(source).registers


@pytest.mark.parametrize(
    "source",
    [
        b"\xef\xbb\xbfimport mylib\n",
        "# -*- coding: latin-1 -*-\n# é\nimport mylib\n".encode("latin-1"),
        b"#!/bin/x\n# vim: set fileencoding=utf-7 :\nimp+AG8-rt mylib",
        b"x = 1\r\nimport mylib\r\n",
        b"x = 1\rimport mylib",
        b"x = '''\\\n\r\n\x0c'''\nimport mylib",
        "é = 1; import mylib".encode(),
        b"if 1:\n\timport\\\n\tmylib",
        b"import mylib",
    ],
)
def test_encodings_and_line_ends(source: bytes) -> None:
    found = scan(source, ModuleName("app"), is_package=False, file="app.py")
    assert [edge.imported for edge in found.imports] == ["mylib"]


def test_names_in_their_normal_form() -> None:
    source = "x = __\N{LATIN SMALL LIGATURE FI}le__\nimport my\N{FULLWIDTH LATIN SMALL LETTER L}ib"
    found = facts(source)
    assert found.looks_at_files
    assert [edge.imported for edge in found.imports] == ["mylib"]


def test_the_tree_is_used_and_not_altered() -> None:
    source = b"from . import a\ndef f(): import b"
    tree = parse(source, "f.py")
    arguments = {"module": ModuleName("mylib.nn"), "file": "f.py", "is_package": False}
    first, second = (scan(source, tree=tree, **arguments) for _ in range(2))  # type: ignore[arg-type]
    assert first == second == scan(source, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("source", [b"import (", b"x = 1\0", b"# coding: no-such\n", b"x = '\xff'\nimport a"])
def test_invalid_source_is_a_syntax_error_of_that_file(source: bytes) -> None:
    with pytest.raises(SyntaxError) as caught:
        scan(source, ModuleName("app"), is_package=False, file="app.py")
    assert caught.value.filename == "app.py"


def test_too_deep_source_is_a_syntax_error() -> None:
    with pytest.raises(SyntaxError, match="too deeply"):
        parse(b"x = " + b"+".join([b"a"] * 60_000), "app.py")


def test_probe_leaves_what_the_compiler_refuses() -> None:
    for source in (b"# coding: no-such\n", b"'\xff'"):
        assert probe(source) == source


def test_batch_is_quiet_and_puts_everything_back() -> None:
    assert gc.isenabled()
    filters = list(warnings.filters)
    with batch():
        assert not gc.isenabled()
        parse(rb"x = '\d'", "app.py")  # a warning, and warnings are errors
    assert gc.isenabled()
    assert warnings.filters == filters
    gc.disable()
    try:
        with batch():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("source", "package"),
    [
        ("importlib.import_module(f'shop.nets.{name}')", "shop.nets"),
        ("importlib.import_module('shop.nets.' + name + '.main')", "shop.nets"),
        ("importlib.import_module(f'.{name}', __package__)", "shop"),
        ("importlib.import_module('.nets.' + name, package=__name__)", "shop.nets"),
        ("importlib.import_module(__name__ + '.' + name)", "shop"),
        ("__import__('shop.nets.' + name, fromlist=['x'])", "shop.nets"),
        ("def __getattr__(name): pass", "shop"),
        ("__getattr__, __dir__, __all__ = attach(__name__)", "shop"),
        ("import sys\nsys.modules[__name__] = Lazy()", "shop"),
        ("if TYPE_CHECKING:\n    pass\nelse:\n    sys.modules[__name__] = Lazy()", "shop"),
        ("try:\n    import oak\nexcept ImportError:\n    def __getattr__(name): pass", "shop"),
        ("if x:\n    class Shop:\n        def __getattr__(self, name): pass", None),
        ("def f():\n    sys.modules[__name__] = Lazy()", None),
        ("importlib.import_module(name)", None),
        ("importlib.import_module(f'nets_{name}')", None),
        ("importlib.import_module(f'..{name}', __package__)", None),
        ("class Shop:\n    def __getattr__(self, name): pass", None),
    ],
)
def test_packages_of_which_any_module_may_be_imported(source: str, package: str | None) -> None:
    facts = scan(f"import importlib\n{source}".encode(), ModuleName("shop"), is_package=True, file="shop.py")
    assert [edge.imported for edge in facts.walks] == ([] if package is None else [package])
