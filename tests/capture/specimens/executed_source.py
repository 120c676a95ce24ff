"""Source that was executed from a string, with its text in linecache, as IPython and doctest do."""

import linecache

import torch

from specimen import pack

CELLS = [
    "import torch\nfrom torch import nn\nSCALE = 2\n",
    "def helper(x):\n    return x * SCALE\n",
    "class Net(nn.Module):\n    offset = SCALE\n    def forward(self, x):\n        return helper(x) + self.offset\n",
    "def helper(x):\n    return x * SCALE * 3  # run again\n",
]
namespace = {"__name__": "notebook"}
for number, cell in enumerate(CELLS):
    file = f"<ipython-input-{number}-0f3a>"
    linecache.cache[file] = (len(cell), None, cell.splitlines(keepends=True), file)
    exec(compile(cell, file, "exec"), namespace)

pack(
    namespace["Net"](),
    (torch.randn(2),),
    check="""
assert module.__name__.endswith("captured.notebook")
import inspect
assert "run again" in inspect.getsource(module.helper)
""",
)
