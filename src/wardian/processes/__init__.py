"""Processes beside this one: clean ones, where evidence is taken and proof is given, and copies of this one.

Code of the object runs in clean processes, so nothing of it may reach this process, and nothing that it does
may last: no process that goes on, no folder that stays, no wait without an end.
"""
