from __future__ import annotations

import ast
import hashlib
import importlib
import marshal
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest

import wardian
from tests.private_root import ROOT, importable, run_both, tree
from wardian.domain.names import SHIMMED, ModuleName
from wardian.source.parsing import parse
from wardian.source.rewriting import compile_module, dump_code

MYLIB = """
    --- mylib/__init__.py
    from mylib import ops
    VERSION = "1.2"
    --- mylib/ops.py
    def relu(x):
        return max(x, 0)
    --- mylib/nn/__init__.py
    --- mylib/nn/blocks/__init__.py
    import mylib.nn.blocks.residual as residual
    --- mylib/nn/blocks/residual.py
    class Block: pass
    --- standalone.py
    ANSWER = 42
"""


def compiled(source: str, module: str = "mylib.models.resnet", *, is_package: bool = False) -> CodeType:
    return compile_module(
        textwrap.dedent(source).encode(),
        ModuleName(module),
        is_package=is_package,
        filename="mylib/models/resnet.py",
        roots=frozenset({"mylib", "standalone"}) | SHIMMED,
    )


def all_code(code: CodeType) -> list[CodeType]:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return [code, *(deep for constant in inner for deep in all_code(constant))]


@pytest.mark.parametrize(
    ("module", "is_package"),
    [
        ("app", False),
        ("app", True),
        ("mylib.app", False),
        ("mylib.app", True),
        ("mylib.nn.blocks.app", False),
        ("mylib.nn.blocks.app", True),
    ],
)
@pytest.mark.parametrize(
    "source",
    [
        "import mylib",
        "import mylib as lib",
        "import mylib.ops",
        "import mylib.nn.blocks.residual",
        "import mylib.nn.blocks.residual as residual",
        "import mylib.ops as ops, os, standalone, mylib.nn.blocks as b; import json as j",
        "import os, \\\n mylib.ops",
        "from mylib import ops, VERSION as v",
        "from mylib.nn.blocks.residual import Block",
        "from mylib.nn.blocks import (\n residual as r, # one\n)",
        "from mylib.ops import *",
        "if True: import mylib.ops",
        "class Layer:\n    import mylib.nn.blocks as blocks\n    from mylib import ops\n    import mylib.ops",
        "def use():\n    import mylib.nn\n    return locals()\nused = use()",
        "def use():\n    global mylib, ops\n    import mylib.nn.blocks\n    import mylib.ops as ops\nuse()",
        (
            "def f():\n  mylib = o = 1\n  def g():\n    nonlocal mylib, o\n"
            "    import mylib.nn, mylib.ops as o\n  g()\n  return mylib, o\nused = f()"
        ),
        (
            "async def use():\n    import mylib.ops as o\n    return o\n"
            "try: use().send(None)\nexcept StopIteration as stop: used = stop.value"
        ),
        "for i in range(2):\n    import mylib.nn\nelse:\n    import standalone",
        "while True:\n    import mylib.nn\n    break",
        "try: import nowhere\nexcept ImportError: import mylib.nn as nowhere\nfinally: import standalone",
        "try:\n    import mylib.nowhere\nexcept ModuleNotFoundError as e:\n    name = e.name",
        "try:\n    from mylib import nowhere\nexcept ImportError as e:\n    kind = type(e).__name__",
        "try:\n    import mylib.ops.deeper\nexcept ModuleNotFoundError as e:\n    name = e.name",
        "try:\n    pass\nexcept* ValueError:\n    pass\nelse:\n    import mylib.nn",
        "match 3:\n    case 1: import os\n    case 3:\n        import mylib.nn.blocks",
        "with open(__import__('os').devnull) as f:\n    import mylib.nn as nn\ndel f",
        '"""Docs."""\nfrom __future__ import annotations\nimport mylib\ndef f(x: undefined): pass',
        "import mylib.nn as mylib",
        "mylib = 1\nimport mylib.ops as o\nkept = mylib",
        "if 0: pass\nelif 0: import standalone\nelse: import mylib.nn as nn",
        "pick = lambda: __import__('mylib')",
        "from os import path; from mylib import ops",
    ],
)
def test_bindings_are_those_of_the_plain_import(source: str, module: str, is_package: bool) -> None:
    files = tree(MYLIB)
    file = module.replace(".", "/") + ("/__init__.py" if is_package else ".py")
    plain, private = run_both({**files, file: source}, module)
    assert private == plain


def test_modules_come_from_the_private_root_and_run_once() -> None:
    files = tree(
        MYLIB
        + """
    --- app.py
    import mylib.nn.blocks.residual as a
    from mylib.nn.blocks import residual as b
    import mylib.nn.blocks.residual
    import mylib.ops, standalone, json
    """
    )
    with importable(files, ROOT) as load:
        app = load("app")
        assert app.a is app.b is app.mylib.nn.blocks.residual
        assert app.a.__name__ == f"{ROOT}.mylib.nn.blocks.residual"
        assert app.standalone.__name__ == f"{ROOT}.standalone"
        assert app.json is sys.modules["json"]
        assert "mylib" not in sys.modules


@pytest.mark.parametrize(
    ("module", "is_package", "statement", "climbs_out"),
    [
        ("app", False, "from . import mylib", True),
        ("app", True, "from . import sub", False),
        ("app", True, "from .. import mylib", True),
        ("mylib.ops", False, "from . import nn", False),
        ("mylib.ops", False, "from .. import standalone", True),
        ("mylib.ops", False, "class C:\n    from ..\\\n. import live", True),
        ("mylib.nn.blocks", True, "from ... import ops", False),
        ("mylib.nn.blocks", True, "from .... import standalone", True),
        ("mylib.ops", False, "text = 'from ... import x'", False),
    ],
)
def test_dots_do_not_lead_out_of_the_top_level_package(
    module: str, is_package: bool, statement: str, climbs_out: bool
) -> None:
    code = compiled(f"{statement}\n", module, is_package=is_package)
    assert any(10_000 in each.co_consts for each in all_code(code)) is climbs_out
    if climbs_out:
        package = f"{ROOT}.{module}" if is_package else f"{ROOT}.{module}".rpartition(".")[0]
        with pytest.raises(ImportError, match="beyond top-level package"):
            exec(code, {"__package__": package, "__name__": f"{ROOT}.{module}"})


def test_shimmed_modules_are_those_of_the_root() -> None:
    files = {"app.py": "import importlib, pkgutil as p\nfrom importlib import shim_of"}
    with importable(files, ROOT) as load:
        app = load("app")
        assert (app.importlib.shim_of, app.p.shim_of, app.shim_of) == ("importlib", "pkgutil", "importlib")
    assert importlib is sys.modules["importlib"]


def test_modules_that_import_each_other() -> None:
    # By the time residual is imported, neither mylib.nn nor mylib.nn.blocks is an attribute of its parent.
    files = tree(
        """
    --- mylib/__init__.py
    import mylib.nn
    --- mylib/nn/__init__.py
    import mylib.nn.blocks as blocks
    --- mylib/nn/blocks.py
    import mylib.nn.residual as residual
    import mylib.nn.residual
    from mylib.nn import residual as again
    --- mylib/nn/residual.py
    import mylib
    import mylib.nn.blocks as blocks
    import mylib.nn as nn
    from mylib.nn import blocks as again
    seen = hasattr(nn, "blocks")
    """
    )
    plain, private = run_both(files, "mylib.nn.residual")
    assert plain == private
    assert plain["seen"] == "False"


def test_an_attribute_may_hide_a_submodule() -> None:
    files = tree(
        """
    --- mylib/__init__.py
    from mylib.relu import relu
    --- mylib/relu.py
    def relu(): pass
    --- app.py
    import mylib.relu
    import mylib.relu as hidden
    from mylib import relu as also
    from mylib.relu import relu
    """
    )
    plain, private = run_both(files, "app")
    assert plain == private
    assert plain["hidden"] == "function mylib.relu.relu"


def test_a_module_may_replace_itself_by_any_object() -> None:
    files = tree(
        """
    --- mylib/__init__.py
    --- mylib/config.py
    import sys
    class Config:
        path = "."
        def __repr__(self): return "Config()"
    sys.modules[__name__] = Config()
    --- app.py
    import mylib.config
    import mylib.config as config
    from mylib.config import path
    bound = mylib.config
    """
    )
    plain, private = run_both(files, "app")
    assert plain == private
    assert private["bound"] == "Config()"


def test_lines_and_columns_stay() -> None:
    source = """
        import mylib.nn.blocks.residual as r; pick = lambda: (
            r)
        from mylib.nn import \\
            blocks
        def use():
            import mylib.ops, \\
                standalone
            raise ValueError
    """
    new, old = compiled(source), compile(textwrap.dedent(source), "f", "exec", dont_inherit=True)
    for rewritten, plain in zip(all_code(new), all_code(old), strict=True):
        assert rewritten.co_name == plain.co_name
        assert rewritten.co_firstlineno == plain.co_firstlineno
        assert {line for *_, line in rewritten.co_lines()} == {line for *_, line in plain.co_lines()}
    assert list(all_code(new)[1].co_positions()) == list(all_code(old)[1].co_positions())


def test_code_names_its_file() -> None:
    for source in ("import mylib", "import os"):
        assert {code.co_filename for code in all_code(compiled(source))} == {"mylib/models/resnet.py"}


def test_docstrings_and_futures_stay_first() -> None:
    code = compiled('"""Docs."""\nfrom __future__ import annotations\nimport mylib\n')
    assert code.co_consts[0] == "Docs."
    assert code.co_flags & 0x1000000


def test_flags_of_the_calling_module_are_not_inherited() -> None:
    # This module has `from __future__ import annotations`.
    for source in ("import mylib", "import os"):
        assert not compiled(source).co_flags & 0x1000000


def test_without_imports_of_packed_modules_it_is_the_plain_code() -> None:
    source = "import os\nfrom .. import ops\nfrom mylibrary import x\nimport os.mylib\n'import mylib'\n"
    plain = compile(source, "mylib/models/resnet.py", "exec", dont_inherit=True)
    assert compiled(source) == plain
    assert dump_code(compiled(source)) == dump_code(plain)


def test_the_tree_is_not_altered() -> None:
    source = b"if x:\n    def f():\n        import mylib.ops, os\nelse:\n    from mylib import ops\n"
    syntax = parse(source, "f.py")
    before = ast.dump(syntax, include_attributes=True)
    roots = frozenset({"mylib"})
    one = compile_module(
        source, ModuleName("app"), is_package=False, filename="f.py", roots=roots, tree=lambda: syntax
    )
    assert ast.dump(syntax, include_attributes=True) == before
    assert one == compile_module(source, ModuleName("app"), is_package=False, filename="f.py", roots=roots)


@pytest.mark.parametrize(
    "source",
    [
        "import mylib\n".encode("utf-8-sig"),
        "# coding: latin-1\nname = 'é'\nimport mylib\n".encode("latin-1"),
        b"# coding: utf-7\nimp+AG8-rt mylib\n",
        b"x = 1\r\nimport mylib\r\n",
        b"x = 1\rimport mylib\r",
        b"from\\\n mylib import VERSION as mylib\n",
        b"import\\\n\\\n  mylib\n",
        b"import\tos,mylib\n",
        b"from\x0cmylib import VERSION as mylib\n",
        "import ｍｙｌｉｂ\n".encode(),  # noqa: RUF001 - Python reads it as mylib
    ],
)
def test_no_spelling_escapes(source: bytes) -> None:
    with importable(tree(MYLIB), ROOT):
        code = compile_module(
            source, ModuleName("app"), is_package=False, filename="app.py", roots=frozenset({"mylib"})
        )
        namespace: dict[str, object] = {"__name__": f"{ROOT}.app", "__package__": ROOT}
        exec(code, namespace)
        found = namespace["mylib"]
        assert found == "1.2" or (isinstance(found, ModuleType) and found.__name__ == f"{ROOT}.mylib")


@pytest.mark.parametrize(
    "source", ["import mylib\nx = (", "import mylib\nreturn 1", "x = 1\0\nimport mylib", "\0"]
)
def test_invalid_source_is_a_syntax_error_of_that_file(source: str) -> None:
    with pytest.raises(SyntaxError) as caught:
        compiled(source)
    assert caught.value.filename == "mylib/models/resnet.py"


def test_hundreds_of_branches_in_a_deep_stack() -> None:
    branches = "".join(f"elif kind == {i}:\n    import mylib.ops\n" for i in range(400))
    source = f"if 0:\n    pass\n{branches}"

    def deep(levels: int) -> CodeType:
        return deep(levels - 1) if levels else compiled(source)

    before = threading.active_count()
    assert deep(600) == compiled(source)
    assert threading.active_count() == before


def test_dumped_code_does_the_same() -> None:
    code = compiled(
        "import os\nclass A:\n    def f(self): return (1.5, 2j, b'x', 'x y', {1, 2}, ..., 10**20)"
    )
    assert marshal.loads(dump_code(code)) == code


CHILD = """
import hashlib, marshal, sys
held = []
if sys.argv[1] == "busy":
    held = [sys.intern(chr(i)) for i in range(256)]
    import json, dataclasses, email.message
from wardian.domain.names import ModuleName
from wardian.source.rewriting import compile_module, dump_code
source = open(sys.argv[2], "rb").read()
code = compile_module(source, ModuleName("mylib.app"), is_package=False, filename="mylib/app.py",
                      roots=frozenset({"mylib", "os", "json", "torch"}))
if sys.argv[1] == "busy":
    held += [code.co_code, code.co_consts, code.co_names, code.co_varnames]
    held += [constant.co_code for constant in code.co_consts if hasattr(constant, "co_code")]
print(hashlib.sha256(dump_code(code)).hexdigest())
"""


@pytest.mark.skipif(
    sys.version_info[:3] == (3, 13, 0), reason="__static_attributes__ has no order: python/cpython#124442"
)
def test_equal_code_gives_equal_bytes_in_every_process(tmp_path: Path) -> None:
    source = tmp_path / "app.py"
    source.write_text(
        textwrap.dedent(
            """
            import mylib.ops, json as j
            from mylib import a, b
            class Layer:
                def __init__(self):
                    self.weight = self.bias = self.scale = self.groups = None
                def forward(self, x):
                    return x in {"{", "}", "relu", "gelu", 1, 2.5, None}
            def outer(q, w, e, r):
                def inner(): return q, w, e, r, "{", "", (), "a b", b"c"
                return inner
            """
        )
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(wardian.__file__).parents[1])}
    digests = set()
    for seed, state in (("0", "idle"), ("1", "busy"), ("2", "idle")):
        environment["PYTHONHASHSEED"] = seed
        command = [sys.executable, "-c", CHILD, state, str(source)]
        digests.add(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    assert len(digests) == 1


def test_dumping_does_not_depend_on_who_else_holds_the_parts() -> None:
    source = "x = {'a b', 1.5, 'c d'}\ny = '{', 1234.5, b'bytes', (1, 'e f')"
    first = hashlib.sha256(dump_code(compile(source, "f", "exec"))).digest()
    code = compile(source, "f", "exec")
    held = [code.co_code, *code.co_consts, code.co_names, sys.intern("{")]
    assert hashlib.sha256(dump_code(code)).digest() == first
    assert held


def test_torch_compile_traces_the_packed_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    packed = tree(
        """
    --- mylib/__init__.py
    --- mylib/ops.py
    def shift(x): return x + 1
    --- mylib/nn/__init__.py
    --- mylib/nn/deep.py
    def shift(x): return x + 10
    --- app.py
    import torch
    class Model(torch.nn.Module):
        def forward(self, x):
            import mylib.ops
            import mylib.nn.deep as deep
            import mylib as lib
            from mylib.ops import shift
            return mylib.ops.shift(x) + deep.shift(x) + lib.ops.shift(x) + shift(x)
    """
    )
    for path, source in packed.items():
        file = tmp_path / path
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(source.replace("+ 1", "- 1000"))
    monkeypatch.syspath_prepend(str(tmp_path))
    with importable(packed, ROOT) as load:
        model = load("app").Model()
        other = importlib.import_module("mylib.ops")
        try:
            assert other.shift(0) == -1000
            x = torch.zeros(1)
            assert model(x).item() == 13
            fast: Any = torch.compile(model, backend="eager", fullgraph=True)
            assert fast(x).item() == 13
        finally:
            torch.compiler.reset()
            for name in [name for name in sys.modules if name.partition(".")[0] == "mylib"]:
                del sys.modules[name]
