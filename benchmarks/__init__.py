"""Measurements against peers: ratios within one run, medians, whole processes where imports count."""
