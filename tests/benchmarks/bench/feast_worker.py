"""Feast in a process of its own: `apply`, `materialize` and `read`, timed inside, a JSON line in and a JSON line out.

The same file runs in the project's environment over the platform's own online store and in the peer's over Feast's
stock Redis store; only the `online_store` section of its `feature_store.yaml` differs.
"""

import json
import os
import random
import resource
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.dataset import ENTITY, EVENT_TIME, FEATURE_SERVICE, entity_ids
from bench.load import percentile

__all__: list[str] = []

TTL = timedelta(days=3650)


def apply(store: Any, views: list[dict[str, Any]], service: str) -> dict[str, Any]:
    """Register entities, the described views over their Parquet files, and one feature service of all."""
    from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
    from feast import types as feast_types

    keys = sorted({str(view["join_key"]) for view in views})
    entities = {key: Entity(name=key.removesuffix("_id"), join_keys=[key], value_type=ValueType.STRING) for key in keys}
    registered = [
        FeatureView(
            name=view["name"],
            entities=[entities[view["join_key"]]],
            ttl=TTL,
            schema=[Field(name=name, dtype=getattr(feast_types, dtype)) for name, dtype in view["columns"].items()],
            source=FileSource(
                name=f"{view['name']}_source",
                path=view["source"],
                timestamp_field="event_timestamp",
                created_timestamp_column="created_timestamp",
            ),
        )
        for view in views
    ]
    store.apply([*entities.values(), *registered, FeatureService(name=service, features=list(registered))])
    return {"views": len(registered)}


def materialize(store: Any, rows: int) -> dict[str, Any]:
    """Materialise every view from its source, as `feast materialize` does; `rows` is how many they hold together."""
    started = time.perf_counter()
    store.materialize(EVENT_TIME - timedelta(days=1), EVENT_TIME + timedelta(days=1))
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"rows": rows, "seconds": seconds, "rows_per_second": rows / seconds, "peak_bytes": peak}


def read(store: Any, entities: int, known: int, seconds: float) -> dict[str, Any]:
    """Time `get_online_features` of all 32 features for `entities` random ids out of `known`, to a dictionary."""
    service = store.get_feature_service(FEATURE_SERVICE)
    ids = entity_ids(0, known)
    chooser = random.Random(entities)
    taken: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(taken) < 3:
        rows = [{ENTITY: one} for one in chooser.sample(ids, entities)]
        started = time.perf_counter()
        answer = store.get_online_features(features=service, entity_rows=rows).to_dict()
        taken.append(time.perf_counter() - started)
        if answer["f00"][0] is None:
            raise LookupError("a materialised entity was not found")
    ordered = sorted(taken)
    return {"p50": percentile(ordered, 0.5), "p99": percentile(ordered, 0.99), "calls": len(ordered)}


def main() -> None:
    """Serve the questions on standard input with the feature store of the working directory."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from feast import FeatureStore

    store = FeatureStore(repo_path=str(Path.cwd()))
    operations: dict[str, Callable[..., dict[str, Any]]] = {"apply": apply, "materialize": materialize, "read": read}
    for line in sys.stdin:
        question = json.loads(line)
        answer = operations[question.pop("do")](store, **question)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
