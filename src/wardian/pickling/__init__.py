"""Pickles of a case; the only package of Wardian that imports `pickle`."""
