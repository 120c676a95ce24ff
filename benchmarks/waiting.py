"""How long one waits: to pack with proof, to pack again, to load; and how much code comes along."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.timing import Comparison, Measured, Row

_MB = 1_000_000


@dataclass(frozen=True)
class _Subject:
    name: str
    build: str
    """Statements that import the library and set `model` and `inputs`."""
    goals: Mapping[str, float]
    """Goals in absolute figures: seconds of `first` and `again`, MB of `code`."""


_SUBJECTS = (
    _Subject(
        "nn.Linear",
        "model, inputs = torch.nn.Linear(8, 4), (torch.ones(2, 8),)",
        {"first": 3.0, "again": 0.5},
    ),
    _Subject(
        "torchvision resnet18",
        """
        from torchvision.models import resnet18
        model, inputs = resnet18().eval(), (torch.zeros(1, 3, 64, 64),)
        """,
        {"first": 6.0},
    ),
    _Subject(
        "timm resnet50",
        """
        import timm
        model, inputs = timm.create_model("resnet50").eval(), (torch.zeros(1, 3, 64, 64),)
        """,
        {"first": 8.0, "code": 6.0},
    ),
    _Subject(
        "BERT, 2 layers",
        """
        from transformers import BertConfig, BertModel
        config = BertConfig(hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
        model, inputs = BertModel(config).eval(), (torch.ones(1, 8, dtype=torch.long),)
        """,
        {"first": 10.0, "code": 10.0},
    ),
    _Subject(
        "Llama, 2 layers",
        """
        from transformers import LlamaConfig, LlamaModel
        config = LlamaConfig(
            vocab_size=1000, hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
        )
        model, inputs = LlamaModel(config).eval(), (torch.ones(1, 8, dtype=torch.long),)
        """,
        {"first": 10.0, "code": 10.0},
    ),
    _Subject(
        "diffusers UNet2D",
        """
        from diffusers import UNet2DModel
        model = UNet2DModel(
            sample_size=16, block_out_channels=(32, 64), layers_per_block=1, norm_num_groups=8,
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        ).eval()
        inputs = (torch.zeros(1, 3, 16, 16), 1)
        """,
        {"first": 12.0, "code": 15.0},
    ),
)

_PACK = """
import json, time, warnings
warnings.simplefilter("ignore")
times = [time.perf_counter()]
import torch
times.append(time.perf_counter())
{build}
times.append(time.perf_counter())
with torch.no_grad():
    model(*inputs)
times.append(time.perf_counter())
import wardian
for _ in range(2):
    wardian.pack(model, {case!r}, inputs=inputs)
    times.append(time.perf_counter())
print(json.dumps([b - a for a, b in zip(times, times[1:])]))
"""

_LOAD = """
import json, time, warnings
warnings.simplefilter("ignore")
import torch
started = time.perf_counter()
import wardian
wardian.load({case!r})
print(json.dumps([time.perf_counter() - started]))
"""


def measure(folder: Path, runs: int) -> list[Row]:
    """Pack and load each object in new processes; what it costs without Wardian is taken in the same ones."""
    rows: list[Row] = []
    for subject in _SUBJECTS:
        case = str(folder / "waiting.case")
        pack = _PACK.format(build=textwrap.dedent(subject.build), case=case)
        load = _LOAD.format(case=case)
        # One of each before: nothing is in the page cache of the first.
        taken = [(_ask(pack), _ask(load)) for _ in range(runs + 1)][1:]
        torch, build, call, first, again = zip(*(packed for packed, _ in taken), strict=True)
        loaded = tuple(seconds for (seconds,) in (found for _, found in taken))
        plain = tuple(map(sum, zip(build, call, strict=True)))
        whole = tuple(map(sum, zip(torch, plain, strict=True)))
        name, goals = subject.name, subject.goals
        rows.append(Comparison(f"pack {name}", "import torch, library; build; call", first, whole, 2.0))
        rows.append(Measured(f"pack {name}", _median(first), "s", goals["first"]))
        if "again" in goals:
            rows.append(Measured(f"pack {name} again", _median(again), "s", goals["again"]))
        else:
            what = "import library; build; call"
            rows.append(Comparison(f"pack {name} again", what, again, plain, 1.0))
            target = 0.5 if "code" in goals else None
            rows.append(Comparison(f"load {name}", "import library; build", loaded, build, target))
        if "code" in goals:
            rows.append(Measured(f"code in the file of {name}", _code(case) / _MB, "MB", goals["code"]))
    return rows


def _ask(program: str) -> Any:
    done = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout.splitlines()[-1])


def _median(figures: tuple[float, ...]) -> float:
    return sorted(figures)[len(figures) // 2]


def _code(case: str) -> int:
    """Return the bytes of all but the storages, as they lie in the file."""
    with zipfile.ZipFile(case) as archive:
        return sum(e.compress_size for e in archive.infolist() if not e.filename.endswith(".storage"))
