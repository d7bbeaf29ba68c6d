"""Ratios are taken between neighbouring rounds, and the report says what was met and what was missed."""

from pathlib import Path

import pytest
from bench.outcome import Bound, Growth, Outcome, Row
from bench.ratios import Ratio, alternate, ratio
from bench.report import machine_line, markdown, plot

OUTCOME = Outcome(
    rows=[
        Row("single", "echo", Ratio(1.2, 1.1, 1.3), target=Bound("≥", 1.0), ours="9 | 8"),
        Row("bulk", "booster", Ratio(1.9, 1.9, 1.9), target=Bound("≤", 1.5)),
        Row("memory", "", Ratio(200.0, 200.0, 200.0), unit="MB", target=Bound("≤", 250.0, "MB")),
        Row("single", "peer", None, note="does not\nstart"),
        Row("single", "other peer", Ratio(8.0, 7.0, 9.0)),
    ],
    growth=[Growth("read", (10, 100), (1.0, 1.5)), Growth("score", (100,), (90.0,))],
)


def test_rounds_alternate() -> None:
    order: list[str] = []

    alternate(lambda: order.append("a"), lambda: order.append("b"), 3)

    assert order == ["a", "b"] * 3


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    assert ratio([2.0, 9.0, 4.0], [1.0, 3.0, 4.0]) == Ratio(median=2.0, low=1.0, high=3.0)


def test_rounds_that_lack_a_neighbour_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio([1.0, 2.0], [1.0])


def test_each_row_has_its_verdict() -> None:
    assert [row.verdict for row in OUTCOME.rows] == ["met", "missed", "met", "not measured", ""]


def test_the_report_has_a_line_a_row_and_no_cell_breaks_it() -> None:
    text = markdown(OUTCOME, "machine", "quick")

    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(OUTCOME.rows) + 2 + len(OUTCOME.growth)
    assert "1.2 (1.1–1.3) ×" in text
    assert "9 \\| 8" in text
    assert "does not start" in text
    assert {line.replace("\\|", "").count("|") for line in lines[:7]} == {9}


def test_sizes_that_were_not_measured_stay_empty_in_the_growth_table() -> None:
    assert "| score | – | 90.0 |" in markdown(OUTCOME, "machine", "quick")


def test_the_plot_is_a_png(tmp_path: Path) -> None:
    plot(OUTCOME, tmp_path / "report.png")

    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


def test_the_machine_line_names_processor_and_python() -> None:
    assert "cores" in machine_line()
    assert "Python 3." in machine_line()
