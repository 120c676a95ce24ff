"""A library as its author wrote it; it knows nothing of cases."""

from importlib.metadata import version

__version__ = version("orchard-fruit")
