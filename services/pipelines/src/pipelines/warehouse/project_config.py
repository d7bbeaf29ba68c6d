"""SQLMesh's configuration of the warehouse project: the connection, the variables, the source schema."""

from collections.abc import Iterator
from pathlib import Path

from sqlmesh.core.config import Config, DuckDBConnectionConfig, GatewayConfig, ModelDefaultsConfig

from marketplace import vocabulary
from marketplace.tables import SOURCE_TABLES
from pipelines.warehouse.settings import WarehouseSettings

__all__ = ["PROJECT", "project_config"]

PROJECT = Path(__file__).parent / "project"
"""Folder of the SQLMesh project."""

_WORD_LISTS = (
    "APPLICATION_SOURCES",
    "APPLICATION_STATUSES",
    "CHECK_METHODS",
    "COUNTRIES",
    "EMPLOYMENT_STATUSES",
    "EMPLOYMENT_TYPES",
    "ENGLISH_LEVELS",
    "INDUSTRIES",
    "JAPANESE_LEVELS",
    "PREFECTURES",
    "REMOTE_MODES",
    "ROLES",
    "SCOUT_REPLIES",
    "SENIORITIES",
    "SKILLS",
)


def project_config(settings: WarehouseSettings, database: Path) -> Config:
    """Configure the project to build into `database`; nothing is reported to anybody."""
    connection = DuckDBConnectionConfig(
        database=str(database),
        concurrent_tasks=1,
        connector_config={
            "memory_limit": f"{settings.memory_limit_mb}MB",
            "threads": settings.threads,
            "temp_directory": str(database.parent / "spill"),
            "preserve_insertion_order": False,
            "TimeZone": "UTC",
            "autoinstall_known_extensions": False,
        },
    )
    return Config(
        gateways={"local": GatewayConfig(connection=connection)},
        default_gateway="local",
        model_defaults=ModelDefaultsConfig(dialect="duckdb"),
        variables={
            "snapshot_end": settings.snapshot_end.isoformat(sep=" "),
            "snapshot_unit": settings.snapshot_unit,
        },
        before_all=list(_source_schema(settings)),
        cache_dir=str(settings.directory / "sqlmesh-cache"),
        disable_anonymized_analytics=True,
    )


def _source_schema(settings: WarehouseSettings) -> Iterator[str]:
    """Yield the statements that lay views over the source tables, and the words that models and audits look up."""
    yield "CREATE SCHEMA IF NOT EXISTS source"
    for table in SOURCE_TABLES:
        files = str(settings.source / table / "*.parquet").replace("'", "''")
        yield f"CREATE OR REPLACE VIEW source.{table} AS SELECT * FROM read_parquet('{files}')"  # noqa: S608 — own words and paths
    words = ", ".join(
        f"('{name}', '{word}', {code})" for name in _WORD_LISTS for code, word in enumerate(getattr(vocabulary, name))
    )
    yield f"CREATE OR REPLACE TABLE source.vocabulary AS SELECT * FROM (VALUES {words}) AS w(name, word, code)"  # noqa: S608 — own words and paths
    skills = ", ".join(
        f"('{skill}', {code}, CAST({rarity} AS DECIMAL(9, 3)))"
        for code, (skill, rarity) in enumerate(zip(vocabulary.SKILLS, vocabulary.SKILL_RARITY, strict=True))
    )
    yield f"CREATE OR REPLACE TABLE source.skills AS SELECT * FROM (VALUES {skills}) AS s(skill, code, rarity)"  # noqa: S608 — own words and paths
    grid = ", ".join(f"(CAST('{moment.isoformat(sep=' ')}' AS TIMESTAMP))" for moment in settings.snapshot_grid())
    yield f"CREATE OR REPLACE TABLE source.snapshot_grid AS SELECT * FROM (VALUES {grid}) AS g(snapshot_at)"  # noqa: S608 — own words and paths
