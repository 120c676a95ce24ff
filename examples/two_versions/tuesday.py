"""The second version, under the same names: it averages."""

import torch


class Score(torch.nn.Module):
    def forward(self, x):
        return x.mean(-1)


def build():
    return Score()
