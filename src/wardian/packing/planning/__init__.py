"""From a trace to a plan: what is packed, and what the receiver must have.

- `decide`: one decision for each module
- `externs`: which distributions stay outside and why, and which of them the receiver may lack
- `deferral`: packages that wait for their first use
- `logging_libraries`: what only they need stays outside with them
- `files`: all that the decisions entail
"""
