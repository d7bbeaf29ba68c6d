"""Generate the sample marketplace as the source tables."""

import json
import os
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from marketplace import MarketplaceSpec, generate
from marketplace.tables import SOURCE_TABLES

__all__ = ["SIZE_VARIABLES", "SourceTable", "generate_sources", "spec_from_env"]

SIZE_VARIABLES: Final = {
    "OFFERS_CANDIDATES": "candidates",
    "OFFERS_JOBS": "jobs",
    "OFFERS_COMPANIES": "companies",
    "OFFERS_SEED": "seed",
}
"""Environment variables and what of the spec they set."""

_YEARS = MarketplaceSpec().years
_PARALLEL_FROM = 100_000
"""Candidates from which the start of further processes pays off."""


@dataclass(frozen=True, slots=True)
class SourceTable:
    """One source table as it was generated."""

    name: str
    rows: int
    bytes: int


def spec_from_env(home: Path) -> MarketplaceSpec:
    """Read the size and seed from `OFFERS_CANDIDATES`, `OFFERS_JOBS`, `OFFERS_COMPANIES` and `OFFERS_SEED`.

    The data begins on `OFFERS_START`; without it, where the data under `home` begins; and where there is none, three
    years before this month, so that features are fresh by their views' `ttl`.
    """
    given = {field: int(os.environ[name]) for name, field in SIZE_VARIABLES.items() if os.environ.get(name)}
    asked = os.environ.get("OFFERS_START")
    start = date.fromisoformat(asked) if asked else _known_start(home) or _three_years_before_this_month()
    return MarketplaceSpec(**given, start=start)


def _known_start(home: Path) -> date | None:
    manifest = home / "source" / "marketplace.json"
    return date.fromisoformat(json.loads(manifest.read_text())["start"]) if manifest.exists() else None


def _three_years_before_this_month() -> date:
    today = datetime.now(UTC).date()
    return today.replace(year=today.year - _YEARS, day=1)


def generate_sources(home: Path, spec: MarketplaceSpec) -> tuple[SourceTable, ...]:
    """Write `source/` and, out of reach of training, `truth/`. Raises `marketplace.SpecError`."""
    processes = 1 if spec.candidates < _PARALLEL_FROM else (os.cpu_count() or 1)
    generate(home / "source", home / "truth", spec, processes=processes)
    return tuple(_described(name, home / "source" / name) for name in SOURCE_TABLES)


def _described(name: str, folder: Path) -> SourceTable:
    files = sorted(folder.glob("*.parquet"))
    rows = sum(pq.ParquetFile(file).metadata.num_rows for file in files)
    return SourceTable(name, rows, sum(file.stat().st_size for file in files))
