"""Tensors. With `wardian.package`, the only part of Wardian that imports torch.

`storages` writes and maps storages, `mapping` finds tensors by name, `matching` and `filling` give them to a
module, `selftest` runs an object and compares outputs. Import them late: torch takes seconds.
"""
