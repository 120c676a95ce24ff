"""The way out: from an open archive to an object whose packed code runs.

- `case`: the open case; `entries` are its entry points, `groups` those that are made together
- `admission`: what is asked before its code runs
- `weights`: its tensors, without its code; `loggers`: those that its modules get
- `self_tests`: what comes out of it now; `checks` are what they found
- `reopening`: cases that another process has open
- `objects`: how its pickles become objects
- `open_mounts`: the cases that are open in this process; `announcements` tell children, `given` workers
- `importing`: how its modules are imported; `installed_library`: from what is installed, if it is the same
- `stand_ins`: what takes the place of modules that are mocked, or not installed
- `registering`, `closing`: what packed code leaves in tables of PyTorch and Python, and how it is taken back;
  `unused`: whether anything but the case holds what was imported from it
"""
