"""Dagster's code location: every step from source tables to the online store, and the prediction log."""

import dagster as dg

from pipelines.defs.monitoring import monitoring_schedule
from pipelines.defs.prediction_log import prediction_log_assets, prediction_log_checks
from pipelines.step_assets import ASSETS, assets_of

__all__ = ["defs"]

defs = dg.Definitions(
    assets=[*(asset for step in ASSETS for asset in assets_of(step)), *prediction_log_assets],
    asset_checks=prediction_log_checks,
    schedules=[monitoring_schedule],
)
