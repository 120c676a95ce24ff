"""Installed distributions, as a tree for `tests.support.write_tree`."""

from __future__ import annotations

__all__ = ["SITE"]

SITE = """
--- seedbank/__init__.py
raise AssertionError("looking a module up must not import it")
--- seedbank/vault.py
--- seedbank/labels.txt
--- seed_tool.py
--- shared/north.py
--- SeedBank-1.4.dist-info/METADATA
Metadata-Version: 2.1
Name: Seed.Bank
Version: 1.4
Requires-Dist: seed-tools>=1
Requires-Dist: never-installed; extra == "all"
--- SeedBank-1.4.dist-info/RECORD
seedbank/__init__.py,sha256=x,60
seedbank/vault.py,,
seedbank/labels.txt,,
seedbank/__pycache__/vault.cpython-311.pyc,,
../../bin/seed,,
shared/north.py,,
SeedBank-1.4.dist-info/METADATA,,
--- seed_tools-2.0.dist-info/METADATA
Metadata-Version: 2.1
Name: seed-tools
Version: 2.0
Requires-Dist: seed-trays
Requires-Dist: seed-lamps; os_name != "greenhouse"
--- seed_lamps/__init__.py
--- seed_lamps-1.0.dist-info/METADATA
Metadata-Version: 2.1
Name: seed-lamps
Version: 1.0
--- seed_tools-2.0.dist-info/RECORD
seed_tool.py,,
shared/south.py,,
--- shared/south.py
--- leftover-0.1.dist-info/RECORD
"""
