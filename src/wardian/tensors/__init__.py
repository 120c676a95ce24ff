"""Tensors. With `wardian.package`, the only part of Wardian that imports torch.

`storages` writes and maps storages, `named` finds tensors by name, `selftest` runs an object and compares
outputs. Import them late: torch takes seconds.
"""
