"""A feature service that reaches a prohibited attribute is refused, whichever way it goes."""

import json
import shutil
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from marketplace.tables import PROHIBITED
from pipelines.features.prohibited import ProhibitedFeatureError, refuse_prohibited
from pipelines.warehouse.lineage_file import CONDITIONS, LINEAGE_FILE


@dataclass
class Feature:
    name: str
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Projection:
    name: str
    features: list[Feature]


@dataclass
class Service:
    name: str
    feature_view_projections: list[Projection]


def service(*features: Feature) -> Service:
    return Service("hourly_rate", [Projection("candidate_profile", list(features))])


@pytest.mark.parametrize("column", PROHIBITED)
def test_prohibited_column_is_refused_by_name(column: str, tmp_path: Path) -> None:
    with pytest.raises(ProhibitedFeatureError, match=f"hourly_rate reaches candidate_profile:{column}"):
        refuse_prohibited([service(Feature(column))], tmp_path)


def test_tagged_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProhibitedFeatureError, match="tagged"):
        refuse_prohibited([service(Feature("generation", {"prohibited": "age"}))], tmp_path)


def lineage_of(home: Path, replaced: str, by: str) -> dict[str, dict[str, tuple[str, ...]]]:
    """Lineage of the project with a change to the staging of candidates."""
    from pipelines.warehouse.build import open_context
    from pipelines.warehouse.lineage import column_sources
    from pipelines.warehouse.project_config import PROJECT
    from pipelines.warehouse.settings import WarehouseSettings

    project = home / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("__pycache__", "config.py"))
    staging = project / "models" / "staging" / "candidates.sql"
    text = staging.read_text()
    assert replaced in text
    staging.write_text(text.replace(replaced, by, 1))
    settings = WarehouseSettings(home=home, snapshot_end=datetime(2024, 11, 1))
    context = open_context(settings, home / "warehouse.duckdb", project)
    try:
        return {view: dict(columns) for view, columns in column_sources(context).items()}
    finally:
        context.close()


def refused(home: Path, lineage: dict[str, dict[str, tuple[str, ...]]], feature: str) -> None:
    (home / LINEAGE_FILE).write_text(json.dumps(lineage))
    refuse_prohibited([service(Feature(feature))], home)


def test_column_that_flows_through_sql_is_refused(tmp_path: Path) -> None:
    """Years of experience computed from the date of birth two models before the feature table."""
    lineage = lineage_of(
        tmp_path,
        "raw.years_experience,",
        "CAST(DATE_DIFF('year', raw.birth_date, raw.updated_at) AS DOUBLE) AS years_experience,",
    )

    with pytest.raises(ProhibitedFeatureError, match=r"years_experience \(from source.candidates.birth_date\)"):
        refused(tmp_path, lineage, "years_experience")


def test_column_that_conditions_rows_is_refused(tmp_path: Path) -> None:
    lineage = lineage_of(
        tmp_path, "FROM source.candidates AS raw\n", "FROM source.candidates AS raw\nWHERE raw.sex <> 'x'\n"
    )

    assert "source.candidates.sex" in lineage["candidate_profile"][CONDITIONS]
    with pytest.raises(ProhibitedFeatureError, match=r"conditions on source\.candidates\.sex"):
        refused(tmp_path, lineage, "role")


def test_the_project_reaches_no_prohibited_column(tmp_path: Path) -> None:
    lineage = lineage_of(tmp_path, "raw.role,", "raw.role,")

    reached = {
        source.rpartition(".")[2] for columns in lineage.values() for found in columns.values() for source in found
    }
    assert not reached & set(PROHIBITED)
    assert lineage["candidate_profile"]["role"] == ("source.candidates.role",)
    refused(tmp_path, lineage, "role")
