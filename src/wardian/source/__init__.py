"""Python source and bytecode, read and written without running them.

In goes code, out come facts, or other code.

- `parsing`: syntax trees, in bounded memory and time
- `scanning`: what the source of one module shows: imports, globals, names
- `edges`: what it imports, `calls` by a call
- `conditions`, `texts`: values that are known before it runs
- `guards`: imports whose error the code around them catches
- `bytecode`, `mentions`: what compiled code shows
- `rewriting`, `locations`: a module as it runs inside of a case
- `remembered`, `kept_facts`: facts and bytecode by content, so that each source is read once
"""
