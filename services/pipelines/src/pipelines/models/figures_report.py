"""The table of the five models beside the sample marketplace's truth: the one reader of truth, after training."""

from pathlib import Path

import pyarrow as pa

from pipelines.models import MODELS
from pipelines.models.truth_queries import TRUTH_QUERIES
from pipelines.training.flow import TrainingHome, read_figures
from pipelines.training.report import FigureRow, figure_rows, write_report
from pipelines.training.splitting import Part
from pipelines.training.training_set import load_training_set
from pipelines.training.truth_report import irreducible_figures

__all__ = ["log_irreducible", "make_report"]

_NAN = float("nan")


def make_report(home: Path) -> tuple[str, tuple[FigureRow, ...]]:
    """Write `<home>/reports/models.md`; return its text and rows. Models without a version are left out."""
    rows: list[FigureRow] = []
    for declaration in MODELS:
        figures = read_figures(home, declaration.name)
        if figures is None:
            continue
        training_set = load_training_set(TrainingHome(home, declaration.name).directory)
        test = training_set.rows.filter(pa.array(training_set.part == Part.TEST))
        floor = irreducible_figures(declaration, test, home / "truth", TRUTH_QUERIES[declaration.name])
        metrics = {name: _NAN if value is None else value for name, value in figures.metrics.items()}
        naive = {name: _NAN if value is None else value for name, value in figures.naive.items()}
        rows += figure_rows(declaration.name, declaration.headline, metrics, naive, floor)
    return write_report(rows, home / "reports" / "models.md"), tuple(rows)


def log_irreducible(home: Path, rows: tuple[FigureRow, ...], mlflow_url: str) -> None:
    """Add the irreducible figures to the MLflow runs of the versions that the report names."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=mlflow_url, registry_uri=mlflow_url)
    for row in rows:
        figures = read_figures(home, row.model)
        if figures is not None and row.irreducible is not None:
            run_id = client.get_model_version(row.model, figures.version).run_id
            client.log_metric(run_id, f"irreducible_{row.metric}", row.irreducible)
