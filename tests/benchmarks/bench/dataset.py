"""The benchmark's own data: 3 feature views × 32 features of up to a million entities, and a booster over them.

Everything is drawn from one seed a chunk of entities, so that ours, the peers and the reference all see the same rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

__all__ = ["ENTITY", "FEATURES", "FEATURE_SERVICE", "INTEGERS", "VIEWS", "Dataset", "entity_ids", "feature_rows"]

ENTITY = "candidate_id"
FEATURE_SERVICE = "bench"
VIEWS = {
    "bench_profile": tuple(f"f{index:02d}" for index in range(11)),
    "bench_work": tuple(f"f{index:02d}" for index in range(11, 22)),
    "bench_activity": tuple(f"f{index:02d}" for index in range(22, 32)),
}
FEATURES = tuple(name for names in VIEWS.values() for name in names)
INTEGERS = frozenset(FEATURES[2::3])
"""Stored as Int64; the others as Float64."""

CHUNK = 100_000
TRAINING_ROWS = 60_000
TREES = 300
LEAVES = 63
SEED = 20261101
EVENT_TIME = datetime(2026, 11, 1, tzinfo=UTC)


def entity_ids(start: int, stop: int) -> list[str]:
    """Ids of the entities in [start, stop)."""
    return [f"c{index + 1:07d}" for index in range(start, stop)]


def feature_rows(chunk: int) -> NDArray[np.float64]:
    """Return the (CHUNK, 32) feature rows of one chunk of entities."""
    random = np.random.default_rng((SEED, chunk))
    rows = random.normal(size=(CHUNK, len(FEATURES)))
    counts = [index for index, name in enumerate(FEATURES) if name in INTEGERS]
    rows[:, counts] = np.floor(np.exp(rows[:, counts] * 1.5 + 2))
    return rows


@dataclass(frozen=True, slots=True)
class Dataset:
    """Files of the data set under one folder; made on first use and kept."""

    folder: Path

    def source(self, view: str, entities: int) -> Path:
        """Return the Parquet file with the view's rows of the first `entities` entities."""
        path = self.folder / f"{view}_{entities}.parquet"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".part")
            with pq.ParquetWriter(unfinished, schema(view)) as writer:
                for batch in batches(view, entities):
                    writer.write_table(batch)
            unfinished.rename(path)
        return path

    def model(self) -> Path:
        """Return LightGBM's text file of the booster (300 trees × 63 leaves, 32 inputs)."""
        path = self.folder / "model.txt"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            train(path)
        return path


def schema(view: str) -> pa.Schema:
    """Schema of a view's source."""
    fields = [pa.field(name, pa.int64() if name in INTEGERS else pa.float64()) for name in VIEWS[view]]
    stamp = pa.timestamp("us", tz="UTC")
    return pa.schema([pa.field(ENTITY, pa.string()), *fields, ("event_timestamp", stamp), ("created_timestamp", stamp)])


def batches(view: str, entities: int) -> Iterator[pa.Table]:
    """Yield the view's rows by chunk of entities."""
    columns = [FEATURES.index(name) for name in VIEWS[view]]
    for start in range(0, entities, CHUNK):
        stop = min(start + CHUNK, entities)
        rows = feature_rows(start // CHUNK)[: stop - start, columns]
        stamps = pa.array([EVENT_TIME] * (stop - start), pa.timestamp("us", tz="UTC"))
        values = [
            pa.array(rows[:, index].astype(np.int64) if name in INTEGERS else rows[:, index])
            for index, name in enumerate(VIEWS[view])
        ]
        yield pa.Table.from_arrays([pa.array(entity_ids(start, stop)), *values, stamps, stamps], schema=schema(view))


def train(path: Path) -> None:
    """Fit the booster on a label that depends on every input, so that all trees grow to their full size."""
    import lightgbm

    rows = feature_rows(0)[:TRAINING_ROWS]
    scaled = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    random = np.random.default_rng(SEED)
    weights = random.normal(size=len(FEATURES))
    label = scaled @ weights + np.sin(scaled[:, 0] * 3) * scaled[:, 1] + random.normal(size=len(rows))
    parameters = {"objective": "regression", "num_leaves": LEAVES, "num_threads": 1, "verbosity": -1, "seed": SEED}
    booster = lightgbm.train(parameters, lightgbm.Dataset(rows, label, feature_name=list(FEATURES)), TREES)
    booster.save_model(path)
