"""A first-party project as people write them; tests/models packs its model."""

from greenhouse.models import Harvest, Seedling

__all__ = ["Harvest", "Seedling"]
