"""Functions that importable modules made inside functions: they keep the globals of their module."""

import functools
import importlib
import sys
from pathlib import Path

import torch
from torch import nn

from specimen import pack

folder = Path(__file__).parent / "lib_of_function"
(folder / "garden").mkdir(parents=True, exist_ok=True)
(folder / "garden" / "__init__.py").write_text(
    "from .hooks import make_hook\nfrom .Gate import Gate\nLEVEL = 3\n"
)
(folder / "garden" / "hooks.py").write_text("""
import math
FACTOR = 2
square = lambda x: x * x

def helper(x):
    return x * FACTOR

def make_hook(shift: int):
    def hook(module, args, output, *, extra: float = math.pi):
        from . import LEVEL
        return helper(output) + shift + extra + LEVEL
    return hook

class Acts:
    cube = lambda x: x * x * x
    table = {"neg": lambda x: -x}

def make_class():
    class Local:
        def __call__(self, x):
            return helper(x)
    return Local
""")
# In the package its class takes the place of the module.
(folder / "garden" / "Gate.py").write_text("""
HALF = 0.5

class Gate:
    def __init__(self):
        self.act = lambda x: x * HALF

    def __call__(self, x):
        return self.act(x)
""")
sys.path.insert(0, str(folder))
garden = importlib.import_module("garden")
hooks = sys.modules["garden.hooks"]
gate_module = importlib.import_module("garden.Gate")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.linear.register_forward_hook(garden.make_hook(5))
        self.square = hooks.square
        self.cube = hooks.Acts.cube
        self.neg = hooks.Acts.table["neg"]
        self.local = hooks.make_class()()
        self.vmapped = torch.vmap(lambda x: x + 1)
        self.gate = garden.Gate()

    def forward(self, x):
        x = self.gate(self.vmapped(x)) * gate_module.HALF
        return self.local(self.neg(self.cube(self.square(self.linear(x))))) + x


pack(
    Net(),
    (torch.randn(2, 2),),
    check="""
import sys
hook = next(iter(model.linear._forward_hooks.values()))
home = sys.modules[hook.__module__]
assert hook.__globals__ is vars(home) and home.__name__.endswith(".garden.hooks")
before = hook(None, None, 1.0)
home.FACTOR = 10
assert hook(None, None, 1.0) != before
""",
)
