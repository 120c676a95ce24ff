"""Looking at a case: nothing here imports torch, runs packed code, or imports a module that a file names.

In goes an open archive; out come frozen facts, which `wardian.cli` prints and `Case` returns.

- `summary`: what a case is, what it needs, and whether that is here
- `imports`: which import leads to a module, read off the packed sources
- `differences`: what differs between two cases
- `values`: the numbers of a tensor, without torch
"""

from __future__ import annotations
