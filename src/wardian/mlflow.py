"""The MLflow flavor `wardian`: log a live model as a case, load it where its code is not installed.

Made in `wardian.integrations.mlflow`; MLflow finds its loader under this name.
"""

from __future__ import annotations

from wardian.integrations import needing

with needing("mlflow"):
    from wardian.integrations.mlflow import (
        _load_pyfunc,  # noqa: F401  MLflow calls it by this name
        load_model,
        log_model,
        save_model,
    )

__all__ = ["load_model", "log_model", "save_model"]
