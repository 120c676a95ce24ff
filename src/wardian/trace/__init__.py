"""Stage 1: from a live object to what it needs.

`observe` runs the object in a clean process, where `recorder` takes the evidence; `tracer` joins it with
the globals in the pickle and a static scan of the sources.
"""
