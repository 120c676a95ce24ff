"""The way in: from a live object to a sealed file.

`pack` joins the stages: `drafting` (object → draft), `tracing` (draft → trace), `planning` (trace → plan),
`writing` (plan → file) and `proving` (file → proof). `arguments` are checked before, `remarks` are made
after, and `report` is what the caller gets.
"""
