"""Ask two versions of one module in one process."""

import torch
import wardian

old, new = wardian.load("monday.case"), wardian.load("tuesday.case")
x = torch.ones(1, 4)
print(type(old).__name__, type(new).__name__, old(x).item(), new(x).item())
assert type(old) is not type(new)
assert (old(x).item(), new(x).item()) == (4.0, 1.0)
