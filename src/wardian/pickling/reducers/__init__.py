"""How objects are written that Python pickles wrongly or not at all.

- `table`: all rows, in the order in which they are asked; a `row` is about one kind of objects
- `python`, `process`, `pytorch`: kinds of the standard library, of a process, of PyTorch
- `logging_libraries`, `training`: what is left out, and what takes its place
- `sharded`: what is refused, because no process has all of it
- `state`: classes that say what their state is
"""
