"""Code that has no importable home: scripts, notebooks, local functions, lambdas, classes made at run time.

A class or function comes in; its name in the case or a recipe goes out, and a package of source, `captured`.
`session.Capture` answers the pickler. `homes` tells where an import finds an object, `placing` of which
module of the case other code becomes part, `naming` its name there, `trials` whether a value can be pickled.

Of scripts: `statements` reads one, `script` finds the statement of a name, `definitions` writes its source,
with `literals` for constants, and `namespaces` chooses which names are taken. Without a name: `classes` takes
classes apart, and `local_functions` makes functions by `factories`; `texts` and `usage` know their source.

`effects` is the list of what loading sets beside making the object. It is filled by `replaced_values` (inside
functions and classes) and `side_effects`, which asks `patches`, `registrations` and `constructor_notes`.
`synthesis` writes the modules, `changed` finds those that their files do not show, and `runtime` is packed.
"""
