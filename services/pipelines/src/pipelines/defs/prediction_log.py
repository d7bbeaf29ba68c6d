"""The prediction log as assets: what the follower wrote, its files merged, with checks on what is in them."""

import time

import dagster as dg

from pipelines.prediction_log.settings import LogSettings

__all__ = ["prediction_log_assets", "prediction_log_checks"]

_FRESH_HOURS = 24.0


@dg.asset(group_name="prediction_log", kinds={"parquet"})
def prediction_log() -> dg.MaterializeResult[None]:
    """Scored rows and feedback as `python -m pipelines follow` writes them: small files merged, old days deleted."""
    from pipelines.prediction_log.compaction import compact
    from pipelines.prediction_log.retention import expire

    started, settings = time.perf_counter(), LogSettings.from_env()
    expired = expire(settings.home, settings.services, settings.retention_days)
    done = compact(settings.home, settings.services, eager=True)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": done.rows,
            "files": done.files,
            "files_merged": done.merged,
            "duplicate_rows_removed": done.duplicates,
            "days_expired": expired,
            "seconds": time.perf_counter() - started,
        }
    )


@dg.asset_check(asset=prediction_log, description="No prediction id stands twice within a day.")
def predictions_unique() -> dg.AssetCheckResult:
    """Count what merging has left twice."""
    from pipelines.prediction_log.health import health

    found = health(LogSettings.from_env())
    twice = sum(one.duplicates for one in found.values())
    return dg.AssetCheckResult(passed=twice == 0, metadata={"rows_twice": twice})


@dg.asset_check(asset=prediction_log, description="Each service that was ever logged has scored within a day.")
def predictions_fresh() -> dg.AssetCheckResult:
    """Look for services whose log has stopped; a warning, as a service may have no callers."""
    from pipelines.prediction_log.health import health

    found = health(LogSettings.from_env())
    old = {name: one.age_hours for name, one in found.items() if one.age_hours > _FRESH_HOURS}
    return dg.AssetCheckResult(
        passed=not old,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"hours_since_the_last_row": {name: one.age_hours for name, one in found.items()}},
    )


prediction_log_assets = [prediction_log]
prediction_log_checks = [predictions_unique, predictions_fresh]
