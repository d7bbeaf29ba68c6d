"""The log is read as agreed: each prediction once, with its newest outcome, and nothing from the future."""

import fcntl
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from log_files import moments, write_feedback, write_predictions

from pipelines.monitoring import PredictionLogError
from pipelines.monitoring import prediction_rows as module
from pipelines.monitoring.log_tables import has_predictions
from pipelines.monitoring.prediction_rows import open_predictions
from pipelines.monitoring.watched import WATCHED
from pipelines.monitoring.windows import Window, calendar_windows, trailing_windows

BY_NAME = {service.name: service for service in WATCHED}
RESIDENCY, RECOMMENDATION = BY_NAME["residency"], BY_NAME["recommendation"]
UNTIL = datetime(2026, 11, 24, tzinfo=UTC)
START = UNTIL - timedelta(days=7)
WEEK = Window("7d", START, UNTIL)
DAY = timedelta(days=1)


def read(home: Path, window: Window = WEEK, version: str = "1", service=RESIDENCY):
    with open_predictions(home, service, window.start, window.end) as rows:
        return rows.window(version, window)


def test_a_prediction_logged_twice_counts_once(tmp_path: Path) -> None:
    at = moments(START, DAY, 50)
    for part in ("first", "again"):
        write_predictions(tmp_path, "residency", at, np.full(50, 0.3), features={"a": np.arange(50.0)}, part=part)

    with open_predictions(tmp_path, RESIDENCY, START, UNTIL) as rows:
        features = np.concatenate([matrix for _, matrix, _ in rows.features("1", ["a"])])
    assert read(tmp_path).rows == 50
    assert sorted(features[:, 0]) == list(range(50))


def test_the_newest_observation_counts_then_the_newest_arrival(tmp_path: Path) -> None:
    ids = write_predictions(tmp_path, "residency", moments(START, DAY, 3), np.full(3, 0.3))
    later, latest = START + 2 * DAY, START + 3 * DAY
    write_feedback(tmp_path, "residency", ids, [0, 0, 0], [latest] * 3, observed_at=[START] * 3, part="a")
    write_feedback(tmp_path, "residency", ids[:2], [1, 1], [later] * 2, observed_at=[later] * 2, part="b")
    write_feedback(tmp_path, "residency", ids[:1], [0], [latest], observed_at=[later], part="c")

    rows = read(tmp_path)

    assert rows.outcome.tolist() == [0, 1, 0]
    assert (rows.rows, rows.labels) == (3, 3)


def test_what_comes_later_is_not_known_yet(tmp_path: Path) -> None:
    ids = write_predictions(tmp_path, "residency", moments(START, 8 * DAY, 8), np.full(8, 0.3))
    write_feedback(tmp_path, "residency", ids, [1.0] * 8, moments(START + 3 * DAY, 8 * DAY, 8))

    rows = read(tmp_path)

    assert (rows.rows, rows.labels) == (7, 4)


def test_numbers_that_are_none_are_left_out(tmp_path: Path) -> None:
    prediction = np.array([0.1, np.nan, np.inf, 0.4])
    ids = write_predictions(tmp_path, "residency", moments(START, DAY, 4), prediction)
    write_feedback(tmp_path, "residency", ids, [np.nan, 1.0, 1.0, np.inf], [START + DAY] * 4)

    rows = read(tmp_path)

    assert (rows.rows, rows.labels) == (2, 0)


def test_versions_are_told_apart_and_the_newest_comes_first(tmp_path: Path) -> None:
    write_predictions(tmp_path, "residency", moments(START, 3 * DAY, 60), np.full(60, 0.3), version="9", part="a")
    write_predictions(
        tmp_path, "residency", moments(START + DAY, 5 * DAY, 40), np.full(40, 0.3), version="10", part="b"
    )

    with open_predictions(tmp_path, RESIDENCY, START, UNTIL) as rows:
        assert rows.versions(4) == ("10", "9")
        assert rows.versions(1) == ("10",)
        assert [rows.window(version, WEEK).rows for version in ("9", "10")] == [60, 40]


def test_a_file_without_a_column_of_another_version_is_read(tmp_path: Path) -> None:
    at = moments(START, DAY, 10)
    write_predictions(tmp_path, "residency", at, np.full(10, 0.3), features={"a": np.arange(10.0)}, part="a")
    write_predictions(
        tmp_path, "residency", at, np.full(10, 0.3), version="2", features={"b": np.full(10, np.nan)}, part="b"
    )

    with open_predictions(tmp_path, RESIDENCY, START, UNTIL) as rows:
        (_, first, _), *_ = rows.features("1", ["a", "b", "never"])
        (_, second, _), *_ = rows.features("2", ["a", "b", "never"])

    assert sorted(first[:, 0]) == list(range(10))
    assert np.isnan(first[:, 1:]).all()
    assert np.isnan(second).all()


def test_a_sample_keeps_the_rows_of_a_job_together_and_the_counts_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 300)
    jobs = [f"j{i % 100:07}" for i in range(1000)]
    keys = {"job_id": jobs, "candidate_id": [f"c{i:07}" for i in range(1000)]}
    write_predictions(tmp_path, "recommendation", moments(START, DAY, 1000), np.full(1000, 0.3), keys=keys)

    rows = read(tmp_path, service=RECOMMENDATION)

    assert rows.rows == 1000
    assert 100 <= len(rows.prediction) <= 500
    assert set(np.bincount(rows.group)) == {10}


def test_lag_is_from_prediction_to_arrival(tmp_path: Path) -> None:
    at = moments(START, DAY, 11)
    ids = write_predictions(tmp_path, "residency", at, np.full(11, 0.3))
    arrivals = [moment + timedelta(hours=10 * i) for i, moment in enumerate(at)]
    write_feedback(tmp_path, "residency", ids, [1.0] * 11, arrivals)

    with open_predictions(tmp_path, RESIDENCY, START, UNTIL) as rows:
        lag, awaited = rows.label_lag("1", WEEK), rows.awaited_since()

    assert (lag.median, lag.p90) == (50 * 3600, 90 * 3600)
    assert awaited == arrivals[-1]


def test_without_any_outcome_it_is_awaited_since_the_first_prediction(tmp_path: Path) -> None:
    write_predictions(tmp_path, "residency", moments(START, DAY, 5), np.full(5, 0.3))

    with open_predictions(tmp_path, RESIDENCY, START, UNTIL) as rows:
        assert rows.awaited_since() == START
        assert rows.label_lag("1", WEEK) is None


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "predictions" / "residency" / "day=2026-11-20"
    folder.mkdir(parents=True)
    (folder / "broken.parquet").write_bytes(b"PAR1 no more")

    assert has_predictions(tmp_path, "residency")
    with pytest.raises(PredictionLogError, match=r"residency.*broken"):
        read(tmp_path)


def test_the_logs_upkeep_waits_for_readers_and_readers_not_for_each_other(tmp_path: Path) -> None:
    write_predictions(tmp_path, "residency", moments(START, DAY, 5), np.full(5, 0.3))

    with open_predictions(tmp_path, RESIDENCY, START, UNTIL):
        assert read(tmp_path).rows == 5
        with (tmp_path / "run" / "prediction-log-tidy.lock").open("w") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / "run" / "prediction-log-tidy.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_no_log_is_no_error(tmp_path: Path) -> None:
    assert not has_predictions(tmp_path, "residency")


@pytest.mark.parametrize("until", [datetime(2026, 11, 24, 0, tzinfo=UTC), datetime(2026, 11, 23, 12, 5, tzinfo=UTC)])
def test_weeks_begin_on_monday_and_the_last_span_holds_the_last_instant(until: datetime) -> None:
    windows = calendar_windows(until)
    weeks, days = ([one for one in windows if one.span == span] for span in ("week", "day"))

    assert {week.start.weekday() for week in weeks} == {0}
    for spans in (weeks, days):
        assert spans[-1].start < until <= spans[-1].end
        assert all(one.end == following.start for one, following in pairwise(spans))
    assert {window.end for window in trailing_windows(until)} == {until}
