"""From a draft to a trace: what an object needs.

- `observe`: run the object in a clean process; `in_child` is what runs there, `recorder` takes the evidence
- `ahead`: sources are read while the clean process runs
- `tracer`: join the evidence with the pickle and the sources
- `following`: imports, from what the object uses to all that it may need
- `submodules`: those that code takes from a package without importing them
- `need`, `stock`: which modules of a distribution it can reach
- `registered`: modules whose code left something in tables of others
- `files`: data, licences and libraries beside the modules
- `finders`, `guards`: what the run finds in place of what it must not, and what code does without
"""
