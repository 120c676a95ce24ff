"""Pickles of a case; the only package of Wardian that imports `pickle`.

In goes an object, out come canonical bytes and the globals that they name; and the other way round.

- `pickler`: writes, with `reducers` for what Python pickles wrongly; `unpickler`: reads
- `plain`: writes trees of texts and numbers, faster
- `canonical`: equal objects give equal bytes; `tape`, `sets` and `opcodes` are its parts
- `listing`: the globals that a pickle names, without unpickling it
- `paths`: where something is inside of an object; `copies`: what a pickled copy lacks
"""
