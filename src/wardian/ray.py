"""Ray: `Predictor` runs a model of a case over a `ray.data.Dataset`."""

from __future__ import annotations

from wardian.integrations import needing

with needing("ray"):
    from wardian.integrations.ray import Predictor

__all__ = ["Predictor"]
