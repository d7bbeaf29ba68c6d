"""What Feast promises of an online store, and what this one adds."""

import asyncio
import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import redis
from feast import FeatureStore, FeatureView, Field
from feast.data_source import PushMode
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
from feast.types import Float64, Int64, String

from . import marketplace_views as market

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Feast's and Ibis's own

Make = Callable[..., FeatureStore]


def apply(store: FeatureStore, folder: Path | str = "nowhere") -> FeatureStore:
    store.apply([market.CANDIDATE, market.JOB, *market.views(folder)])
    return store


def years(store: FeatureStore, *ids: str) -> list[Any]:
    answer: list[Any] = store.get_online_features(["profile:years"], {"candidate_id": list(ids)}).to_dict()["years"]
    return answer


def profile(value: float, minutes: float, created_minutes: float = 0, candidate: str = "c1") -> pd.DataFrame:
    frame = market.frames(2)["profile"].iloc[1:].assign(candidate_id=candidate, years=value)
    return frame.assign(
        event_timestamp=market.NOW + dt.timedelta(minutes=minutes - 60),
        created_timestamp=market.NOW + dt.timedelta(minutes=created_minutes),
    )


def keys(valkey: Any, project: str) -> int:
    with redis.Redis(unix_socket_path=valkey.socket) as client:
        return sum(1 for _ in client.scan_iter(f"{project}:*"))


def test_materialize_and_materialize_incremental_bring_the_newest_rows(
    valkey: Any, feast_store: Make, tmp_path: Path
) -> None:
    for name, frame in market.frames(50).items():
        older = frame.assign(event_timestamp=frame["event_timestamp"] - dt.timedelta(hours=2))
        if name == "profile":
            older["years"] = -1.0
        pd.concat([frame, older]).to_parquet(tmp_path / f"{name}.parquet", coerce_timestamps="us")
    store = apply(feast_store("materialize"), tmp_path)

    store.materialize(market.NOW - dt.timedelta(days=30), market.NOW)

    assert years(store, "c0001", "c0003", "c0004", "nobody") == [pytest.approx(1 / 7), None, None, None]
    later = market.frames(50, age=dt.timedelta(minutes=-1))["profile"].assign(years=9.0)
    later.to_parquet(tmp_path / "profile.parquet", coerce_timestamps="us")
    store.materialize_incremental(market.NOW + dt.timedelta(minutes=2))
    assert years(store, "c0001", "c0003") == [9.0, 9.0]
    assert store.get_online_features(["profile:role", "profile:rate"], {"candidate_id": ["c0001"]}).to_dict() == {
        "candidate_id": ["c0001"],
        "role": ["design"],
        "rate": [None],
    }


def test_values_older_than_the_ttl_are_null_and_say_so(feast_store: Make) -> None:
    store = apply(feast_store("ttl"))
    store.write_to_online_store("profile", market.frames(5)["profile"])

    response = store.get_online_features(["profile:years"], {"candidate_id": ["c0001", "c0004", "nobody"]}).proto

    vector = response.results[list(response.metadata.feature_names.val).index("years")]
    assert list(vector.statuses) == [FieldStatus.PRESENT, FieldStatus.OUTSIDE_MAX_AGE, FieldStatus.NOT_FOUND]
    assert [value.WhichOneof("val") for value in vector.values] == ["double_val", None, None]
    assert vector.event_timestamps[1].seconds == int((market.NOW - dt.timedelta(days=9)).timestamp())


def test_the_newest_event_wins_then_the_newest_created_then_the_last_written(feast_store: Make) -> None:
    store = apply(feast_store("newest"))
    steps = [
        (profile(1.0, 10), 1.0),
        (profile(2.0, 9), 1.0),
        (profile(3.0, 10, created_minutes=1), 3.0),
        (profile(4.0, 10), 3.0),
        (profile(5.0, 10, created_minutes=1), 5.0),
        (pd.concat([profile(7.0, 12), profile(6.0, 11)]), 7.0),
    ]

    for frame, expected in steps:
        store.write_to_online_store("profile", frame)

        assert years(store, "c1") == [expected]


def test_concurrent_writers_leave_the_newest_row_of_each_entity(valkey: Any, feast_store: Make) -> None:
    apply(feast_store("race"))
    ids = [f"c{i}" for i in range(300)]

    def write(worker: int) -> None:
        store = feast_store("race")
        for step in range(5):
            minute = step * 4 + worker
            frame = pd.concat([profile(minute, minute)] * len(ids)).assign(candidate_id=ids)
            store.write_to_online_store("profile", frame)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(4)))

    assert set(years(feast_store("race"), *ids)) == {19.0}


def test_a_block_of_new_and_known_entities_keeps_the_newest_rows(feast_store: Make) -> None:
    """Many rows at once: what the store has none of is set without a comparison."""
    store = apply(feast_store("known"))
    ids = [f"c{i}" for i in range(700)]
    store.write_to_online_store("profile", profile(1.0, 10, candidate="c3"))

    store.write_to_online_store("profile", pd.concat([profile(2.0, 5)] * len(ids)).assign(candidate_id=ids))

    assert [years(store, *some) for some in (["c3"], ["c2", "c300", "c699"])] == [[1.0], [2.0, 2.0, 2.0]]


def test_rows_stay_readable_when_a_view_changes(feast_store: Make) -> None:
    store = apply(feast_store("change"))
    store.write_to_online_store("profile", market.frames(3)["profile"])
    changed = market.views()[0]
    kept = [field for field in changed.features if field.name in {"years", "rate"}]
    view = FeatureView(
        name="profile",
        entities=[market.CANDIDATE],
        ttl=dt.timedelta(days=2),
        schema=[Field(name="added", dtype=Float64), *reversed(kept)],
        source=changed.source,
    )

    store.apply([view])

    response = store.get_online_features(
        ["profile:years", "profile:rate", "profile:added"], {"candidate_id": ["c0001", "c0002"]}
    ).to_dict()
    assert response["years"] == [pytest.approx(1 / 7), pytest.approx(2 / 7)]
    assert response["rate"] == [None, 2000]
    assert response["added"] == [None, None]


def test_a_deleted_view_leaves_nothing(valkey: Any, feast_store: Make) -> None:
    store = apply(feast_store("deletion"))
    frames = market.frames(20)
    store.write_to_online_store("profile", frames["profile"])
    store.write_to_online_store("activity", frames["activity"])

    store.apply([], objects_to_delete=[market.views()[0]], partial=False)

    assert keys(valkey, "deletion:profile") == 0
    assert keys(valkey, "deletion:activity") == len(frames["activity"])
    with redis.Redis(unix_socket_path=valkey.socket) as client:
        assert client.hkeys("deletion:schemas") == [b"activity", b"job_profile"]
        assert not any(field.startswith(b"profile/") for field in client.hkeys("deletion:layouts"))


def test_teardown_leaves_nothing(valkey: Any, feast_store: Make) -> None:
    store = apply(feast_store("gone"))
    other = apply(feast_store("stays"))
    for each in (store, other):
        each.write_to_online_store("profile", market.frames(20)["profile"])

    store.teardown()

    assert keys(valkey, "gone") == 0
    assert keys(valkey, "stays") == 20 + 2
    assert years(other, "c0001") == [pytest.approx(1 / 7)]


def test_a_push_is_read_back_at_once(feast_store: Make) -> None:
    store = apply(feast_store("push"))

    store.push("profile_push", profile(3.5, 0), to=PushMode.ONLINE)
    asyncio.run(store.push_async("profile_push", profile(4.5, 1, candidate="c2"), to=PushMode.ONLINE))

    assert years(store, "c1", "c2") == [3.5, 4.5]


def test_keys_expire_when_asked(valkey: Any, feast_store: Make) -> None:
    store = apply(feast_store("expiry", key_ttl_seconds=1000))

    store.write_to_online_store("profile", profile(1.0, 0))

    with redis.Redis(unix_socket_path=valkey.socket) as client:
        assert 990 <= client.ttl("expiry:profile:{c1}") <= 1000


def test_views_of_several_entities_and_of_none(feast_store: Make) -> None:
    store = feast_store("entities")
    stamps = {"event_timestamp": [market.NOW] * 2, "created_timestamp": [market.NOW] * 2}
    pair = FeatureView(
        name="pair",
        entities=[market.JOB, market.CANDIDATE],
        schema=[Field(name="fit", dtype=Float64), Field(name="note", dtype=String)],
        source=market.source("pair"),
    )
    everyone = FeatureView(
        name="everyone", entities=[], schema=[Field(name="total", dtype=Int64)], source=market.source("everyone")
    )
    store.apply([market.CANDIDATE, market.JOB, pair, everyone])

    rows = pd.DataFrame({"job_id": ["j1", "j"], "candidate_id": ["c", "1c"], "fit": [1.0, 2.0], "note": ["é", None]})
    store.write_to_online_store("pair", rows.assign(**stamps))
    store.write_to_online_store("everyone", pd.DataFrame({"total": [1, 2], "__dummy_id": [""] * 2} | stamps))

    answer = store.get_online_features(
        ["pair:fit", "pair:note", "everyone:total"],
        {"job_id": ["j1", "j", "j"], "candidate_id": ["c", "1c", "c"]},
    ).to_dict()
    assert answer["fit"] == [1.0, 2.0, None]
    assert answer["note"] == ["é", None, None]
    assert answer["total"] == [2, 2, 2]


@pytest.mark.parametrize("rows", [1, 300])
def test_a_restarted_server_needs_no_new_store(own_valkey: Any, feast_store: Make, rows: int) -> None:
    """The server forgets the script with its memory."""
    server = own_valkey()
    store = apply(feast_store("restart", connection_string=f"unix_socket_path={server.socket}"))
    frame = pd.concat([profile(1.0, 0)] * rows).assign(candidate_id=[f"c{i}" for i in range(rows)])
    store.write_to_online_store("profile", frame)

    server.stop()
    server.start()
    store.write_to_online_store("profile", frame)
    store.write_to_online_store("profile", frame.assign(years=2.0))

    assert years(store, "c0") == [2.0]
