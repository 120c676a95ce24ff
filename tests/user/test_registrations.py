"""What packed code has registered in the process does not keep its modules when its case is closed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import run_python, write_case

_KINDS = {
    "atexit": "import atexit; atexit.register(own); atexit.register(Own().method, Own())",
    "at_fork": "import os; os.register_at_fork(before=own)",
    "audit": "import sys; sys.addaudithook(lambda *event: None)",
    "codecs": "import codecs; codecs.register(lambda name: None)",
    "collector": "import gc; gc.callbacks.append(lambda phase, info: None)",
    "collate": "from torch.utils.data._utils import collate; collate.default_collate_fn_map[Own] = own",
    "constraint": """
        from torch.distributions import biject_to, constraints
        class Reals(constraints.Constraint): ...
        biject_to.register(Reals, lambda constraint: own)
    """,
    "copyreg": "import copyreg; copyreg.pickle(Own, own)",
    "custom_op": """
        @torch.library.custom_op("heath::custom", mutates_args=())
        def custom(x: torch.Tensor) -> torch.Tensor:
            return x + 1
        custom.register_fake(lambda x: torch.empty_like(x))
        custom.register_autograd(lambda context, gradient: gradient)
    """,
    "excepthook": """
        import sys
        before = sys.excepthook
        def hook(*raised): before(*raised)
        sys.excepthook = hook
    """,
    "finder": """
        import sys
        class Finder:
            @staticmethod
            def find_spec(name, path=None, target=None): ...
        sys.meta_path.append(Finder)
    """,
    "formatter": """
        import logging
        class Formatter(logging.Formatter):
            def format(self, record): return own()
        handler = logging.StreamHandler()
        handler.setFormatter(Formatter())
        logging.getLogger("moor").addHandler(handler)
    """,
    "forks": "from multiprocessing import reduction; reduction.register(Own, own)",
    "generic": "import pkgutil; pkgutil.iter_importer_modules.register(Own, own)",
    "handler": """
        import logging
        class Handler(logging.Handler):
            def emit(self, record): ...
        logging.getLogger().addHandler(Handler())
        logging.getLogger("moor").addFilter(lambda record: True)
    """,
    "logger": """
        import logging
        class Handler(logging.Handler):
            def emit(self, record): ...
        logging.getLogger(__name__).addHandler(Handler())
        assert len(logging.getLogger(__name__).handlers) == 1
    """,
    "library": """
        library = torch.library.Library("heath", "FRAGMENT")
        library.define("twice(Tensor x) -> Tensor")
        library.impl("twice", lambda x: 2 * x, "CPU")
        torch.library.register_fake("heath::twice", lambda x: torch.empty_like(x), lib=library)
        assert torch.ops.heath.twice(torch.ones(1)).item() == 2
    """,
    "library_of_torch": """
        torch.library.define("heath::thrice", "(Tensor x) -> Tensor")
        torch.library.impl("heath::thrice", "cpu", lambda x: 3 * x)
        torch.library.register_fake("heath::thrice", lambda x: torch.empty_like(x))
        torch.library.register_autograd("heath::thrice", lambda context, gradient: 3 * gradient)
        assert torch.ops.heath.thrice(torch.ones(1)).item() == 3
    """,
    "module_hook": """
        from torch.nn.modules.module import register_module_forward_hook
        register_module_forward_hook(lambda module, inputs, output: None)
    """,
    "onnx": """
        import torch.onnx
        torch.onnx.register_custom_op_symbolic("heath::twice", lambda graph, x: x, 17)
    """,
    "optimizer_hook": """
        from torch.optim.optimizer import register_optimizer_step_post_hook
        register_optimizer_step_post_hook(lambda *arguments: None)
    """,
    "overload": """
        class Layer(torch.nn.Module):
            @torch.jit._overload_method
            def forward(self, x: int) -> int: ...
            def forward(self, x): return x
    """,
    "record": """
        import logging
        before = logging.getLogRecordFactory()
        logging.setLogRecordFactory(lambda *arguments, **more: before(*arguments, **more))
    """,
    "safe": "torch.serialization.add_safe_globals([Own])",
    "scripted": """
        import warnings
        class Layer(torch.nn.Module):
            def forward(self, x): return x
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.script(Layer())
    """,
    "signal": "import signal; signal.signal(signal.SIGTERM, lambda *got: None)",
    "typing": "import typing; Either = typing.Union[Own, str]",
    "warning": """
        import warnings
        class Warned(UserWarning):
            def __str__(self): return own()
        warnings.simplefilter("ignore", Warned)
        before = warnings.showwarning
        warnings.showwarning = lambda *warned, **more: before(*warned, **more)
    """,
    "wrapped": """
        import torch.fx, torch.fx.node
        @torch.fx.node.has_side_effect
        def noted(x): return x
        torch.fx.wrap("own")
    """,
}

_OPEN_ALL = """
import gc, importlib, logging, pathlib, pkgutil, signal, sys, warnings, weakref
import torch.distributions, torch.fx, torch.onnx, wardian

def places():
    return (
        sys.excepthook, warnings.showwarning, logging.getLogRecordFactory(), signal.getsignal(signal.SIGTERM),
        list(sys.meta_path), list(logging.root.handlers), list(gc.callbacks), list(warnings.filters),
        sorted(name for name in logging.root.manager.loggerDict if name.endswith("registers")),
    )

importlib.import_module("wardian.live")  # puts Wardian's own finder in place
before = places()
for path in sorted(pathlib.Path.cwd().glob("*.case")):
    kept = []
    for _ in range(2):
        with wardian.open(path) as case:
            kept.append(weakref.ref(case.import_module("heath.registers").Own))
    gc.collect()
    if any(reference() is not None for reference in kept):
        print("kept:", path.stem)
    now = places()
    for one, other in zip(now, before):
        if one != other:
            print("changed:", path.stem, one)
"""


def test_nothing_keeps_the_modules_of_a_closed_case(tmp_path: Path) -> None:
    head = "import torch\nclass Own:\n    def method(self, other): ...\ndef own(*arguments): ...\n"
    for name, code in _KINDS.items():
        lines = code.strip("\n").split("\n")
        indent = len(lines[0]) - len(lines[0].lstrip())
        body = "\n".join(line[indent:] for line in lines)
        write_case(
            tmp_path / f"{name}.case", {"heath/__init__.py": "", "heath/registers.py": head + body + "\n"}
        )
    assert run_python(_OPEN_ALL, folder=tmp_path) == ""


_OPERATORS = """
--- fen/__init__.py
--- fen/ops.py
import torch

library = torch.library.Library("fen", "FRAGMENT")
library.define("twice(Tensor x) -> Tensor")
library.impl("twice", lambda x: 2 * x, "CPU")
torch.library.register_fake("fen::twice", lambda x: torch.empty_like(x), lib=library)

@torch.library.custom_op("fen::thrice", mutates_args=())
def thrice(x: torch.Tensor) -> torch.Tensor:
    return 3 * x

thrice.register_fake(lambda x: torch.empty_like(x))

def six(x):
    return thrice(torch.ops.fen.twice(x))
"""

_USE_OPERATORS = """
import gc, weakref, torch, wardian

x = torch.ones(1)

def opened(name):
    with wardian.open(f"{name}.case") as case:
        return case.import_module("fen.ops")

def cleared():
    wardian.open("one.case").close()
    gc.collect()
    assert all(hasattr(torch.ops.fen, name) for name in torch.ops.fen)
    return not hasattr(torch.ops.fen, "twice") and not hasattr(torch.ops.fen, "thrice")

def a_function():
    six = opened("one").six
    gc.collect()
    assert six(x).item() == 6

def operators():
    with wardian.open("one.case") as case:
        case.import_module("fen.ops")
        twice, thrice = torch.ops.fen.twice.default, torch.ops.fen.thrice
    gc.collect()
    assert twice(x).item() == 2 and thrice(x).item() == 3
    assert torch.ops.fen.thrice(x).item() == 3

def a_graph():
    class Six(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.six = opened("one").six
        def forward(self, x):
            return self.six(x)
    graph = torch.export.export(Six(), (x,)).module()
    cleared()
    assert graph(x).item() == 6

def the_first_of_two_copies():
    with wardian.open("one.case") as case:
        first = case.import_module("fen.ops")
        opened("two")
        gc.collect()
        assert first.six(x).item() == 6

def the_second_of_two_copies():
    opened("one")
    with wardian.open("two.case") as case:
        second = case.import_module("fen.ops")
        wardian.open("one.case").close()
        gc.collect()
        assert second.six(x).item() == 6

def one_among_many():
    with wardian.open("one.case") as case:
        first = case.import_module("fen.ops")
        kept = []
        for _ in range(8):
            kept.append(weakref.ref(opened("two").six))
            gc.collect()
            assert first.six(x).item() == 6
        assert sum(reference() is not None for reference in kept) < 3

assert cleared()
copies = the_first_of_two_copies, the_second_of_two_copies, one_among_many
for use in (a_function, operators, *copies, a_graph):
    use()
    print(use.__name__, cleared())
"""


def test_operators_are_there_as_long_as_anybody_can_use_them(tmp_path: Path) -> None:
    write_case(tmp_path / "one.case", _OPERATORS)
    write_case(tmp_path / "two.case", _OPERATORS + "# of another case\n")
    lines = run_python(_USE_OPERATORS, folder=tmp_path).splitlines()
    assert [line for line in lines[:-1] if not line.endswith(" True")] == []
    assert lines[-1].startswith("a_graph")  # PyTorch keeps what it has traced


_AT_EXIT = """
--- heath/__init__.py
--- heath/closing.py
import atexit

def say(*words, end="."):
    print(*words, end=end)

def never():
    print("never")

atexit.register(say, "first")
atexit.register(never)
atexit.unregister(never)

@atexit.register
def last():
    say("last", end=", ")
"""

_CLOSE = """
import atexit, gc, sys, threading, wardian
original = atexit.register
atexit.register(print, "end")

def use():
    with wardian.open("heath.case") as case:
        return case.import_module("heath.closing").say

if sys.argv[1] == "dropped":
    use()
    gc.collect()
else:
    say = use()
    gc.collect()
assert atexit.register is original
print(end="|")
"""


def test_functions_of_atexit_are_called_once_before_their_module_is_gone(tmp_path: Path) -> None:
    write_case(tmp_path / "heath.case", _AT_EXIT)
    assert sorted(run_python(_CLOSE, "dropped", folder=tmp_path).split("|")[0]) == sorted("last, first.")
    assert run_python(_CLOSE, "kept", folder=tmp_path) == "|last, first.end\n"


_PACK_RESNET = """
import torch, wardian
from torchvision.models import resnet18
wardian.pack(resnet18(weights=None).eval(), "resnet.case", inputs=(torch.ones(1, 3, 32, 32),), prove=False)
"""

_REPEAT_RESNET = """
import gc, sys, weakref, torch, wardian
kept = []
for _ in range(5):
    with wardian.open("resnet.case") as case:
        model = case.load()
        model(torch.ones(1, 3, 32, 32))
        kept.append(weakref.ref(type(model)))
        del model
    if len(kept) == 2:
        modules = set(sys.modules)
gc.collect()
assert set(sys.modules) == modules
print([reference() for reference in kept])
"""


@pytest.mark.slow
def test_nothing_keeps_the_modules_of_torchvision(tmp_path: Path) -> None:
    pytest.importorskip("torchvision")
    run_python(_PACK_RESNET, folder=tmp_path)
    assert run_python(_REPEAT_RESNET, folder=tmp_path).splitlines()[-1] == str([None] * 5)


_HANDS_OUT = """
--- heath/__init__.py
--- heath/hooks.py
import sys

def hook(*raised):
    print("heath", end=" ")

sys.excepthook = hook
"""

_HOOKS = """
import sys, wardian
sys.excepthook = mine = lambda *raised: None
with wardian.open("one.case") as one:
    one.import_module("heath.hooks")
    with wardian.open("two.case") as two:
        two.import_module("heath.hooks")
    assert sys.excepthook is one.import_module("heath.hooks").hook
assert sys.excepthook is mine
with wardian.open("one.case") as one:
    hook = one.import_module("heath.hooks").hook
    sys.excepthook = other = lambda *raised: None
assert sys.excepthook is other  # what somebody else has put there stays
"""


def test_what_was_in_a_place_for_one_function_comes_back(tmp_path: Path) -> None:
    write_case(tmp_path / "one.case", _HANDS_OUT)
    write_case(tmp_path / "two.case", _HANDS_OUT + "# of another case\n")
    run_python(_HOOKS, folder=tmp_path)
