"""The table of figures: model, naive baseline, irreducible error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FigureRow", "figure_rows", "write_report"]


@dataclass(frozen=True, slots=True)
class FigureRow:
    """One metric of one model on its test slice."""

    model: str
    metric: str
    naive: float
    figure: float
    irreducible: float | None
    """The same metric of the true conditional mean on the same rows; None where nobody knows it."""


def figure_rows(
    model: str,
    headline: Sequence[str],
    metrics: Mapping[str, float],
    naive: Mapping[str, float],
    irreducible: Mapping[str, float] | None,
) -> tuple[FigureRow, ...]:
    """Return a row a headline metric."""
    return tuple(
        FigureRow(model, name, naive[name], metrics[name], None if irreducible is None else irreducible.get(name))
        for name in headline
    )


def write_report(rows: Sequence[FigureRow], path: Path) -> str:
    """Write the rows as a Markdown table and return it."""
    lines = ["| model | metric | naive | model | irreducible |", "|---|---|---:|---:|---:|"]
    for row in rows:
        floor = "" if row.irreducible is None else f"{row.irreducible:,.4g}"
        lines.append(f"| {row.model} | {row.metric} | {row.naive:,.4g} | {row.figure:,.4g} | {floor} |")
    text = "# Models on their test slices\n\n" + "\n".join(lines) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return text
