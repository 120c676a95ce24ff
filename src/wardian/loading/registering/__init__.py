"""The registrations that packed code makes in PyTorch.

- `second_copies`: a library that is packed and installed registers once
- `lifetimes`: how long what was registered lives
"""
