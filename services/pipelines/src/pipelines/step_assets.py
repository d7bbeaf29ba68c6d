"""The assets of each step, imported when they are wanted: SQLMesh and Feast take seconds."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

__all__ = ["ASSETS", "assets_of"]

ASSETS = {
    "sources": ("pipelines.defs.sources", "source_assets"),
    "warehouse": ("pipelines.defs.warehouse", "warehouse_assets"),
    "published": ("pipelines.defs.published", "published_assets"),
    "feast": ("pipelines.defs.features", "feast_assets"),
    "models": ("pipelines.defs.models", "model_assets"),
    "online": ("pipelines.defs.features", "online_assets"),
    "monitoring": ("pipelines.defs.monitoring", "monitoring_assets"),
}
"""Where the assets of each step are declared: module and name of a list."""


def assets_of(step: str) -> list[Any]:
    """Return the Dagster assets of a step of `pipelines.steps`. Raises KeyError for another name."""
    module, name = ASSETS[step]
    return list(getattr(import_module(module), name)) if find_spec(module) else []
