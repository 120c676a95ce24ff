"""Child process: pack the library `orchard` and leave what the installed one needs as a pickle.

python pack_subjects.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import orchard.files
import orchard.model
import orchard.operators
import orchard.records
import orchard.work
import torch

import wardian


def main(folder: Path) -> None:
    """Make the cases of the themes."""
    torch.manual_seed(0)
    model = orchard.model.Orchard().eval()
    torch.save(model, folder / "orchard.pt")
    inputs = (torch.randn(2, 4),)
    torch.save(inputs, folder / "orchard.inputs")
    wardian.pack(model, folder / "orchard.case", inputs=inputs)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
