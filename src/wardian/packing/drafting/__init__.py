"""From an object to a draft: its pickle, and the code that no import finds.

- `draft`: the stage
- `pickling`, `entries`: how the object is pickled, and what each entry point gets
- `attempts`, `live_object`: runs in clean processes, and what they are compared with
- `origins`, `packed_case`: what comes out of an open case
- `reductions`: objects that write themselves with `__reduce_package__`
"""
