"""The way in: from a live object to a sealed file.

`pack` joins the stages: `drafting` (object → draft), `tracing` (draft → trace), `planning` (trace → plan),
`writing` (plan → file) and `proving` (file → proof); `finishing` writes and proves until the proof passes.
`arguments` are checked before, `remarks` and `doubts` are told after, and `report` is what the caller gets;
`provenance` says where the case comes from.
"""
