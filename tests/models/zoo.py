"""The models that the tests pack: real libraries, random weights, nothing downloaded.

Each builder imports its library itself, so that reading this table costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

__all__ = ["ZOO", "Entry", "Specimen"]


@dataclass(frozen=True)
class Specimen:
    """A model with what to call it with."""

    model: nn.Module
    inputs: tuple[Any, ...] | dict[str, Any]
    """A tuple is positional, a dictionary is keyword."""
    generate: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments for `model.generate`; empty if it has none."""


@dataclass(frozen=True)
class Entry:
    """One line of the table."""

    name: str
    blocked: tuple[str, ...]
    """Top-level packages that do not exist where the case is loaded; the first is the model's own library."""
    builder: Callable[[], Specimen]

    def build(self) -> Specimen:
        """Build the model in eval mode; twice the same, in every process."""
        torch.manual_seed(0)
        specimen = self.builder()
        specimen.model.eval()
        return specimen


_GREEDY = {"max_new_tokens": 8, "do_sample": False}


def _image(size: int) -> torch.Tensor:
    return torch.rand(1, 3, size, size)


def _tokens(length: int) -> torch.Tensor:
    return torch.randint(3, 100, (1, length))


def _resnet18() -> Specimen:
    from torchvision.models import resnet18

    return Specimen(resnet18(weights=None), (_image(64),))


def _mobilenet() -> Specimen:
    from torchvision.models import mobilenet_v3_small

    return Specimen(mobilenet_v3_small(weights=None), (_image(64),))


def _vit_b_16() -> Specimen:
    from torchvision.models import vit_b_16

    return Specimen(vit_b_16(weights=None, image_size=32), (_image(32),))


def _fasterrcnn() -> Specimen:
    from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_fpn

    model = fasterrcnn_mobilenet_v3_large_fpn(
        weights=None,
        weights_backbone=None,
        min_size=64,
        max_size=64,
        box_score_thresh=0.0,  # random weights are sure of nothing, and no boxes would compare as equal
        box_detections_per_img=10,
    )
    return Specimen(model, ([torch.rand(3, 64, 64)],))


def _timm(name: str, size: int) -> Callable[[], Specimen]:
    def build() -> Specimen:
        import timm

        return Specimen(timm.create_model(name, pretrained=False), (_image(size),))

    return build


def _bert() -> Specimen:
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    tokens = _tokens(12)
    return Specimen(BertModel(config), {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)})


def _gpt2() -> Specimen:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=100, n_positions=64, n_embd=32, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=2
    )
    config.pad_token_id = 0
    tokens = {"input_ids": _tokens(6), "attention_mask": torch.ones(1, 6, dtype=torch.long)}
    return Specimen(GPT2LMHeadModel(config), tokens, {**tokens, **_GREEDY})


def _llama() -> Specimen:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=100,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        pad_token_id=0,
    )
    tokens = {"input_ids": _tokens(6), "attention_mask": torch.ones(1, 6, dtype=torch.long)}
    return Specimen(LlamaForCausalLM(config), tokens, {**tokens, **_GREEDY})


def _t5() -> Specimen:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=100, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0
    )
    tokens = {"input_ids": _tokens(6), "attention_mask": torch.ones(1, 6, dtype=torch.long)}
    inputs = {**tokens, "decoder_input_ids": _tokens(3)}
    return Specimen(T5ForConditionalGeneration(config), inputs, {**tokens, **_GREEDY})


def _unet2d() -> Specimen:
    from diffusers import UNet2DModel

    model = UNet2DModel(
        sample_size=16,
        in_channels=3,
        out_channels=3,
        layers_per_block=1,
        block_out_channels=(32, 64),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )
    return Specimen(model, (_image(16), 10))


def _smp_unet() -> Specimen:
    import segmentation_models_pytorch

    model = segmentation_models_pytorch.Unet("resnet18", encoder_weights=None, classes=2)
    return Specimen(model, (_image(64),))


def _vit_pytorch() -> Specimen:
    from vit_pytorch import ViT

    model = ViT(image_size=32, patch_size=8, num_classes=10, dim=32, depth=2, heads=2, mlp_dim=64)
    return Specimen(model, (_image(32),))


def _gcn() -> Specimen:
    from torch_geometric.nn import GCN

    edges = torch.tensor([[0, 1, 2, 3, 4, 0], [1, 2, 3, 4, 0, 3]])
    return Specimen(GCN(8, 16, num_layers=2, out_channels=4), (torch.rand(5, 8), edges))


def _greenhouse() -> Specimen:
    from greenhouse import Seedling

    return Specimen(Seedling(), (torch.rand(3, 8),))


_ENTRIES = (
    Entry("resnet18", ("torchvision",), _resnet18),
    Entry("mobilenet_v3_small", ("torchvision",), _mobilenet),
    Entry("vit_b_16", ("torchvision",), _vit_b_16),
    Entry("fasterrcnn", ("torchvision",), _fasterrcnn),
    Entry("timm_resnet50", ("timm", "torchvision"), _timm("resnet50", 64)),
    Entry("timm_vit_tiny", ("timm", "torchvision"), _timm("vit_tiny_patch16_224", 224)),
    Entry("timm_convnext_atto", ("timm", "torchvision"), _timm("convnext_atto", 64)),
    Entry("bert", ("transformers",), _bert),
    Entry("gpt2", ("transformers",), _gpt2),
    Entry("llama", ("transformers",), _llama),
    Entry("t5", ("transformers",), _t5),
    Entry("unet2d", ("diffusers",), _unet2d),
    Entry("smp_unet", ("segmentation_models_pytorch", "timm", "torchvision"), _smp_unet),
    Entry("vit_pytorch", ("vit_pytorch",), _vit_pytorch),
    Entry("gcn", ("torch_geometric",), _gcn),
    Entry("greenhouse", ("greenhouse",), _greenhouse),
)

ZOO = {entry.name: entry for entry in _ENTRIES}
"""The table, by name; the order is that of the libraries."""
