"""What is taken back when a case is closed.

- `tables`: where PyTorch and Python hold things of others
- `leftovers`: take out of them what a case put there
- `closed`: remember which cases were open
"""
