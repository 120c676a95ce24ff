"""Credentials in what is packed are told, with their place, before anything is published."""

from __future__ import annotations

import textwrap
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

import wardian
from tests.support import importable, run_python, write_tree

# Put together here, so that no scanner takes this file for a leak.
AWS = "AKIA" + "Q3EGRIWNVH4ZLX5T"
GITHUB = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2
HUGGING = "hf_" + "QwErTyUiOpAsDfGhJkLzXcVbNmQwErTyUi"
STRIPE = "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"
PRIVATE = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEow"
RANDOM = "f3a9c07b51e84d26" + "9b1d"


class _Config:
    def __init__(self) -> None:
        self.api_key = RANDOM
        self.tokens = {"hub": HUGGING, "pad_token": "[PAD]"}
        self.model_name = "a-perfectly-ordinary-name-2"


def _told(obj: object, target: Path, **options: object) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        report = wardian.pack(obj, target, prove=False, **options)  # type: ignore[arg-type]
    told = [str(warning.message) for warning in caught]
    assert list(report.warnings) == told
    return told


def test_texts_in_the_object_are_told_with_their_place(tmp_path: Path) -> None:
    tree = """
    --- vault/__init__.py
    class Config:
        pass
    """
    with importable(write_tree(tmp_path / "sources", tree)) as load:
        config = load("vault").Config()
        vars(config).update(vars(_Config()))
        model = nn.Linear(1, 1)
        vars(model).update(config=config, notes=[f"pushed with {GITHUB}"])
        told = _told(model, tmp_path / "vault.case")
    assert [sentence.partition(" looks like ")[0] for sentence in told] == [
        "model.config.api_key",
        "model.notes[0]",
        "model.config.tokens['hub']",
    ]
    kinds = ("a credential, as its name says", "a GitHub token", "a Hugging Face token")
    assert [kind in sentence for kind, sentence in zip(kinds, told, strict=True)] == [True] * 3
    assert not any(secret in sentence for sentence in told for secret in (GITHUB, HUGGING, RANDOM))


def test_files_that_are_packed_are_told(tmp_path: Path) -> None:
    tree = f"""
    --- vault/__init__.py
    from torch import nn
    PASSWORD = "{RANDOM}"
    class Net(nn.Linear):
        pass
    --- vault/deploy.json
    {{"id": "{AWS}"}}
    """
    with importable(write_tree(tmp_path / "sources", tree)) as load:
        told = _told(
            load("vault").Net(1, 1),
            tmp_path / "vault.case",
            resources={"id_rsa": PRIVATE, "README": "hello"},
            metadata={"hub": HUGGING, "note": "hello"},
        )
    places = sorted(sentence.partition(" holds what looks like ")[0] for sentence in told)
    assert places == [
        "metadata hub",
        "resource id_rsa, line 1,",
        "vault/__init__.py, line 2,",
        "vault/deploy.json, line 1,",
    ]


def test_a_warning_that_is_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "vault.case"
    target.write_bytes(b"as it was")
    with pytest.raises(wardian.WardianWarning, match="an AWS access key"):
        wardian.pack({"id": AWS}, target, prove=False)
    assert target.read_bytes() == b"as it was"
    assert [path.name for path in tmp_path.iterdir()] == ["vault.case"]


@pytest.mark.parametrize(
    "harmless",
    [
        {"api_key": "YOUR_API_KEY_HERE_1234"},
        {"token": "<|endoftext|>", "pad_token": "<pad>"},
        {"password": "correct horse battery staple 1"},
        {"url": "https://example.org:8080/path@v2", "git": "ssh://git@example.org"},
        {"tokenizer_file": "/models/bert-base-uncased-v2/tokenizer.json"},
        {"revision_token": 12345678901234567890},
        {"secret": torch.ones(2)},
        {"token": "vit_large_patch14_clip_224.openai_ft_in12k_in1k"},
        {"secret": "torch.nn.Conv2d_v3_block1"},
        {"cls_token": "ACGTACGTACGTACGT0123"},
        {"note": "sk-learn-is-a-very-nice-library-for-machine-learning-tasks"},
        {"hash": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    ],
)
def test_what_only_looks_a_little_like_one_is_not_told(harmless: dict[str, object], tmp_path: Path) -> None:
    assert _told(harmless, tmp_path / "plain.case") == []


def test_what_a_script_defines_is_looked_at(tmp_path: Path) -> None:
    script = f"""
    import torch, warnings, wardian

    TOKEN = "{GITHUB}"
    SETTINGS = {{"stripe": ["{STRIPE}"]}}

    class Net(torch.nn.Module):
        def forward(self, x):
            return x + len(TOKEN) + len(SETTINGS)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        wardian.pack(Net(), "net.case", prove=False)
    print(*[str(warning.message) for warning in caught], sep="\\n")
    """
    (tmp_path / "train.py").write_text(textwrap.dedent(script))
    printed = run_python("import runpy\nrunpy.run_path('train.py', run_name='__main__')", folder=tmp_path)
    assert "train.py, line 4, holds what looks like a GitHub token" in printed
    assert "__main__.SETTINGS['stripe'][0] looks like a Stripe key" in printed
    assert GITHUB not in printed
    assert STRIPE not in printed


def test_inputs_are_looked_at(tmp_path: Path) -> None:
    told = _told(nn.Identity(), tmp_path / "vault.case", inputs=({"id": AWS},))
    assert [sentence.partition(" looks like ")[0] for sentence in told] == ["inputs[0]['id']"]
