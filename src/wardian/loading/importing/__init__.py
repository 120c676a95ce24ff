"""From the name of a packed module to the module, top to bottom; `loading.open_mounts` makes its mount.

- `finders`: the names below `wardian.live`, and the folders of packages
- `specs`: which loader serves a name
- `loaders`: how code is run; `deferred` waits for the first use, `shims` are what it sees in place of
  Python's modules
- `mount`: an open case as a package
- `contents`: which modules it has; `files`, `libraries`, `operators`: what code wants besides modules
"""
