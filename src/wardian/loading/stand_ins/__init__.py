"""The stand-ins for modules that are not there.

- `mocked`: a module that a policy mocks, and code that nothing could reach: any use of a name is an error
- `externs`: a soft extern that is not installed: imports succeed, and the first use raises the error
"""
