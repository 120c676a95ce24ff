"""Stage 1: from a live object to what it needs.

`evidence` is what a real run showed, `recorder` takes it in a clean process, `tracer` joins it with the
globals in the pickle and a static scan of the sources.
"""
