"""The two cases that a model must pass whole: exported with one rule, loaded, exported again, scripted."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

import pytest
import torch

from wardian.package import PackageExporter, PackageImporter, sys_importer


@pytest.mark.models
def test_resnet(tmp_path: Path) -> None:
    # Where models are asked for, their library is there: a skip would hide that it is not.
    import torchvision

    resnet = torchvision.models.resnet18()
    f1 = tmp_path / "resnet.pt"
    with PackageExporter(f1) as e:
        e.intern("**")
        e.save_pickle("model", "model.pkl", resnet)
    i = PackageImporter(f1)
    r2 = i.load_pickle("model", "model.pkl")
    x = torch.rand(1, 3, 224, 224)
    ref = resnet(x)
    assert torch.equal(r2(x), ref)
    assert i.import_module("torchvision").__name__ != "torchvision"

    f2 = BytesIO()
    with PackageExporter(f2, importer=(i, sys_importer)) as e:
        e.intern("**")
        e.save_pickle("model", "model.pkl", r2)
    f2.seek(0)
    r3 = PackageImporter(f2).load_pickle("model", "model.pkl")
    assert torch.equal(r3(x), ref)


@pytest.mark.models
def test_script_resnet() -> None:
    import torchvision

    resnet = torchvision.models.resnet18()
    f1 = BytesIO()
    with PackageExporter(f1) as e:
        e.intern("**")
        e.save_pickle("model", "pickled", resnet)
    f1.seek(0)
    loaded = PackageImporter(f1).load_pickle("model", "pickled")
    f2 = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch.jit is deprecated
        torch.jit.save(torch.jit.script(loaded), f2)
        f2.seek(0)
        scripted = torch.jit.load(f2)  # type: ignore[no-untyped-call]
    x = torch.rand(1, 3, 224, 224)
    assert torch.equal(scripted(x), resnet(x))
