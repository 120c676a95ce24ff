"""Loaded objects given to other libraries, and their objects packed: docs/reference/works-with.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import wardian

X = torch.ones(2, 8)


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> Any:
        return self.layer(x).relu()


def loaded(obj: Any, folder: Path) -> Any:
    wardian.pack(obj, folder / "object.case", prove=False)
    return wardian.load(folder / "object.case")


@pytest.fixture
def net(tmp_path: Path) -> Any:
    torch.manual_seed(0)
    return loaded(Net(), tmp_path)


def test_accelerate(net: Any, tmp_path: Path) -> None:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    prepared, optimizer = accelerator.prepare(net, torch.optim.SGD(net.parameters(), 0.1))
    before = net.layer.weight.clone()
    accelerator.backward(prepared(X).sum())
    optimizer.step()
    assert not torch.equal(prepared.layer.weight, before)
    again = loaded(accelerator.unwrap_model(prepared), tmp_path)
    assert torch.equal(again(X), prepared(X))


def test_torchmetrics(net: Any, tmp_path: Path) -> None:
    from torchmetrics.classification import MulticlassAccuracy

    metric = MulticlassAccuracy(4)
    metric.update(net(X), torch.tensor([0, 1]))
    again = loaded(metric, tmp_path)
    assert torch.equal(again.compute(), metric.compute())
    again.update(net(X), torch.tensor([2, 3]))
    again.reset()


def test_torch_compile(net: Any, tmp_path: Path) -> None:
    compiled: Any = torch.compile(net, backend="eager", fullgraph=True)
    assert torch.equal(compiled(X), net(X))
    assert torch.equal(loaded(compiled, tmp_path)(X), net(X))


def test_peft(net: Any, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    tuned = get_peft_model(net, LoraConfig(target_modules=["layer"], r=2, init_lora_weights=False))
    again = loaded(tuned, tmp_path)
    assert torch.equal(again(X), tuned(X))
    assert not torch.equal(tuned(X), net.layer.base_layer(X).relu())


def test_transformers_pipeline(tmp_path: Path) -> None:
    from PIL import Image
    from transformers import AutoModelForImageClassification, ConvNextImageProcessor, ResNetConfig, pipeline

    config = ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1], num_labels=2)
    model = AutoModelForImageClassification.from_config(config).eval()
    image = Image.new("RGB", (32, 32), "red")
    processor = ConvNextImageProcessor(size={"shortest_edge": 32})
    wanted = pipeline("image-classification", model=model, image_processor=processor)(image)
    found = pipeline("image-classification", model=loaded(model, tmp_path), image_processor=processor)(image)
    assert found == wanted


def test_torchao(net: Any, tmp_path: Path) -> None:
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(net, Int8WeightOnlyConfig())
    wanted = net(X)
    again = loaded(net, tmp_path)
    assert torch.equal(again(X), wanted)
