"""Make the cases of a release, once: `python tests/compat/make_cases.py`, with the released wheel installed.

They go to tests/compat/cases, under names that begin with the version, and are never made anew: test_cases.py
loads all of them with every later version. What they compute is small, and known without running them.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch

import wardian

FOLDER = Path(__file__).parent / "cases"

SHOP = {
    "__init__.py": "",
    "rates.txt": "3",
    "net.py": """
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass
class Answer:
    value: torch.Tensor
    label: str


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(2, 2)
        self.head = torch.nn.Linear(2, 2)
        self.head.weight = self.inner.weight
        self.register_buffer("steps", torch.tensor([7]))
        self.register_buffer("rate", torch.tensor(0.5, dtype=torch.bfloat16), persistent=False)
        with torch.no_grad():
            self.inner.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
            self.inner.bias.zero_()
            self.head.bias.fill_(1)

    def forward(self, x):
        by = float(Path(__file__).with_name("rates.txt").read_text())
        return Answer(self.head(self.inner(x)) * by, "shop")


class Tokens(dict):
    def __call__(self, text):
        return torch.tensor([self[word] for word in text.split()])
""",
}


def main() -> None:
    """Write the cases of this version of Wardian."""
    with tempfile.TemporaryDirectory() as folder:
        shop = Path(folder) / "shop"
        shop.mkdir()
        for name, text in SHOP.items():
            (shop / name).write_text(text)
        sys.path.insert(0, folder)
        from shop.net import Net, Tokens  # type: ignore[import-not-found]  # made above

        stem = f"{FOLDER}/wardian-{wardian.__version__}"
        net, x = Net().eval(), torch.ones(1, 2)
        wardian.pack(net, f"{stem}-net.case", inputs=(x,), metadata={"note": "golden"})
        entries = {"net": net, "tokens": Tokens(a=1, b=2)}
        wardian.pack(path=f"{stem}-entries.case", entries=entries, inputs={"net": (x,), "tokens": ("a b",)})
        tensors = {
            "sparse": torch.tensor([[1.0, 0.0], [0.0, 1.0]]).to_sparse(),
            "view": torch.arange(6).reshape(2, 3).t(),
            "complex": torch.tensor([1 + 2j]),
            "bool": torch.tensor([True, False]),
            "parameter": torch.nn.Parameter(torch.ones(2)),
            "float8": torch.tensor([1.5], dtype=torch.float8_e4m3fn),
        }
        wardian.pack(tensors, f"{stem}-tensors.case")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    main()
