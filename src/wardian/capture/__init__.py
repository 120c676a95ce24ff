"""Code that has no importable home: scripts, notebooks, local functions, lambdas, classes made at run time.

Such code is packed as *synthesised modules*, real source text below one package, `captured`:

    captured              what rebuilds functions and classes when a case is loaded (`runtime`)
    captured.main         what the object uses of `__main__`, and nothing else of the script
    captured.mylib_hooks  functions that were made inside functions of mylib.hooks

`session.Capture` answers the pickler for one case, for classes and functions itself and by `kinds` for all
other objects; `namespaces` chooses what is taken of a script, `registrations` knows the statements that
only register something, `patches` finds what a script changed in other modules, `tables` what constructors
noted in their library, `factories` makes functions that make functions, `classes` takes classes apart,
`texts` finds sources and the syntax of a live code object, `usage` tells which names a statement uses,
`homes` where an import finds an object, `changed` which modules are not what their files hold; `synthesis`
writes the modules.
"""
