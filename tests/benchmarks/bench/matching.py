"""Candidates and jobs for shortlists: features as the recommendation service has them, drawn at random."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.columns import Column, View, arrow_schema
from bench.dataset import CHUNK, EVENT_TIME, LEAVES, SEED, TREES, entity_ids
from inference.contract import (
    CONTRACT_VERSION,
    BoosterSpec,
    Contract,
    FeatureSpec,
    GoldenRows,
    OnDemandSpec,
    OutputSpec,
    ProhibitedStatement,
    TrainingRecord,
)
from marketplace.on_demand import PAIR_FIT_INPUTS, PAIR_FIT_OUTPUTS, pair_fit
from marketplace.vocabulary import (
    EMPLOYMENT_STATUSES,
    ENGLISH_LEVELS,
    INDUSTRIES,
    JAPANESE_LEVELS,
    REMOTE_MODES,
    ROLES,
    SENIORITIES,
    SKILLS,
)

__all__ = ["JOBS", "VIEWS", "job_ids", "match_contract", "train_match", "write_source"]

JOBS = 2_000
TRAINING_ROWS = 40_000
GOLDEN = 5


def category(name: str, words: tuple[str, ...]) -> Column:
    """Declare a String feature of these words."""
    return Column(name, "String", words)


def numbers(*names: str) -> tuple[Column, ...]:
    """Declare Int64 features."""
    return tuple(Column(name, "Int64") for name in names)


CANDIDATE_PROFILE = View(
    "candidate_profile",
    "candidate_id",
    (
        category("role", ROLES),
        Column("years_experience", "Float64"),
        category("english_level", ENGLISH_LEVELS),
        category("japanese_level", JAPANESE_LEVELS),
        category("remote_preference", REMOTE_MODES),
        category("employment_status", EMPLOYMENT_STATUSES),
        *numbers("desired_rate_yen", "desired_hours_week", "bio_length", "has_github"),
    ),
)
CANDIDATE_SKILLS = View(
    "candidate_skills",
    "candidate_id",
    (
        *numbers("skill_mask", "skill_count", "skill_level_max", "endorsements_total"),
        *(Column(name, "Float64") for name in ("skill_years_max", "skill_level_mean", "skill_rarity_mean")),
        category("top_skill", SKILLS),
    ),
)
CANDIDATE_TRACK = View(
    "candidate_track",
    "candidate_id",
    numbers("applications_90d", "contracts_count", "renewals_count", "rate_mean_yen", "evaluations_count"),
)
JOB_PROFILE = View(
    "job_profile",
    "job_id",
    (
        category("job_role", ROLES),
        category("job_seniority", SENIORITIES),
        category("job_industry", INDUSTRIES),
        category("job_remote", REMOTE_MODES),
        *numbers("job_rate_min_yen", "job_rate_max_yen", "job_hours_week", "job_skill_mask", "job_skill_count"),
    ),
)
VIEWS = (CANDIDATE_PROFILE, CANDIDATE_SKILLS, CANDIDATE_TRACK, JOB_PROFILE)
STORED = tuple(column for view in VIEWS for column in view.columns)


def job_ids(jobs: int) -> list[str]:
    """Ids of the first jobs."""
    return [f"j{index + 1:07d}" for index in range(jobs)]


def values(column: Column, rows: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Draw (rows,) values as the model sees them: categories as codes."""
    if column.categories:
        drawn = random.integers(len(column.categories), size=rows).astype(np.float64)
    elif column.name.endswith("skill_mask"):
        drawn = np.zeros(rows)
        drawn += np.bitwise_or.reduce(1 << random.integers(len(SKILLS), size=(6, rows)))
    elif column.name.endswith("_yen"):
        drawn = random.integers(15, 120, size=rows) * np.float64(100)
    elif column.name.endswith("hours_week"):
        drawn = random.integers(1, 9, size=rows) * np.float64(5)
    else:
        drawn = random.gamma(2.0, 4.0, size=rows)
    return np.floor(drawn).astype(np.float64) if column.dtype == "Int64" else drawn


def write_source(view: View, entities: int, path: Path) -> None:
    """Write the Parquet source of a view."""
    ids = job_ids(entities) if view.join_key == "job_id" else entity_ids(0, entities)
    with pq.ParquetWriter(path, arrow_schema(view)) as writer:
        for start in range(0, entities, CHUNK):
            writer.write_table(pa.Table.from_arrays(list(arrays(view, start, ids)), schema=arrow_schema(view)))


def arrays(view: View, start: int, ids: list[str]) -> Iterator[pa.Array]:
    """Yield the columns of one chunk of a source."""
    part = ids[start : start + CHUNK]
    yield pa.array(part)
    for place, column in enumerate(view.columns):
        drawn = values(column, len(part), np.random.default_rng((SEED, start, len(view.name), place)))
        if column.categories:
            yield pa.array(np.array(column.categories, dtype=object)[drawn.astype(np.int64)], pa.string())
        else:
            yield pa.array(drawn.astype(np.int64) if column.dtype == "Int64" else drawn)
    stamps = pa.array([EVENT_TIME] * len(part), pa.timestamp("us", tz="UTC"))
    yield stamps
    yield stamps


def sample(rows: int) -> NDArray[np.float64]:
    """Draw (rows, inputs) model inputs: stored features, then those of `pair_fit`."""
    random = np.random.default_rng(SEED)
    stored = {column.name: values(column, rows, random) for column in STORED}
    fitted = pair_fit(stored)
    return np.column_stack([*stored.values(), *(fitted[name] for name in PAIR_FIT_OUTPUTS)])


def train_match(path: Path) -> None:
    """Fit a booster of 300 trees × 63 leaves on a made label."""
    import lightgbm

    rows = sample(TRAINING_ROWS)
    random = np.random.default_rng(SEED)
    scaled = (rows - np.nanmean(rows, axis=0)) / np.nanstd(rows, axis=0)
    label = np.nan_to_num(scaled) @ random.normal(size=rows.shape[1]) + random.normal(size=len(rows)) > 0
    parameters = {"objective": "binary", "num_leaves": LEAVES, "num_threads": 1, "verbosity": -1, "seed": SEED}
    lightgbm.train(parameters, lightgbm.Dataset(rows, label), TREES).save_model(path)


def match_contract(model: Path) -> Contract:
    """Contract of that booster, as the recommendation service needs it."""
    import lightgbm

    rows = sample(GOLDEN)
    raw = np.asarray(lightgbm.Booster(model_file=model).predict(rows, num_threads=1))
    stored = tuple(
        FeatureSpec(
            name=column.name,
            reference=f"{view.name}:{column.name}",
            source="stored",
            dtype="category" if column.categories else ("int" if column.dtype == "Int64" else "float"),
            categories=column.categories,
        )
        for view in VIEWS
        for column in view.columns
    )
    fitted = tuple(
        FeatureSpec(name=name, reference=f"pair_fit:{name}", source="on_demand", dtype="float")
        for name in PAIR_FIT_OUTPUTS
    )
    on_demand = OnDemandSpec(
        view="pair_fit",
        function="marketplace.on_demand:pair_fit",
        inputs=tuple(PAIR_FIT_INPUTS),
        outputs=tuple(PAIR_FIT_OUTPUTS),
    )
    return Contract(
        contract_version=CONTRACT_VERSION,
        model="recommendation",
        task="binary",
        entities=("job_id", "candidate_id"),
        feature_service="recommendation",
        features=(*stored, *fitted),
        on_demand=(on_demand,),
        booster=BoosterSpec(library="lightgbm", file=model.name, sha256=hashlib.sha256(model.read_bytes()).hexdigest()),
        output=OutputSpec(
            name="score", unit="probability", tables={"calibration_x": (0.0, 1.0), "calibration_y": (0.0, 1.0)}
        ),
        golden=GoldenRows(
            inputs=tuple(tuple(None if np.isnan(one) else one for one in row) for row in rows.tolist()),
            raw=tuple(raw.tolist()),
        ),
        training=TrainingRecord(
            fingerprint=hashlib.sha256(rows.tobytes()).hexdigest(),
            rows=TRAINING_ROWS,
            started_at="2026-10-01T00:00:00Z",
            ended_at="2026-11-01T00:00:00Z",
            label_query="",
        ),
        prohibited=ProhibitedStatement(attributes=(), checked="made data"),
    )
