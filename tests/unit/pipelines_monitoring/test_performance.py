"""From log and feedback to the file of figures and its export."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import run

import msgspec
import numpy as np
import pytest
from log_files import moments, write_feedback, write_predictions
from prometheus_client import CollectorRegistry, generate_latest

from inference.contract import OutputSpec
from inference.testing import tiny_model
from pipelines.monitoring import FiguresError, MonitoringError, figures, performance_collector
from pipelines.monitoring.figures import FIGURES_FILE, read_figures
from pipelines.monitoring.performance import FactsOf, make_performance
from pipelines.monitoring.version_facts import VersionFacts

UNTIL = datetime(2026, 11, 24, 6, tzinfo=UTC)
START = UNTIL - timedelta(days=28)


def unknown(model: str, version: str) -> VersionFacts:
    raise MonitoringError(f"{model} {version} is known to nobody")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four weeks of two versions of residency, whose outcomes come after ten days, and of rates without outcomes."""
    home = tmp_path_factory.mktemp("home")
    rng = np.random.default_rng(0)
    for version, first in (("1", START), ("2", START + timedelta(days=14))):
        at = moments(first, timedelta(days=14), 700)
        p = rng.beta(1, 4, 700)
        ids = write_predictions(home, "residency", at, p, version=version, part=version)
        known = [i for i, moment in enumerate(at) if moment + timedelta(days=10) < UNTIL]
        outcome = (rng.random(700) < p).astype(float)
        arrivals = [at[i] + timedelta(days=10) for i in known]
        write_feedback(home, "residency", [ids[i] for i in known], outcome[known], arrivals, part=version)
    rate = rng.uniform(3000, 8000, 400)
    output = {"lower": rate * 0.8, "upper": rate * 1.2, "coverage": np.full(400, 0.8)}
    write_predictions(home, "hourly_rate", moments(START, timedelta(days=28), 400), rate, output=output)
    return home


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> FactsOf:
    output = OutputSpec(name="estimate", unit="JPY/hour", tables={"coverage": (0.8,)})
    contract = tiny_model(tmp_path_factory.mktemp("model"), output=output)
    known = VersionFacts(contract=contract, importance={}, naive={"log_loss": 0.5, "mae": 1200.0}, run_id="r")

    def facts_of(model: str, version: str) -> VersionFacts:
        return known

    return facts_of


def exported(directory: Path) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in performance_collector(directory).collect()
        for sample in family.samples
    }


def test_each_version_has_figures_of_its_own_windows(home: Path, facts: FactsOf) -> None:
    made = make_performance(home, facts, UNTIL)

    residency, rate = (
        next(one for one in made.services if one.service == name) for name in ("residency", "hourly_rate")
    )
    assert [one.service for one in made.services] == ["residency", "hourly_rate"]
    assert residency.versions == ("2", "1")
    (four_weeks,) = residency.windows_of("1", "28d")
    assert (four_weeks.rows, four_weeks.labels) == (700, 700)
    assert four_weeks.lag_median_seconds == 10 * 86400
    (late,) = residency.windows_of("2", "7d")
    assert (late.rows, late.labels) == (350, 0)
    assert late.figure("roc_auc", "realised").value is None
    assert late.figure("roc_auc", "estimated").value > 0.6
    assert residency.windows_of("1", "7d") == ()
    assert rate.coverage == 0.8
    assert rate.windows_of("1", "28d")[0].figure("mae", "estimated").value > 0
    assert datetime.fromisoformat(rate.awaited_since) == START


def test_gates_stand_in_the_units_of_the_figures(home: Path, facts: FactsOf) -> None:
    made = make_performance(home, facts, UNTIL)

    bounds = {(one.metric, one.at_least, one.at_most) for one in made.services[0].bounds if one.version == "2"}
    assert bounds == {("log_loss", None, 0.85 * 0.5), ("roc_auc", 0.75, None), ("calibration_error", None, 0.05)}
    rate = {(one.metric, one.at_least, one.at_most) for one in made.services[1].bounds}
    assert rate == {("mae", None, 0.95 * 1200.0), ("coverage", 0.74, 0.88)}


def test_figures_do_not_need_the_registry(home: Path) -> None:
    made = make_performance(home, unknown, UNTIL)

    assert made.services[0].bounds == ()
    assert made.services[0].windows_of("1", "28d")[0].figure("roc_auc", "realised").value > 0.6


def test_the_same_log_gives_the_same_file(home: Path) -> None:
    make_performance(home, unknown, UNTIL)
    first = (home / "monitoring" / FIGURES_FILE).read_bytes()
    make_performance(home, unknown, UNTIL)

    assert (home / "monitoring" / FIGURES_FILE).read_bytes() == first
    assert len(first) < 200_000


def test_no_log_gives_no_service(tmp_path: Path) -> None:
    assert make_performance(tmp_path, unknown, UNTIL).services == ()


def test_the_export_says_what_the_file_says(home: Path, facts: FactsOf) -> None:
    made = make_performance(home, facts, UNTIL)

    found = exported(home / "monitoring")

    auc = made.services[0].windows_of("1", "28d")[0].figure("roc_auc", "realised")
    of = ("1", "28d", "realised", "residency", "roc_auc")
    assert found["scoring_performance_figure", *sorted(of)] == auc.value
    assert found["scoring_performance_lower", *sorted(of)] == auc.lower
    assert found["scoring_performance_labels", "2", "7d", "residency"] == 0
    assert found["scoring_performance_rows", "2", "7d", "residency"] == 350
    assert found["scoring_label_lag_seconds", "0.5", "1", "28d", "residency"] == 864_000
    assert found["scoring_label_awaited_since_timestamp_seconds", "hourly_rate"] == START.timestamp()
    assert found["scoring_performance_made_timestamp_seconds",] == UNTIL.timestamp()
    assert found["scoring_performance_gate", *sorted(("1", "at_least", "residency", "roc_auc"))] == 0.75
    assert not [key for key in found if "week" in key or "day" in key]


def test_a_figure_that_is_not_known_is_no_series(home: Path) -> None:
    make_performance(home, unknown, UNTIL)

    found = exported(home / "monitoring")

    late = ("2", "7d", "realised", "residency", "roc_auc")
    assert ("scoring_performance_figure", *sorted(late)) not in found
    assert not any(value != value for value in found.values())  # noqa: PLR0124  # NaN alone differs from itself


def test_a_broken_file_leaves_the_last_figures_and_a_lost_one_none(home: Path, tmp_path: Path) -> None:
    make_performance(home, unknown, UNTIL)
    file = tmp_path / FIGURES_FILE
    registry = CollectorRegistry()
    registry.register(performance_collector(tmp_path))
    nothing = generate_latest(registry)
    file.write_bytes((home / "monitoring" / FIGURES_FILE).read_bytes())
    good = generate_latest(registry)
    file.write_bytes(b"{")

    assert nothing == b""
    assert b"scoring_performance_figure" in good
    assert generate_latest(registry) == good
    file.unlink()
    assert generate_latest(registry) == b""


def test_the_file_is_parsed_once_however_often_it_is_scraped(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_performance(home, unknown, UNTIL)
    read = list[bytes]()
    decode = msgspec.json.decode
    monkeypatch.setattr(figures.msgspec.json, "decode", lambda raw, **how: (read.append(raw), decode(raw, **how))[1])
    collector = performance_collector(home / "monitoring")

    for _ in range(3):
        assert list(collector.collect())

    assert len(read) == 1


def test_the_export_loads_nothing_that_computes() -> None:
    heavy = "{'duckdb', 'scipy', 'sklearn', 'matplotlib', 'mlflow', 'pyarrow', 'dagster'}"
    code = f"import sys, pipelines.monitoring; print(sorted({heavy} & set(sys.modules)))"

    answer = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("content", [b"", b"[]", b'{"format": 99, "made_at": "", "services": []}'])
def test_a_file_of_another_form_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FIGURES_FILE).write_bytes(content)

    with pytest.raises(FiguresError, match=FIGURES_FILE):
        read_figures(tmp_path)
