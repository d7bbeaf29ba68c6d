"""From nothing to features in the online store: Dagster, SQLMesh, Feast and Valkey, all real."""

import asyncio
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipelines.warehouse.source_end import source_end

if TYPE_CHECKING:
    from conftest import Flow

SERVICES = ("business_experience", "hourly_rate", "recommendation", "residency", "skill_experience")
DUCKDB_TYPES = {"String": "VARCHAR", "Int64": "BIGINT", "Float64": "DOUBLE"}


@pytest.fixture(autouse=True)
def _their_warnings() -> Iterator[None]:
    """Feast, ibis and Pydantic warn of deprecated and experimental parts of each other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def store(flow: "Flow", monkeypatch: pytest.MonkeyPatch) -> Any:
    from pipelines.features import open_store

    for name in ("OFFERS_HOME", "OFFERS_REDIS_URL"):
        monkeypatch.setenv(name, flow.environment[name])
    return open_store(flow.home)


def test_first_run_says_a_line_an_asset(flow: "Flow") -> None:
    lines = flow.first_run.splitlines()

    for asset in ("source/logins", "staging/logins", "features/candidate_access", "labels/residency", "online_store"):
        assert sum(asset in line.split() for line in lines) == 1, flow.first_run


def test_second_run_finds_nothing_to_do(flow: "Flow") -> None:
    said = flow.run()

    assert [line.split(maxsplit=1)[1] for line in said.splitlines()] == ["up to date"] * 5


def test_run_knows_that_redis_lost_its_data(flow: "Flow") -> None:
    from redis import Redis

    with Redis.from_url(flow.redis_url) as client:
        client.delete("offers:pipelines:online")
    said = flow.run()

    assert "online_store" in said
    assert [line.split()[0] for line in said.splitlines() if "up to date" in line] == [
        "sources",
        "warehouse",
        "published",
        "feast",
    ]


def test_feature_tables_have_what_the_views_declare(flow: "Flow", store: Any) -> None:
    features = 0
    for view in store.list_feature_views():
        path = flow.home / "warehouse" / "features" / f"{view.name}.parquet"
        columns = duckdb.sql(f"DESCRIBE SELECT * FROM '{path}'").fetchall()  # noqa: S608 (own path)
        found = {row[0]: row[1] for row in columns}
        for field in view.features:
            assert found[field.name] == DUCKDB_TYPES[str(field.dtype)], f"{view.name}:{field.name}"
            assert field.description
            assert field.tags["unit"]
        assert found["event_timestamp"] == found["created_timestamp"] == "TIMESTAMP WITH TIME ZONE"
        extra = set(found) - {field.name for field in view.features} - set(view.join_keys)
        assert extra == {"event_timestamp", "created_timestamp"}
        features += len(view.features)
    assert features == 77


def test_published_times_are_microseconds_in_utc(flow: "Flow") -> None:
    schema = pq.read_schema(flow.home / "warehouse" / "labels" / "residency.parquet")

    assert str(schema.field("label_time").type) == "timestamp[us, tz=UTC]"


@pytest.mark.parametrize("service", SERVICES)
def test_feature_service_joins_labels_point_in_time(service: str, flow: "Flow", store: Any) -> None:
    labels = pq.read_table(flow.home / "warehouse" / "labels" / f"{service}.parquet").to_pandas()
    keys = [key for key in ("candidate_id", "job_id") if key in labels.columns]
    entities = labels[keys].assign(event_timestamp=labels["label_time"], label=labels["label"])

    joined = store.get_historical_features(entities, store.get_feature_service(service)).to_df()

    assert len(joined) == len(labels) > 0
    feature = (
        "account_age_days" if service in {"residency", "skill_experience", "business_experience"} else "skill_count"
    )
    assert joined[feature].notna().mean() > 0.9


def test_pair_fit_is_the_function_of_the_library(flow: "Flow", store: Any) -> None:
    from marketplace.on_demand import PAIR_FIT_INPUTS, pair_fit
    from pipelines.features.codes import coded_columns

    labels = pq.read_table(flow.home / "warehouse" / "labels" / "recommendation.parquet").to_pandas()
    entities = labels[["candidate_id", "job_id"]].assign(event_timestamp=labels["label_time"])
    joined = store.get_historical_features(entities, store.get_feature_service("recommendation")).to_df()

    expected = pd.DataFrame(pair_fit(coded_columns(joined, PAIR_FIT_INPUTS)))
    assert expected["pair_skill_overlap"].notna().any()
    pd.testing.assert_frame_equal(joined[list(expected.columns)].astype("float64"), expected)


def test_online_store_holds_the_last_snapshot(flow: "Flow", store: Any) -> None:
    table = pq.read_table(flow.home / "warehouse" / "features" / "candidate_track.parquet").to_pandas()
    last = table[table["event_timestamp"] == table["event_timestamp"].max()].set_index("candidate_id")
    ids = list(last.index[:50])

    online = store.get_online_features(
        features=["candidate_track:contracts_count", "candidate_track:rate_last_yen"],
        entity_rows=[{"candidate_id": id_} for id_ in ids],
    ).to_dict()

    assert online["contracts_count"] == [int(last.at[id_, "contracts_count"]) for id_ in ids]
    rates = [None if pd.isna(last.at[id_, "rate_last_yen"]) else int(last.at[id_, "rate_last_yen"]) for id_ in ids]
    assert online["rate_last_yen"] == rates


def test_pool_in_redis_is_the_published_pool(flow: "Flow") -> None:
    from online_features import read_pool

    published = pq.read_table(flow.home / "warehouse" / "features" / "candidate_pool.parquet")[
        "candidate_id"
    ].to_pylist()

    assert asyncio.run(read_pool(flow.redis_url, "offers", "candidates")) == published
    assert len(published) > 100


def test_feast_command_line_works_in_the_feature_repository(flow: "Flow") -> None:
    flow.feast("apply")
    end = source_end(flow.home)
    flow.feast("materialize", (end - timedelta(days=31)).isoformat(), end.isoformat())
    listed = flow.feast("feature-services", "list")

    assert {line.split()[0] for line in listed.splitlines() if line.strip()} >= set(SERVICES)


def test_run_with_the_same_settings_gives_the_same_tables(flow: "Flow") -> None:
    """The warehouse is a function of its sources: building it again changes no published byte's meaning."""
    path = flow.home / "warehouse" / "features" / "candidate_access.parquet"
    before = pq.read_table(path)
    (flow.home / "warehouse" / "warehouse.duckdb").unlink()
    (flow.home / "warehouse" / "features" / "candidate_access.parquet").unlink()
    flow.run()

    assert pq.read_table(path).equals(before)


def test_nothing_is_in_the_future(flow: "Flow") -> None:
    table = pq.read_table(
        flow.home / "warehouse" / "features" / "candidate_profile.parquet", columns=["event_timestamp"]
    )

    end = source_end(flow.home).replace(tzinfo=UTC)
    assert max(table["event_timestamp"].to_pylist()) == end
    assert end <= datetime.now(UTC)
