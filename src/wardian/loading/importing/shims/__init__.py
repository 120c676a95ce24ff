"""The stand-ins that packed code gets for modules of Python that take names of modules as strings.

- `table`: which module is replaced by which
- `imports`: `__import__` for code that imports at run time
- `metadata`, `resources`, `sys_modules`: the replacements; `delegating` is what they have in common
"""
