"""What the scripts in `specimens` import: packs their object and keeps what it returned."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import wardian
from tests.models.loader import call, describe


def pack(obj: Callable[..., Any], inputs: Any = (), *, check: str = "", **options: Any) -> None:
    """Pack *obj* into the case that the command line names.

    Args:
        obj: What a user's script packs.
        inputs: What it is called with, here and where it is loaded; a tuple or a dictionary.
        check: Code to run where it is loaded, with `model` and `module`, the module of its class.
        options: For `wardian.pack`.
    """
    case = Path(sys.argv[1])
    options = {"prove": False, **options}
    wardian.pack(obj, case, inputs=inputs if options["prove"] else None, **options)
    torch.manual_seed(0)
    with torch.no_grad():
        expected = describe(call(obj, inputs))
    torch.save(
        {"inputs": describe_inputs(inputs), "expected": expected, "check": check}, case.with_suffix(".pt")
    )


def describe_inputs(inputs: Any) -> Any:
    """Return the inputs if they are tensors and plain values, which any process can read."""
    return inputs
