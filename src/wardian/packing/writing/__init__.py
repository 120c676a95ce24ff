"""From a plan to a file, in the order of docs/reference/format.md.

- `assembly`: sources, storages, metadata and the manifest
- `bytecode`: compiled modules
- `torch_records`: records by which torch.package reads a case, too
"""
