"""Make a case and some files to score."""

from pathlib import Path

import torch
import wardian


class Score(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)

    def forward(self, x):
        return self.layer(x).sigmoid()


torch.manual_seed(0)
wardian.pack(Score().eval(), "model.case", inputs=(torch.rand(2, 4),))
Path("parts").mkdir(exist_ok=True)
for number in range(4):
    torch.save(torch.rand(100, 4), f"parts/{number}.pt")
