"""From a file to a proof: a clean process loads it where its libraries cannot be found.

- `prove`: the stage
- `in_child`: what runs in the clean process
- `beginnings`: what that begins with
- `fence`: what it lets be found there
- `again`: what a proof of the same code as the last one begins with
- `advice`: what to do when a proof fails
"""
