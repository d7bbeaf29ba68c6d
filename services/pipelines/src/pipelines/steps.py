"""The steps of a run and whether one is up to date: standard library only, since an idle run must cost no imports."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "STEPS",
    "Step",
    "StepRecord",
    "fingerprints",
    "has_inputs",
    "is_current",
    "read_records",
    "record_of",
    "write_records",
]

_PACKAGE = Path(__file__).parent
_REPOSITORY = _PACKAGE.parents[3]
_SOURCES = frozenset({".py", ".sql", ".yaml", ".j2"})


@dataclass(frozen=True, slots=True)
class Step:
    """A group of assets that are made together."""

    name: str
    upstream: tuple[str, ...]
    code: tuple[str, ...]
    """Files and folders, relative to the repository, whose content the result follows from."""
    settings: tuple[str, ...] = ()
    """Environment variables that the result follows from; addresses do not count."""
    outputs: tuple[str, ...] = ()
    """Files under `OFFERS_HOME`; patterns. The step is due again when one is changed or gone."""
    present: tuple[str, ...] = ()
    """Files under `OFFERS_HOME` that others write to as well: the step is due again when one is gone."""
    inputs: tuple[str, ...] = ()
    """Files under `OFFERS_HOME` that others write; patterns. The step is due when they changed, if there are any."""
    asked_only: bool = False
    """A run makes the step when it is selected by name, and not of itself."""
    in_redis: bool = False
    """The result lies in Redis, marked by the step's fingerprint."""


_PIPELINES = "services/pipelines/src/pipelines"

STEPS = (
    Step(
        name="sources",
        upstream=(),
        code=("libs/marketplace/src/marketplace", f"{_PIPELINES}/warehouse/generation.py"),
        settings=("OFFERS_CANDIDATES", "OFFERS_JOBS", "OFFERS_COMPANIES", "OFFERS_SEED", "OFFERS_START"),
        outputs=("source/*/*.parquet",),
    ),
    Step(
        name="warehouse",
        upstream=("sources",),
        code=(f"{_PIPELINES}/warehouse",),
        settings=("OFFERS_SNAPSHOT_GRID_WEEKS",),
        outputs=("warehouse/warehouse.duckdb", "warehouse/lineage.json"),
    ),
    Step(
        name="published",
        upstream=("warehouse",),
        code=(f"{_PIPELINES}/warehouse/publish.py",),
        outputs=("warehouse/features/*.parquet", "warehouse/labels/*.parquet"),
    ),
    Step(
        name="feast",
        upstream=("published",),
        code=("feature_repo", f"{_PIPELINES}/features", "libs/online_features/src/online_features"),
        present=("feast/registry.db",),
        in_redis=True,
    ),
    Step(
        name="models",
        upstream=("published", "feast"),
        code=(f"{_PIPELINES}/models", f"{_PIPELINES}/training", f"{_PIPELINES}/defs/models.py"),
        present=("mlflow/mlflow.db",),
    ),
    Step(
        name="online",
        upstream=("published", "feast"),
        code=(f"{_PIPELINES}/features", "libs/online_features/src/online_features"),
        settings=("OFFERS_FEAST_PROJECT",),
        in_redis=True,
    ),
    Step(
        name="monitoring",
        upstream=("models",),
        code=(f"{_PIPELINES}/monitoring", f"{_PIPELINES}/defs/monitoring.py"),
        inputs=("predictions/*/*/*.parquet", "feedback/*/*/*.parquet"),
        outputs=("monitoring/performance.json", "reports/monitoring/*.html"),
        asked_only=True,
    ),
)
"""In the order in which a run takes them.

Each is a function of its code, its settings and the steps before it, so that a step whose files were lost is made again
without those after it.
"""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What was true when a step was last done."""

    fingerprint: str
    outputs: Mapping[str, tuple[int, int]]
    """Size and modification time (nanoseconds) by path under `OFFERS_HOME`."""


def fingerprints() -> dict[str, str]:
    """Return by step a sha256 over its code, its settings and the fingerprints of the steps before it."""
    result: dict[str, str] = {}
    for step in STEPS:
        digest = hashlib.sha256(step.name.encode())
        for place in step.code:
            for file in _files(_REPOSITORY / place):
                digest.update(str(file.relative_to(_REPOSITORY)).encode() + b"\0" + file.read_bytes() + b"\0")
        for name in step.settings:
            digest.update(f"{name}={os.environ.get(name, '')}\0".encode())
        for before in step.upstream:
            digest.update(result[before].encode())
        result[step.name] = digest.hexdigest()
    return result


def record_of(step: Step, fingerprint: str, home: Path) -> StepRecord:
    """Return what holds for a step that has just been done."""
    patterns = (*step.outputs, *step.inputs)
    found = sorted(file for pattern in patterns for file in home.glob(pattern))
    stats = {str(file.relative_to(home)): (file.stat().st_size, file.stat().st_mtime_ns) for file in found}
    return StepRecord(fingerprint, stats)


def is_current(step: Step, fingerprint: str, record: StepRecord | None, home: Path) -> bool:
    """Say whether the step's files are there as it left them, made from what is there now; Redis is not asked."""
    if record is None or record.fingerprint != fingerprint:
        return False
    if any(not (home / name).exists() for name in step.present):
        return False
    return record_of(step, fingerprint, home) == record


def has_inputs(step: Step, home: Path) -> bool:
    """Say whether the step has what it is made from, as far as others bring it."""
    return not step.inputs or any(any(home.glob(pattern)) for pattern in step.inputs)


def read_records(home: Path) -> dict[str, StepRecord]:
    """Return the records of earlier runs; none if there are none that can be read."""
    try:
        raw = json.loads(_records_file(home).read_text())
        return {
            name: StepRecord(
                entry["fingerprint"], {path: (int(s), int(m)) for path, (s, m) in entry["outputs"].items()}
            )
            for name, entry in raw.items()
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write_records(home: Path, records: Mapping[str, StepRecord]) -> None:
    """Keep the records, atomically."""
    file = _records_file(home)
    file.parent.mkdir(parents=True, exist_ok=True)
    raw = {name: {"fingerprint": record.fingerprint, "outputs": record.outputs} for name, record in records.items()}
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(raw, indent=1, sort_keys=True) + "\n")
    unfinished.replace(file)


def _records_file(home: Path) -> Path:
    return home / "run" / "pipelines.json"


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    return sorted(file for file in place.rglob("*") if file.suffix in _SOURCES and "__pycache__" not in file.parts)
