"""The work that closing a case takes: its code leaves the tables of the process.

- `tables`: where PyTorch and Python hold things of others
- `leftovers`: take out of them what a case put there
- `closed`: remember which cases were open
"""
