"""Dagster's code location: every step from source tables to the online store."""

import dagster as dg

from pipelines.step_assets import ASSETS, assets_of

__all__ = ["defs"]

defs = dg.Definitions(assets=[asset for step in ASSETS for asset in assets_of(step)])
