"""Looking at a case: nothing here imports torch, runs packed code, or imports a module that a file names.

In goes an open archive; out come frozen facts, which `wardian.cli` prints and `Case` returns.

- `summary`: what a case is, what it needs, and whether that is here
- `imports`: which import leads to a module, read off the packed sources
- `audit`: what the code could do, by the table in `capabilities`; `units` and `bytecode` find functions
- `variables`: which environment variables code cannot do without
- `differences`: what differs between two cases
- `weights`: the named tensors, and a map of them (`treemap`)
- `sizes`: how many bytes tensors take
- `native`, `credentials`: compiled libraries, and secrets that would travel with it
- `bom`, `model_cards`: what other tools read of a case; `marshalled`: what may be unmarshalled
- `values`: the numbers of a tensor, without torch
"""

from __future__ import annotations
