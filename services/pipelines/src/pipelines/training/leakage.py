"""What must not be in a training set: anything that was not known at the label's time.

Three checks: a view has history before the labels at all; every value that the point-in-time join gave is found in a
source row that was both valid and created by the label's time; no feature alone gives the label away.
"""

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from inference.contract import FeatureSpec
from pipelines.training.declaration import Array, LeakageLimits, ModelDeclaration
from pipelines.training.errors import LeakageError
from pipelines.training.feature_plan import FeaturePlan, StoredView
from pipelines.training.label_rows import LABEL_TIME, parquet_pattern

__all__ = ["check_history", "check_single_features", "check_times"]

_FEWEST_ROWS = 200
_BINS = 64


def check_history(plan: FeaturePlan, rows: pa.Table, known: pa.Table) -> None:
    """Refuse a view of which no label row found anything: its rows lie after the labels, or its keys fit nowhere."""
    for view in plan.views:
        if not any(known.num_rows - known[name].null_count for name in _names(plan, view)):
            last = pc.max(rows[LABEL_TIME]).as_py()
            raise LeakageError(
                f"feature view {view.name}: no label has a feature row at or before its time "
                f"(last label {last:%Y-%m-%d}): {view.timestamp_field} lies after the labels, or its keys are others"
            )


def check_times(plan: FeaturePlan, rows: pa.Table, known: pa.Table, limits: LeakageLimits) -> None:
    """Trace the values of some entities back to source rows and compare those rows' times with the label time.

    Raises LeakageError naming the view where a value is only found in rows after the label, or in none.
    """
    for view in plan.views:
        names = _names(plan, view)
        if view.path and names:
            _trace(view, names, rows, known.select(names), limits.audited_entities)


def _trace(view: StoredView, names: list[str], rows: pa.Table, known: pa.Table, entities: int) -> None:
    asked = pa.table(
        {
            **{f"key_{key}": rows[key] for key in view.join_keys},
            "label_time": rows[LABEL_TIME],
            "asked_row": pa.array(range(rows.num_rows), pa.int64()),
            **{f"given_{name}": known[name] for name in names},
        }
    )
    keys = ", ".join(f'"key_{key}"' for key in view.join_keys)
    joined = " AND ".join(f's."{key}" = a."key_{key}"' for key in view.join_keys)
    same = " AND ".join(f's."{name}" IS NOT DISTINCT FROM a."given_{name}"' for name in names)
    given = " OR ".join(f'"given_{name}" IS NOT NULL' for name in names)
    timely = f'CAST(s."{view.timestamp_field}" AS TIMESTAMPTZ) <= a.label_time'
    if view.created_field:
        timely += f' AND CAST(s."{view.created_field}" AS TIMESTAMPTZ) <= a.label_time'
    path = parquet_pattern(view.path).replace("'", "''")
    query = f"""
        WITH chosen AS (SELECT DISTINCT {keys} FROM asked ORDER BY md5(concat({keys})) LIMIT {entities}),
        audited AS (SELECT * FROM asked JOIN chosen USING ({keys}) WHERE {given}),
        traced AS (
            SELECT a.asked_row, bool_or({timely}) AS timely, count(s."{view.join_keys[0]}") AS found
            FROM audited a LEFT JOIN read_parquet('{path}') s ON {joined} AND {same}
            GROUP BY a.asked_row
        )
        SELECT count(*), count(*) FILTER (WHERE found > 0 AND NOT timely), count(*) FILTER (WHERE found = 0) FROM traced
    """  # noqa: S608  names come from Feast's registry
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("asked", asked)
        total, late, lost = connection.execute(query).fetchone() or (0, 0, 0)
    if late or lost:
        raise LeakageError(
            f"feature view {view.name}: of {total} audited label rows {late} hold values that were only known "
            f"after the label's time, and {lost} hold values that no source row explains"
        )


def check_single_features(
    features: tuple[FeatureSpec, ...], matrix: Array, label: Array, declaration: ModelDeclaration
) -> None:
    """Refuse a feature that predicts the label too well by itself, out of sample.

    Each feature is cut into bins (its categories, or up to 64 quantile bins, and missing); the mean label of a bin
    is learned on every second row and held against the others: ROC AUC for 0/1 labels, R² for numbers.
    """
    if len(label) < _FEWEST_ROWS:
        return
    target = np.log(label) if declaration.label_transform == "log" else label
    limits = declaration.leakage
    for position, feature in enumerate(features):
        if not feature.model_input:
            continue
        fitted, truth = _binned_prediction(matrix[:, position], target)
        if declaration.task == "regression":
            figure, limit, name = _r2(truth, fitted), limits.r2, "R²"
        else:
            figure, limit, name = _roc_auc(truth, fitted), limits.roc_auc, "ROC AUC"
        if figure > limit:
            raise LeakageError(
                f"{declaration.name}: feature {feature.name} alone predicts the label with {name} {figure:.3f} "
                f"(limit {limit}): it looks like a copy of what the label says"
            )


def _binned_prediction(values: Array, target: Array) -> tuple[Array, Array]:
    present = values[~np.isnan(values)]
    distinct = np.unique(present)
    edges = distinct if len(distinct) <= _BINS else np.unique(np.quantile(present, np.linspace(0, 1, _BINS + 1)[1:-1]))
    bins = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="right"))
    learn, check = slice(0, None, 2), slice(1, None, 2)
    sums = np.bincount(bins[learn], weights=target[learn], minlength=len(edges) + 2)
    counts = np.bincount(bins[learn], minlength=len(edges) + 2)
    overall = float(target[learn].mean())
    means = np.where(counts > 0, sums / np.maximum(counts, 1), overall)
    return means[bins[check]], target[check]


def _r2(truth: Array, fitted: Array) -> float:
    spread = float(np.sum((truth - truth.mean()) ** 2))
    return 1.0 - float(np.sum((truth - fitted) ** 2)) / spread if spread > 0 else 0.0


def _roc_auc(truth: Array, fitted: Array) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, fitted)) if 0 < truth.sum() < len(truth) else 0.0


def _names(plan: FeaturePlan, view: StoredView) -> list[str]:
    return [feature.name for feature in plan.stored if feature.reference.startswith(f"{view.name}:")]
