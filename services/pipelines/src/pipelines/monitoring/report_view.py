"""A service's report in words and numbers as they are printed."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from inference.contract import ReferenceBins
from pipelines.monitoring.drift_tables import ColumnDrift, DriftTables
from pipelines.monitoring.figures import Figure, GateBound
from pipelines.monitoring.psi import Drift

__all__ = ["by_excess", "drift_view", "number", "performance_rows", "share", "weeks_view"]

_MISSING_MATTERS = 0.1
"""As the alert on missing data has it: ten points more than in training."""
_SHOWN_MISSING = 0.01


def number(value: float | None) -> str:
    """Print a figure with three digits, whole from a hundred on; a dash for none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def share(value: float) -> str:
    """Print a share as a percentage."""
    return f"{value:.1%}" if math.isfinite(value) else "–"


def performance_rows(
    metrics: Sequence[str], figures: Sequence[Figure], bounds: Sequence[GateBound], off: frozenset[str]
) -> list[dict[str, Any]]:
    """One a metric: realised, estimated, gate."""
    found = {(figure.metric, figure.kind): figure for figure in figures}
    rows = []
    for metric in metrics:
        realised, estimated = found.get((metric, "realised")), found.get((metric, "estimated"))
        rows.append(
            {
                "metric": metric,
                "realised": number(realised.value if realised else None),
                "interval": _ends(realised),
                "labels": f"{realised.rows:,}" if realised else "–",
                "estimated": number(estimated.value if estimated else None),
                "range": _ends(estimated),
                "rows": f"{estimated.rows:,}" if estimated else "–",
                "gate": ", ".join(_gate(bound) for bound in bounds if bound.metric == metric) or "–",
                "off": metric in off,
            }
        )
    return rows


def drift_view(column: ColumnDrift, importance: float | None, width: int, height: int) -> dict[str, Any]:
    """One column of the contract in the last window, with bars of its bins that fill `width` by `height`."""
    drift, bins = column.drift[0], column.column.bins
    missing, then = float(column.missing[0]), bins.shares[-1]
    return {
        "name": column.column.name,
        "psi": "–" if drift is None else f"{drift.psi:.3f}",
        "noise": "–" if drift is None else f"{drift.noise:.3f}",
        "threshold": "–" if drift is None else f"{drift.threshold:.3f}",
        "rows": "0" if drift is None else f"{drift.rows:,}",
        "drifted": drift is not None and drift.drifted,
        "few": drift is None or not drift.enough,
        "missing": share(missing),
        "missing_then": share(then),
        "missing_more": drift is not None and drift.enough and missing - then > _MISSING_MATTERS,
        "importance": "–" if importance is None else share(importance),
        "importance_width": 0 if importance is None else round(90 * importance, 1),
        "reference_rows": f"{bins.rows:,}",
        "bins": bin_labels(column),
        "bars": _bars(column, width, height),
    }


def by_excess(columns: Sequence[ColumnDrift]) -> list[ColumnDrift]:
    """Farthest above its threshold first, what has too few rows last; then by name."""

    def rank(column: ColumnDrift) -> tuple[bool, float, str]:
        drift = column.drift[0]
        if drift is None or not drift.enough:
            return True, 0.0, column.column.name
        return False, -drift.excess, column.column.name

    return sorted(columns, key=rank)


def weeks_view(tables: DriftTables, columns: Sequence[ColumnDrift]) -> dict[str, Any]:
    """Tables by week, without weeks that have no rows; the first window of the tables is the last seven days."""
    counts = columns[0].counts.sum(axis=1) if columns else []
    kept = [position for position in range(1, len(tables.windows)) if len(counts) and counts[position] > 0]
    return {
        "weeks": [tables.windows[position].start.strftime("%m-%d") for position in kept],
        "week_rows": [f"{int(counts[position]):,}" for position in kept],
        "by_week": [
            {"name": column.column.name, "weeks": [_week_cell(column.drift[position]) for position in kept]}
            for column in columns
        ],
        "missing_by_week": [
            {
                "name": column.column.name,
                "cells": [share(float(column.missing[position])) for position in kept],
                "then": share(column.column.bins.shares[-1]),
            }
            for column in columns
            if any(column.missing[position] > _SHOWN_MISSING for position in kept)
        ],
    }


def bin_labels(column: ColumnDrift) -> list[str]:
    """Name each bin: a category, or a span of numbers."""
    bins = column.column.bins
    if not bins.edges:
        return list(column.column.names)
    return [*_spans(bins), "missing"]


def _spans(bins: ReferenceBins) -> list[str]:
    edges = [f"{edge:,.4g}" if abs(edge) < 1000 else f"{edge:,.0f}" for edge in bins.edges]
    return [
        f"< {edges[0]}",
        *(f"{low} to {high}" for low, high in pairwise(edges)),
        f"≥ {edges[-1]}",
    ]


def _week_cell(drift: Drift | None) -> dict[str, str]:
    if drift is None:
        return {"psi": "–", "level": "few", "title": ""}
    level = "few"
    if drift.enough:
        level = "l2" if drift.drifted else "l1" if drift.psi > drift.threshold / 2 else "l0"
    title = f"{drift.rows:,} rows, by chance {drift.noise:.3f}, threshold {drift.threshold:.3f}"
    return {"psi": f"{drift.psi:.2f}", "level": level, "title": title}


def _bars(column: ColumnDrift, width: int, height: int) -> list[dict[str, Any]]:
    then = column.column.bins.shares
    total = int(column.counts[0].sum())
    now = [float(count) / total if total else 0.0 for count in column.counts[0]]
    top = max(*then, *now, 1e-9)
    step = width / len(then)
    bar = max(min(step * 0.42, 18.0), 0.5)
    return [
        {
            "label": label,
            "then": share(before),
            "now": share(after),
            "x": round(place * step, 2),
            "x2": round(place * step + bar, 2),
            "w": round(bar, 2),
            "then_y": round(height * (1 - before / top), 2),
            "then_h": round(height * before / top, 2),
            "now_y": round(height * (1 - after / top), 2),
            "now_h": round(height * after / top, 2),
        }
        for place, (label, before, after) in enumerate(zip(bin_labels(column), then, now, strict=True))
    ]


def _ends(figure: Figure | None) -> str:
    if figure is None or figure.lower is None or figure.upper is None:
        return ""
    return f"{number(figure.lower)} to {number(figure.upper)}"


def _gate(bound: GateBound) -> str:
    parts = [("≥", bound.at_least), ("≤", bound.at_most)]
    return ", ".join(f"{sign} {number(value)}" for sign, value in parts if value is not None)
