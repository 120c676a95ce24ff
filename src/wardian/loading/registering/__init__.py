"""The registrations that packed code makes in PyTorch.

- `second_copies`: a library that is packed and installed registers once
- `installed_modules`: whether the installed one has registered the same
- `lifetimes`: how long what was registered lives
"""
