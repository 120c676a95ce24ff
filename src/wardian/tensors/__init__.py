"""Tensors to bytes and back. With `wardian.package` and `wardian.integrations`, all that imports torch.

Import them late: torch takes seconds. A new kind of tensor begins in `index` and in `rebuilding`.

- `storages`, `host`: bytes of tensors, written once and mapped; `crossing`: shared with a cage
- `index`, `rebuilding`: a tensor to what the manifest says, and back; `bare`: with little of PyTorch
- `named`, `mapping`, `overlaps`: tensors of an object, and of a case, by name; `safetensors`: as a file
- `slots`, `targets`, `matching`, `shared_memory`, `filling`: a module filled with tensors of a case
- `selftest`, `changes`, `comparison`: calls, their changes, and where results differ; `needs`: what they need
- `scripts`, `script_pickles`, `graphs`, `operators`: TorchScript, graphs, operators; `objects`: their kinds
- `files`: what the command line does with tensors
"""
