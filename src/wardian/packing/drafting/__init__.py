"""From an object to a draft: its pickle, and the code that no import finds.

- `draft`: the stage
- `origins`, `packed_case`: what comes out of an open case
- `reductions`: objects that write themselves with `__reduce_package__`
"""
