"""The log stands in Dagster's graph, with checks that see what is wrong with it."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest
from log_world import SERVICE, Send, message

from pipelines.defs.prediction_log import prediction_log_assets, prediction_log_checks
from pipelines.prediction_log.follower import Follower
from pipelines.prediction_log.follower_metrics import FollowerMetrics
from pipelines.prediction_log.settings import LogSettings


@pytest.fixture
def materialised(
    settings: LogSettings, client: Any, send: Send, monkeypatch: pytest.MonkeyPatch
) -> "dg.ExecuteInProcessResult":
    monkeypatch.setenv("OFFERS_HOME", str(settings.home))
    now_us = int(datetime.now(UTC).timestamp() * 1e6)
    follower = Follower(settings, client, FollowerMetrics(settings.services))
    for start in (0, 5):
        send(message(start, 10, at_us=now_us))
        follower.turn()
    return dg.materialize([*prediction_log_assets, *prediction_log_checks])


def test_it_merges_and_tells_what_is_there(materialised: Any) -> None:
    (event,) = materialised.get_asset_materialization_events()
    metadata = event.materialization.metadata
    checks = {one.check_name: one.passed for one in materialised.get_asset_check_evaluations()}

    assert metadata["dagster/row_count"].value == 15
    assert metadata["duplicate_rows_removed"].value == 5
    assert checks == {"predictions_unique": True, "predictions_fresh": True}
    assert SERVICE in str(
        next(
            one for one in materialised.get_asset_check_evaluations() if one.check_name == "predictions_fresh"
        ).metadata
    )
