"""The log and feedback of a real serving process through the deaths of Redis and of itself."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from log_world import SERVICE, Valkey, prediction_id
from serving_world import STAND_IN, Load, Serving, until

from inference.prediction_log.spool_frames import scan
from pipelines.prediction_log.follower import Follower
from pipelines.prediction_log.follower_metrics import FollowerMetrics
from pipelines.prediction_log.settings import LogSettings

Start = Callable[..., Serving]


@pytest.fixture
def start(settings: LogSettings, valkey: Valkey) -> Iterator[Start]:
    """Start a serving process."""
    sys.path.insert(0, str(STAND_IN.parent))
    try:
        import stand_in
    finally:
        sys.path.remove(str(STAND_IN.parent))
    stand_in.make(settings.home / "model")
    started: list[Serving] = []

    def one(**environment: str) -> Serving:
        serving = Serving(settings.home, valkey.url, environment)
        started.append(serving)
        serving.start()
        return serving

    yield one
    for serving in started:
        serving.stop()


def written(settings: LogSettings, client: Any, kind: str = "predictions") -> list[str]:
    """Follow all that is in the stream, and give the prediction ids of all files."""
    Follower(settings, client, FollowerMetrics(settings.services)).turn()
    paths = sorted((settings.home / kind / SERVICE).glob("day=*/*.parquet"))
    return [
        one
        for path in paths
        for one in pq.read_table(path, columns=["prediction_id"], partitioning=None)["prediction_id"].to_pylist()
    ]


def test_redis_stopped_under_load_loses_no_row_and_fails_no_request(
    start: Start, settings: LogSettings, client: Any, valkey: Valkey
) -> None:
    serving = start()
    with Load(serving) as load:
        load.more(300)
        valkey.stop()
        load.more(600)
        until(lambda: serving.metric("scoring_prediction_log_spool_bytes") > 0)
        valkey.start()
        load.more(300)
    until(lambda: serving.metric("scoring_prediction_log_spool_bytes") == 0)
    serving.stop()
    found = written(settings, client)

    assert load.failures == []
    assert set(found) == set(load.answered)
    assert client.xlen(f"offers:predictions:{SERVICE}") == 0
    assert list((settings.home / "spool").rglob("*.frames")) == []


def test_what_is_over_the_spools_bound_is_counted_to_the_row(
    start: Start, settings: LogSettings, client: Any, valkey: Valkey
) -> None:
    valkey.stop()
    serving = start(OFFERS_SPOOL_BYTES_MAX="20000")
    with Load(serving) as load:
        until(lambda: serving.metric("scoring_prediction_log_dropped_rows_total") > 200)
    until(lambda: serving.metric("scoring_prediction_log_rows_total") == len(load.answered))
    dropped = serving.metric("scoring_prediction_log_dropped_rows_total")
    valkey.start()
    until(lambda: serving.metric("scoring_prediction_log_spool_bytes") == 0)
    found = written(settings, client)

    assert load.failures == []
    assert set(found) < set(load.answered)
    assert len(set(found)) + dropped == len(load.answered)


def test_a_stream_that_nobody_reads_is_never_trimmed_and_the_rest_waits_on_the_disk(
    start: Start, settings: LogSettings, client: Any
) -> None:
    serving = start(OFFERS_LOG_STREAM_BYTES_MAX="20000")
    with Load(serving) as load:
        until(lambda: serving.metric("scoring_prediction_log_spool_bytes") > 10_000)
    found: set[str] = set()

    def all_there() -> bool:
        found.update(written(settings, client))
        return found == set(load.answered)

    until(all_there)
    assert load.failures == []


def test_a_killed_process_loses_at_most_what_it_had_just_answered_and_its_successor_sends_the_spool(
    start: Start, settings: LogSettings, client: Any, valkey: Valkey
) -> None:
    valkey.stop()
    serving = start()
    with Load(serving) as load:
        load.more(300)
        until(lambda: spooled_rows(settings.home) > 100)
        load.more(300)
        killed_at = time.monotonic()
        serving.stop(signal.SIGKILL)
    valkey.start()
    successor = start()
    until(lambda: successor.metric("scoring_dependency_up") >= 1)
    until(lambda: list((settings.home / "spool" / "predictions" / SERVICE).glob("*/*.frames")) == [])
    until(lambda: client.xlen(f"offers:predictions:{SERVICE}") > 0)
    found = set(written(settings, client))

    lost = {one: killed_at - at for one, at in load.answered.items() if one not in found}
    # Gathered every 0.15 s; the rest is for a slow machine.
    assert max(lost.values(), default=0.0) < 2.0
    assert len(found & set(load.answered)) > 100


def test_what_was_gathered_before_a_kill_is_all_there(
    start: Start, settings: LogSettings, client: Any, valkey: Valkey
) -> None:
    valkey.stop()
    serving = start()
    with Load(serving) as load:
        load.more(300)
    until(lambda: spooled_rows(settings.home) == len(load.answered))
    serving.stop(signal.SIGKILL)
    valkey.start()
    start()
    until(lambda: set(written(settings, client)) == set(load.answered))

    assert load.failures == []


def spooled_rows(home: Path) -> int:
    paths = (home / "spool" / "predictions").rglob("*.frames")
    return sum(frame.rows for path in paths for frame in scan(path.read_bytes()).frames)


def test_acknowledged_feedback_survives_a_kill_while_redis_is_away(
    start: Start, settings: LogSettings, client: Any, valkey: Valkey
) -> None:
    valkey.stop()
    serving = start()
    told = [prediction_id(number) for number in range(40)]
    statuses = [
        serving.call(
            "POST",
            "/v1/feedback",
            {"prediction_id": one, "outcome": 5000, "observed_at": "2026-10-01T00:00:00Z"},
        )[0]
        for one in told
    ]
    serving.stop(signal.SIGKILL)
    valkey.start()
    start()
    until(lambda: len(set(written(settings, client, "feedback"))) == len(told))

    assert set(statuses) == {200}
    assert sorted(set(written(settings, client, "feedback"))) == told
