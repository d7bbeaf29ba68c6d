"""Two entities, three views, and the contract of a model over them."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pandas as pd
from feast import Entity, FeatureView, Field, FileSource, PushSource, ValueType
from feast.types import Bool, Float32, Float64, Int64, String, UnixTimestamp

from inference.contract import (
    BoosterSpec,
    Contract,
    FeatureSpec,
    GoldenRows,
    OutputSpec,
    ProhibitedStatement,
    TrainingRecord,
)

CANDIDATE = Entity(name="candidate", join_keys=["candidate_id"], value_type=ValueType.STRING)
JOB = Entity(name="job", join_keys=["job_id"], value_type=ValueType.STRING)
ROLES = ("backend", "design", "product")
NOW = dt.datetime.now(dt.UTC).replace(microsecond=123_456)


def source(name: str, folder: Any = "nowhere") -> FileSource:
    return FileSource(
        name=name,
        path=f"{folder}/{name}.parquet",
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
    )


def views(folder: Any = "nowhere") -> list[FeatureView]:
    profile = FeatureView(
        name="profile",
        entities=[CANDIDATE],
        ttl=dt.timedelta(days=2),
        schema=[
            Field(name="years", dtype=Float64),
            Field(name="role", dtype=String),
            Field(name="rate", dtype=Int64),
            Field(name="open", dtype=Bool),
            Field(name="seen_at", dtype=UnixTimestamp),
        ],
        source=PushSource(name="profile_push", batch_source=source("profile", folder)),
    )
    activity = FeatureView(
        name="activity",
        entities=[CANDIDATE],
        schema=[Field(name="commits", dtype=Int64), Field(name="share", dtype=Float32)],
        source=source("activity", folder),
    )
    job = FeatureView(
        name="job_profile",
        entities=[JOB],
        ttl=dt.timedelta(days=2),
        schema=[Field(name="job_role", dtype=String), Field(name="rate_max", dtype=Int64)],
        source=source("job_profile", folder),
    )
    return [profile, activity, job]


def frames(n: int, *, age: dt.timedelta = dt.timedelta(hours=1)) -> dict[str, pd.DataFrame]:
    """Rows with nulls; every fifth candidate's profile is older than its TTL, every seventh has no activity."""
    ids = [f"c{i:04d}" for i in range(n)]
    event = [NOW - (dt.timedelta(days=9) if i % 5 == 4 else age) for i in range(n)]
    profile = pd.DataFrame(
        {
            "candidate_id": ids,
            "years": [None if i % 3 == 0 else i / 7 for i in range(n)],
            "role": [None if i % 6 == 5 else [*ROLES, "unheard of"][i % 4] for i in range(n)],
            "rate": pd.array([None if i % 4 == 1 else 1000 * i for i in range(n)], dtype="Int64"),
            "open": [bool(i % 2) for i in range(n)],
            "seen_at": [NOW.replace(microsecond=0) - dt.timedelta(minutes=i) for i in range(n)],
            "event_timestamp": event,
            "created_timestamp": [NOW] * n,
        }
    )
    activity = pd.DataFrame(
        {
            "candidate_id": ids,
            "commits": range(n),
            "share": [i / 3 for i in range(n)],
            "event_timestamp": [NOW - age] * n,
            "created_timestamp": [NOW] * n,
        }
    )
    jobs = pd.DataFrame(
        {
            "job_id": [f"j{i}" for i in range(3)],
            "job_role": ROLES,
            "rate_max": [5000, 6000, 7000],
            "event_timestamp": [NOW - age] * 3,
            "created_timestamp": [NOW] * 3,
        }
    )
    return {"profile": profile, "activity": activity[activity.index % 7 != 6], "job_profile": jobs}


def contract(specs: Sequence[FeatureSpec] = (), entities: tuple[str, ...] = ("job_id", "candidate_id")) -> Contract:
    def spec(reference: str, dtype: Any, categories: tuple[str, ...] = ()) -> FeatureSpec:
        name = reference.replace(":", "_")
        return FeatureSpec(name=name, reference=reference, source="stored", dtype=dtype, categories=categories)

    # The order is not the views' own: columns must be put where the contract wants them.
    default = (
        spec("profile:role", "category", ROLES),
        spec("activity:share", "float"),
        spec("job_profile:rate_max", "int"),
        spec("profile:years", "float"),
        spec("profile:rate", "int"),
        spec("activity:commits", "int"),
        spec("profile:open", "bool"),
        spec("profile:seen_at", "timestamp"),
        spec("job_profile:job_role", "category", ROLES),
    )
    return Contract(
        contract_version=1,
        model="m",
        task="ranking",
        entities=entities,
        feature_service="m",
        features=tuple(specs) or default,
        on_demand=(),
        booster=BoosterSpec(library="lightgbm", file="", sha256=""),
        output=OutputSpec(name="score", unit=""),
        golden=GoldenRows(inputs=(), raw=()),
        training=TrainingRecord(fingerprint="", rows=0, started_at="", ended_at="", label_query=""),
        prohibited=ProhibitedStatement(attributes=(), checked=""),
    )
