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

from bench.columns import Column, View, arrow_schema

__all__ = [
    "CHUNK",
    "ENTITY",
    "EVENT_TIME",
    "FEATURES",
    "FEATURE_SERVICE",
    "LEAVES",
    "SEED",
    "TREES",
    "VIEWS",
    "Dataset",
    "entity_ids",
    "feature_rows",
]

ENTITY = "candidate_id"
FEATURE_SERVICE = "bench"
FEATURES = tuple(f"f{index:02d}" for index in range(32))
INTEGERS = frozenset(FEATURES[2::3])
"""Stored as Int64; the others as Float64."""
VIEWS = tuple(
    View(name, ENTITY, tuple(Column(each, "Int64" if each in INTEGERS else "Float64") for each in FEATURES[part]))
    for name, part in (
        ("bench_profile", slice(0, 11)),
        ("bench_work", slice(11, 22)),
        ("bench_activity", slice(22, 32)),
    )
)

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

    def sources(self, entities: int) -> dict[View, Path]:
        """Return the Parquet file of each view with its rows of the first `entities` entities."""
        return {view: self.source(view, entities) for view in VIEWS}

    def source(self, view: View, entities: int) -> Path:
        """Return the Parquet file of one view."""
        path = self.folder / f"{view.name}_{entities}.parquet"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".part")
            with pq.ParquetWriter(unfinished, arrow_schema(view)) as writer:
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


def batches(view: View, entities: int) -> Iterator[pa.Table]:
    """Yield the view's rows by chunk of entities."""
    places = [FEATURES.index(column.name) for column in view.columns]
    for start in range(0, entities, CHUNK):
        stop = min(start + CHUNK, entities)
        rows = feature_rows(start // CHUNK)[: stop - start, places]
        stamps = pa.array([EVENT_TIME] * (stop - start), pa.timestamp("us", tz="UTC"))
        values = [
            pa.array(rows[:, index].astype(np.int64) if column.dtype == "Int64" else rows[:, index])
            for index, column in enumerate(view.columns)
        ]
        ids = pa.array(entity_ids(start, stop))
        yield pa.Table.from_arrays([ids, *values, stamps, stamps], schema=arrow_schema(view))


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
