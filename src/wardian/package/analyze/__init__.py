"""Find out what broke an export, and which modules a call uses."""

from __future__ import annotations

from wardian.package.analyze.find_first_use_of_broken_modules import find_first_use_of_broken_modules
from wardian.package.analyze.trace_dependencies import trace_dependencies

__all__ = ["find_first_use_of_broken_modules", "trace_dependencies"]
