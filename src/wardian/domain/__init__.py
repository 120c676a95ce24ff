"""Frozen nouns that every stage speaks of: they know no file, no archive and no torch.

- `names`, `live_names`, `record_names`, `global_refs`, `digests`, `globs`: the words
- `policy`: what the user wants
- `modules`, `packed_origin`, `source_facts`, `graph`, `trace`: what was found out about an object
- `decisions`, `plan`, `plan_differences`: what was decided
- `manifest`, `provenance`: what the file says; `json_readers`: how JSON is checked
"""
