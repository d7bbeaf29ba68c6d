"""The follower: every row reaches Parquet once, whatever dies when."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis
from log_world import AT_US, SERVICE, Send, message, prediction_id

from inference.prediction_log import Feedback, Frame, encode_feedback
from pipelines.models import MODELS
from pipelines.prediction_log.compaction import compact
from pipelines.prediction_log.follower import Follower
from pipelines.prediction_log.follower_metrics import FollowerMetrics
from pipelines.prediction_log.joined import joined
from pipelines.prediction_log.settings import SERVICES, LogSettings

DAY_US = 86_400_000_000


def follower(settings: LogSettings, client: Any) -> Follower:
    return Follower(settings, client, FollowerMetrics(settings.services))


def files(home: Path, kind: str = "predictions") -> list[Path]:
    return sorted((home / kind / SERVICE).glob("day=*/*.parquet"))


def ids(home: Path) -> Counter[str]:
    return Counter(
        one
        for path in files(home)
        for one in pq.read_table(path, columns=["prediction_id"], partitioning=None)["prediction_id"].to_pylist()
    )


def expected(n: int) -> Counter[str]:
    return Counter(prediction_id(number) for number in range(n))


def test_it_follows_every_model_that_is_declared() -> None:
    assert sorted(SERVICES) == sorted(declaration.name for declaration in MODELS)


def test_rows_reach_parquet_in_the_agreed_columns(settings: LogSettings, client: Any, send: Send) -> None:
    send(message(0, 4))
    follower(settings, client).turn()

    (path,) = files(settings.home)
    table = pq.read_table(path, partitioning=None)
    assert path.parent.name == f"day={datetime.fromtimestamp(AT_US / 1e6, UTC):%Y-%m-%d}"
    assert {field.name: str(field.type) for field in table.schema} == {
        **dict.fromkeys(["prediction_id", "caller", "model", "version", "alias", "route"], "string"),
        "scored_at": "timestamp[us, tz=UTC]",
        "candidate_id": "string",
        "status": "string",
        "prediction": "double",
        "output.estimate": "double",
        "output.unit": "string",
        "feature.role": "double",
        "feature.has_github": "double",
    }
    assert table["status"].to_pylist() == ["degraded", "ok", "degraded", "ok"]
    assert table["feature.has_github"].to_pylist() == [None, 1.0, 1.0, None]
    assert table["scored_at"].cast(pa.int64()).to_pylist() == [AT_US] * 4
    assert client.xlen(f"offers:predictions:{SERVICE}") == 0


def test_days_are_those_of_the_rows_and_not_of_the_clock(settings: LogSettings, client: Any, send: Send) -> None:
    send(message(0, 2))
    send(message(2, 3, at_us=AT_US + DAY_US))
    follower(settings, client).turn()

    assert [pq.read_metadata(path).num_rows for path in files(settings.home)] == [2, 3]
    assert len({path.parent.name for path in files(settings.home)}) == 2


def test_a_row_that_was_sent_twice_is_written_once(settings: LogSettings, client: Any, send: Send) -> None:
    metrics = FollowerMetrics(settings.services)
    send(message(0, 10))
    send(message(5, 10))
    Follower(settings, client, metrics).turn()

    assert ids(settings.home) == expected(15)
    assert (
        metrics.registry.get_sample_value(
            "scoring_follow_duplicate_rows_total", {"kind": "predictions", "service": SERVICE}
        )
        == 5
    )


class Died(BaseException):
    """Stands for SIGKILL: nothing is caught or tidied."""


def test_death_between_file_and_acknowledgement_writes_the_same_file_again(
    settings: LogSettings, client: Any, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    for start in range(0, 60, 10):
        send(message(start, 10))
    dying = follower(settings, client)

    def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr("pipelines.prediction_log.group.StreamGroup.finish", die)
        with pytest.raises(Died):
            dying.turn()
    before = files(settings.home)
    send(message(60, 10))
    follower(settings, client).turn()

    assert len(before) == 1
    assert ids(settings.home) == expected(70)


def test_death_within_a_file_leaves_none_of_it(
    settings: LogSettings, client: Any, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(message(0, 10))

    def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", die)
        with pytest.raises(Died):
            follower(settings, client).turn()
    before = files(settings.home)
    follower(settings, client).turn()

    assert before == []
    assert ids(settings.home) == expected(10)


def test_what_a_dead_consumer_took_another_takes_over(settings: LogSettings, client: Any, send: Send) -> None:
    send(message(0, 10))
    client.xgroup_create(f"offers:predictions:{SERVICE}", "warehouse", id="0")
    client.xreadgroup("warehouse", "dead", {f"offers:predictions:{SERVICE}": ">"})
    client.xclaim(
        f"offers:predictions:{SERVICE}",
        "warehouse",
        "dead",
        0,
        [client.xrange(f"offers:predictions:{SERVICE}")[0][0]],
        idle=120_000,
    )
    follower(settings, client).turn()

    assert ids(settings.home) == expected(10)
    assert client.xlen(f"offers:predictions:{SERVICE}") == 0


def test_a_message_that_cannot_be_read_is_set_aside_and_holds_up_nothing(
    settings: LogSettings, client: Any, send: Send
) -> None:
    send(Frame(b"P1nonsense", 7))
    send(message(0, 10))
    client.xadd(f"offers:predictions:{SERVICE}", {"other": "field"})
    follower(settings, client).turn()

    assert ids(settings.home) == expected(10)
    kept = sorted((settings.home / "predictions" / SERVICE / "unreadable").iterdir())
    assert [path.read_bytes() for path in kept] == [b"P1nonsense", b""]
    assert client.xlen(f"offers:predictions:{SERVICE}") == 0


def test_a_disk_that_refuses_loses_nothing(settings: LogSettings, client: Any, send: Send) -> None:
    send(message(0, 10))
    blocked = settings.home / "predictions"
    blocked.write_text("")
    one = follower(settings, client)
    one.turn()
    waiting = client.xlen(f"offers:predictions:{SERVICE}")
    blocked.unlink()
    one.turn()

    assert waiting == 1
    assert ids(settings.home) == expected(10)


def test_a_redis_that_was_away_or_lost_its_data_is_followed_again(
    settings: LogSettings, client: Any, valkey: Any, send: Send
) -> None:
    one = follower(settings, client)
    send(message(0, 10))
    one.turn()
    valkey.stop()
    one.turn()
    valkey.start()
    client.flushall()
    send(message(10, 10))
    one.turn()
    one.turn()

    assert ids(settings.home) == expected(20)


def test_small_files_are_merged_and_rows_that_came_twice_go(settings: LogSettings, client: Any, send: Send) -> None:
    one = follower(settings, client)
    for start in range(0, 200, 10):
        send(message(start, 15))
        one.turn()
    twice = ids(settings.home)
    done = compact(settings.home, (SERVICE,))

    assert max(twice.values()) == 2
    assert ids(settings.home) == expected(205)
    assert (done.files, done.rows, done.merged, done.duplicates) == (1, 205, 20, 95)
    assert len(files(settings.home)) == 1


def test_death_within_a_merge_loses_nothing_and_the_next_one_ends_it(
    settings: LogSettings, client: Any, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = follower(settings, client)
    for start in range(0, 200, 10):
        send(message(start, 10))
        one.turn()

    def die(*_: object, **__: object) -> None:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", die)
        with pytest.raises(Died):
            compact(settings.home, (SERVICE,))
    between = set(ids(settings.home))
    compact(settings.home, (SERVICE,))

    assert between == set(expected(200))
    assert ids(settings.home) == expected(200)


def feedback(number: int, outcome: float, *, observed: int = 0, received: int = 0) -> Feedback:
    return Feedback(prediction_id(number), outcome, AT_US + observed, AT_US + received, "tests")


def test_predictions_are_joined_with_the_outcome_observed_last(settings: LogSettings, client: Any, send: Send) -> None:
    send(message(0, 3))
    send(message(0, 3))
    rows = [
        feedback(0, 1.0, observed=5),
        feedback(0, 2.0, observed=9, received=1),
        feedback(0, 3.0, observed=9, received=2),
        feedback(2, 7.0),
        feedback(99, 1.0),
    ]
    send(Frame(encode_feedback(rows), len(rows)), "feedback")
    follower(settings, client).turn()
    with duckdb.connect() as connection:
        relation = joined(connection, settings.home, SERVICE)
        found = relation.project("prediction, outcome, day").order("prediction").fetchall()

    day = date.fromtimestamp(AT_US / 1e6)
    assert found == [(0.0, 3.0, day), (1.0, None, day), (2.0, 7.0, day)]


def test_without_feedback_predictions_are_joined_with_nothing(settings: LogSettings, client: Any, send: Send) -> None:
    send(message(0, 3))
    follower(settings, client).turn()
    with duckdb.connect() as connection:
        found = joined(connection, settings.home, SERVICE).project("outcome").fetchall()

    assert found == [(None,)] * 3


def _start(settings: LogSettings, port: int) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "OFFERS_HOME": str(settings.home),
        "OFFERS_REDIS_URL": settings.redis_url,
        "OFFERS_CONSUMER": "one",
        "OFFERS_FOLLOW_SECONDS": "0.1",
    }
    return subprocess.Popen([sys.executable, "-m", "pipelines", "follow", "--port", str(port)], env=environment)


def test_a_follower_killed_again_and_again_in_the_middle_writes_every_row_once(
    settings: LogSettings, client: Any, send: Send
) -> None:
    total, kills = 0, 0
    process = _start(settings, 0)
    try:
        until = time.monotonic() + 60
        while kills < 4 and time.monotonic() < until:
            for _ in range(20):
                send(message(total, 50))
                total += 50
            if files(settings.home) and len(files(settings.home)) > kills:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
                process = _start(settings, 0)
            time.sleep(0.01)
        while client.xlen(f"offers:predictions:{SERVICE}") and time.monotonic() < until + 30:
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGTERM)
        ended = process.wait(20)

    assert kills == 4
    assert ended == 0
    assert client.xlen(f"offers:predictions:{SERVICE}") == 0
    assert ids(settings.home) == expected(total)


def test_a_redis_that_was_never_there_is_told_and_waited_for(settings: LogSettings) -> None:
    metrics = FollowerMetrics(settings.services)
    away = redis.Redis.from_url("redis://127.0.0.1:1/0")
    Follower(settings, away, metrics).turn()
    away.close()

    assert metrics.registry.get_sample_value("scoring_follow_redis_up") == 0
