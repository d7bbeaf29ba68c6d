"""Build the warehouse aside and put it in place: source tables in, audited DuckDB file out."""

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from sqlmesh import Context
from sqlmesh.core.console import set_console
from sqlmesh.utils.errors import SQLMeshError

from pipelines.warehouse.errors import AuditError, WarehouseError
from pipelines.warehouse.lineage import column_sources, write_lineage
from pipelines.warehouse.progress import BuildProgress
from pipelines.warehouse.project_config import PROJECT, project_config
from pipelines.warehouse.settings import WarehouseSettings

__all__ = ["BuiltModel", "build_warehouse", "open_context"]


@dataclass(frozen=True, slots=True)
class BuiltModel:
    """One table of the warehouse as it was built."""

    name: str
    rows: int
    seconds: float
    audits: int
    """Number of audits that the rows passed."""


def open_context(settings: WarehouseSettings, database: Path, project: Path = PROJECT) -> Context:
    """Open SQLMesh on the project with `database` as the warehouse."""
    return Context(paths=[str(project)], config=project_config(settings, database))


def build_warehouse(settings: WarehouseSettings) -> tuple[BuiltModel, ...]:
    """Build every model from the source tables, audit it, and replace the warehouse file in one step.

    Readers of the previous file are not disturbed: DuckDB locks a file that is written to, so the build happens in a
    folder of its own. Raises AuditError if rows break a promise, WarehouseError if SQL fails.
    """
    aside = settings.directory / "building"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    database = aside / settings.database.name
    progress = BuildProgress()
    set_console(progress)
    logging.getLogger("sqlmesh").setLevel(logging.ERROR)
    context = open_context(settings, database)
    try:
        context.plan(auto_apply=True, no_prompts=True, skip_tests=True, skip_linter=True, no_diff=True)
        built = _built(context, progress)
        sources = column_sources(context)
        context.engine_adapter.execute("CHECKPOINT")
    except SQLMeshError as error:
        if progress.failed_audits:
            raise AuditError(progress.failed_audits) from error
        raise WarehouseError("; ".join(progress.errors) or str(error)) from error
    finally:
        context.close()
    write_lineage(settings.directory, sources)
    database.replace(settings.database)
    shutil.rmtree(aside)
    return built


def _built(context: Context, progress: BuildProgress) -> tuple[BuiltModel, ...]:
    names = [model.name for model in context.models.values() if not model.kind.is_external]
    return tuple(
        BuiltModel(
            name=name,
            rows=int(context.engine_adapter.fetchone(f"SELECT count(*) FROM {name}")[0]),  # noqa: S608 — own models
            seconds=progress.seconds.get(name, 0.0),
            audits=progress.audits.get(name, 0),
        )
        for name in sorted(names)
    )
