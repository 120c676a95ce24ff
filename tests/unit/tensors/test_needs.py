"""A use of numpy by PyTorch is noted while one watches, and PyTorch is as before afterwards."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from wardian.tensors.needs import noting_needs


def test_each_use_within_the_block_is_noted_and_works() -> None:
    noted: list[str] = []
    with noting_needs(noted.append):
        assert noted == []
        assert torch.ones(2).numpy().tolist() == [1.0, 1.0]
        assert torch.nn.Parameter(torch.ones(1)).detach().numpy(force=True).tolist() == [1.0]
    assert noted == ["numpy", "numpy"]
    torch.ones(2).numpy()
    assert noted == ["numpy", "numpy"]


def test_methods_are_as_they_were_also_after_an_error() -> None:
    before = torch.Tensor.numpy
    own = "numpy" in vars(torch.Tensor)
    tensor: Any = torch.ones(2)
    with pytest.raises(TypeError), noting_needs(lambda top: None):
        tensor.numpy(3)
    assert torch.Tensor.numpy is before
    assert ("numpy" in vars(torch.Tensor)) is own
