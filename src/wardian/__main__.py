"""`python -m wardian` is the command `wardian`."""

from __future__ import annotations

from wardian.cli import main

if __name__ == "__main__":
    main()
