"""The environment at hand: in goes a name, out comes what is here of that name.

- `modules`: where a module comes from, without importing it
- `distributions`: what is installed, and which distribution owns a module or a file
- `stamps`: whether a file has changed since it was read
- `unpacking`: modules in zip files, as files
- `native`: shared libraries that are mapped into this process
- `cache`: the cache folder of the user, files that can be made again
"""
