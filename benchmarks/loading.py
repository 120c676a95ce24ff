"""Whole-process times of loading and running a model: from a case, and without one."""

from __future__ import annotations

import textwrap
from pathlib import Path

import torch

import wardian
from benchmarks.timing import Row, compare

_PLAIN_RESNET18 = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, inside, outside, stride):
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outside)
        self.second = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outside)
        self.short = nn.Sequential()
        if stride != 1:
            shrink = nn.Conv2d(inside, outside, 1, stride, bias=False)
            self.short = nn.Sequential(shrink, nn.BatchNorm2d(outside))

    def forward(self, x):
        y = torch.relu(self.norm1(self.first(x)))
        return torch.relu(self.norm2(self.second(y)) + self.short(x))

def layer(inside, outside, stride):
    return nn.Sequential(Block(inside, outside, stride), Block(outside, outside, 1))

model = nn.Sequential(
    nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
    layer(64, 64, 1), layer(64, 128, 2), layer(128, 256, 2), layer(256, 512, 2),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000),
).eval()
with torch.no_grad():
    model(torch.zeros(1, 3, 64, 64))
"""

_NATIVE_TIMM = """
import torch
import timm

model = timm.create_model("resnet50").eval()
model.load_state_dict(torch.load({weights!r}))
with torch.no_grad():
    model(torch.zeros(1, 3, 64, 64))
"""

_NATIVE_BERT = """
import torch
from transformers import BertConfig, BertModel

model = BertModel(BertConfig(num_hidden_layers=2)).eval()
model.load_state_dict(torch.load({weights!r}))
with torch.no_grad():
    model(torch.ones(1, 8, dtype=torch.long))
"""

_FROM_CASE = """
import torch
import wardian

model = wardian.load({case!r})
with torch.no_grad():
    model({argument})
"""


def measure(folder: Path, runs: int) -> list[Row]:
    """Pack the models into *folder* and time loading them."""
    import timm
    from torchvision.models import resnet18
    from transformers import BertConfig, BertModel

    image, tokens = torch.zeros(1, 3, 64, 64), torch.ones(1, 8, dtype=torch.long)
    timm_model = timm.create_model("resnet50").eval()
    bert = BertModel(BertConfig(num_hidden_layers=2)).eval()
    rows = [
        (
            "resnet18 from a case, whole process",
            "plain module in the script",
            resnet18().eval(),
            (image,),
            _PLAIN_RESNET18,
            1.15,
        ),
        (
            "timm resnet50 from a case, whole process",
            "native program",
            timm_model,
            (image,),
            _NATIVE_TIMM,
            1.0,
        ),
        ("BERT, 2 layers, from a case, whole process", "native program", bert, (tokens,), _NATIVE_BERT, 1.0),
    ]
    results: list[Row] = []
    for number, (what, peer, model, inputs, program, target) in enumerate(rows):
        case, weights = str(folder / f"model{number}.case"), str(folder / f"model{number}.pt")
        wardian.pack(model, case, inputs=inputs)
        torch.save(model.state_dict(), weights)
        argument = "torch.zeros(1, 3, 64, 64)" if inputs[0] is image else "torch.ones(1, 8, dtype=torch.long)"
        ours = textwrap.dedent(_FROM_CASE).format(case=case, argument=argument)
        theirs = program.replace("{weights!r}", repr(weights))
        results.append(compare(what, peer, ["-c", ours], ["-c", theirs], target=target, runs=runs))
    return results
