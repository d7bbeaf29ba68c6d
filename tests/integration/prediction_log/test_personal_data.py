"""What is kept of a person goes when it is to go: after the retention, or when the person asks."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from log_world import AT_US, SERVICE, Send, message, prediction_id

from inference.prediction_log import Feedback, Frame, Spool, decode_rows, encode_feedback
from pipelines.prediction_log.compaction import compact
from pipelines.prediction_log.follower import Follower
from pipelines.prediction_log.follower_metrics import FollowerMetrics
from pipelines.prediction_log.forgetting import forget
from pipelines.prediction_log.retention import expire
from pipelines.prediction_log.settings import LogSettings

PERSON = "c0000003"


def follow(settings: LogSettings, client: Any) -> None:
    Follower(settings, client, FollowerMetrics(settings.services)).turn()


def people(home: Path) -> list[str]:
    paths = sorted((home / "predictions" / SERVICE).glob("day=*/*.parquet"))
    return [one for path in paths for one in pq.read_table(path, partitioning=None)["candidate_id"].to_pylist()]


def outcomes(home: Path) -> list[str]:
    paths = sorted((home / "feedback" / SERVICE).glob("day=*/*.parquet"))
    return [one for path in paths for one in pq.read_table(path, partitioning=None)["prediction_id"].to_pylist()]


def told(numbers: Sequence[int]) -> Frame:
    rows = [Feedback(prediction_id(number), 1.0, AT_US, AT_US, "tests") for number in numbers]
    return Frame(encode_feedback(rows), len(rows))


def test_a_person_goes_from_files_and_takes_the_outcomes_along(settings: LogSettings, client: Any, send: Send) -> None:
    send(message(0, 20))
    send(message(20, 5, at_us=AT_US - 86_400_000_000))
    send(told(range(25)), "feedback")
    follow(settings, client)
    done = forget(settings, client, PERSON)

    assert (done.predictions, done.feedback, done.in_transit) == (3, 3, 0)
    assert PERSON not in people(settings.home)
    assert len(people(settings.home)) == 22
    assert sorted(outcomes(settings.home)) == [prediction_id(n) for n in range(25) if n % 10 != 3]


def test_a_person_goes_from_the_streams(settings: LogSettings, client: Any, send: Send) -> None:
    for start in range(0, 300, 2):
        send(message(start, 2))
    send(told([3, 4]), "feedback")
    done = forget(settings, client, PERSON)
    follow(settings, client)

    assert done.in_transit == 30 + 1
    assert len(people(settings.home)) == 270
    assert PERSON not in people(settings.home)
    assert outcomes(settings.home) == [prediction_id(4)]


def test_a_person_goes_from_what_the_follower_holds_at_this_moment(
    settings: LogSettings, client: Any, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(message(0, 20))
    one = Follower(settings, client, FollowerMetrics(settings.services))
    with monkeypatch.context() as patched:
        patched.setattr("pipelines.prediction_log.follower.write_file", _refuse)
        one.turn()
    forget(settings, client, PERSON)
    one.turn()

    assert client.xpending(f"offers:predictions:{SERVICE}", "warehouse")["pending"] == 0
    assert len(people(settings.home)) == 18
    assert PERSON not in people(settings.home)


def _refuse(*_: object) -> None:
    raise OSError("no space")


def test_a_person_goes_from_abandoned_spools_and_never_comes_out_of_a_held_one(
    settings: LogSettings, client: Any, send: Send
) -> None:
    root = settings.home / "spool" / "predictions" / SERVICE
    abandoned, held = Spool(root, 1 << 20), Spool(root, 1 << 20)
    abandoned.append([message(0, 10)])
    abandoned.close()
    held.append([message(10, 10)])
    done = forget(settings, client, PERSON)
    held.adopt()
    while (chunk := held.oldest()) is not None:
        for frame in chunk.frames:
            send(frame)
        held.release(chunk)
    follow(settings, client)

    assert (done.in_transit, done.spools_held) == (1, 1)
    assert len(people(settings.home)) == 18
    assert PERSON not in people(settings.home)


def test_a_person_who_comes_back_is_logged_again(settings: LogSettings, client: Any, send: Send) -> None:
    forget(settings, client, PERSON)
    later = int((datetime.now(UTC) + timedelta(minutes=1)).timestamp() * 1e6)
    send(message(0, 10, at_us=later))
    follow(settings, client)

    assert PERSON in people(settings.home)


def test_nothing_that_is_kept_names_who_was_forgotten(settings: LogSettings, client: Any, send: Send) -> None:
    send(message(0, 20))
    follow(settings, client)
    send(message(20, 20))
    forget(settings, client, PERSON)
    compact(settings.home, (SERVICE,), eager=True)
    kept = b"".join(path.read_bytes() for path in settings.home.rglob("*") if path.is_file())
    entries = client.xrange(f"offers:predictions:{SERVICE}")

    assert PERSON.encode() not in kept
    assert all(PERSON not in decode_rows(fields[b"m"]).keys["candidate_id"] for _, fields in entries)


def test_forgetting_twice_or_somebody_unknown_does_no_harm(settings: LogSettings, client: Any, send: Send) -> None:
    send(message(0, 20))
    follow(settings, client)
    forget(settings, client, PERSON)
    again = forget(settings, client, PERSON)
    other = forget(settings, client, "nobody")

    assert again.predictions == other.predictions == 0
    assert len(people(settings.home)) == 18


def test_days_beyond_the_retention_go_and_the_others_stay(settings: LogSettings, client: Any, send: Send) -> None:
    now = datetime.now(UTC)
    for days in (0, 29, 31, 400):
        send(message(days, 1, at_us=int((now - timedelta(days=days)).timestamp() * 1e6)))
    follow(settings, client)
    before = len(people(settings.home))
    gone = expire(settings.home, settings.services, 30)

    assert (before, gone, len(people(settings.home))) == (4, 2, 2)


def test_a_retention_of_no_day_is_refused(settings: LogSettings) -> None:
    with pytest.raises(ValueError, match="at least a day"):
        expire(settings.home, settings.services, 0)
