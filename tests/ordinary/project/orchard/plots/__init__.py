"""A plot."""
