"""The report: one HTML file that shows what a case is to whoever opens it, without a network."""

from __future__ import annotations

from wardian.cli.report.page import report_page

__all__ = ["report_page"]
