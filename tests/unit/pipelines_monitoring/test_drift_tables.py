"""Drift is counted in the contract's bins and judged as the recording rules judge it."""

import importlib.util
import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import pytest
from log_files import moments, write_predictions

from inference.contract import Contract, ReferenceBins
from inference.drift import BinCounts
from inference.testing import tiny_model
from pipelines.monitoring.drift_tables import DriftTables, drift_tables
from pipelines.monitoring.prediction_rows import open_predictions
from pipelines.monitoring.psi import FEWEST_ROWS_A_BIN, drift_of
from pipelines.monitoring.watched import WATCHED
from pipelines.monitoring.windows import Window

UNTIL = datetime(2026, 11, 23, tzinfo=UTC)
WEEK = timedelta(days=7)
RATE = next(service for service in WATCHED if service.name == "hourly_rate")
TENTHS = ReferenceBins(edges=tuple(i / 10 for i in range(1, 10)), shares=(*(0.1,) * 10, 0.0), rows=5000)


def binned(values: np.ndarray, bins: ReferenceBins = TENTHS) -> list[int]:
    return [*np.histogram(values, [-np.inf, *bins.edges, np.inf])[0].tolist(), int(np.isnan(values).sum())]


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    made = tiny_model(tmp_path_factory.mktemp("model"))
    number = ReferenceBins(edges=(2.0, 4.0, 6.0, 8.0), shares=(0.2, 0.2, 0.2, 0.2, 0.1, 0.1), rows=5000)
    category = ReferenceBins(edges=(), shares=(0.25, 0.25, 0.25, 0.15, 0.1), rows=5000)
    features = tuple(
        msgspec.structs.replace(one, bins=category if one.dtype == "category" else number) for one in made.features
    )
    return msgspec.structs.replace(made, features=features, output=msgspec.structs.replace(made.output, bins=number))


def rules() -> ModuleType:
    path = Path(__file__).parents[3] / "deploy" / "prometheus" / "generate_drift_rules.py"
    spec = importlib.util.spec_from_file_location("drift_rules", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def evaluated(record: str, replaced: dict[str, str]) -> float:
    """Compute a recording rule's expression for one feature: the names in it stand for numbers."""
    (expression,) = [rule["expr"] for rule in rules().drift_rules("feature", "1d") if rule["record"] == record]
    expression = re.sub(r"\b(on|by) \([^)]*\)", "", expression)
    for name, value in replaced.items():
        expression = expression.replace(name, value)
    return float(eval(expression.replace("^", "**"), {"clamp_min": max, "sqrt": math.sqrt, "count": lambda one: one}))  # noqa: S307


@pytest.mark.parametrize("rows", [150, 2_000, 400_000])
def test_noise_and_threshold_are_those_of_the_recording_rules(rows: int) -> None:
    counts = np.array([rows // 10] * 10 + [0])
    drift = drift_of(counts, TENTHS)
    assert drift is not None

    unit = 1 / int(counts.sum()) + 1 / TENTHS.rows
    names = {"scoring:feature_psi_noise:1d": repr(unit), "(scoring:feature_bin_reference:1d)": "(11)"}
    assert drift.threshold == pytest.approx(evaluated("scoring:feature_psi_threshold:1d", names), rel=1e-12)
    assert drift.noise == pytest.approx(unit * 10)
    assert rules()._FLOOR_SHARE == "1e-4"
    assert str(FEWEST_ROWS_A_BIN) == rules()._ROWS_A_BIN


def test_psi_is_its_formula() -> None:
    counts = np.array([30, 10, 20, 5, 5, 10, 10, 5, 3, 0, 2])
    drift = drift_of(counts, TENTHS)
    assert drift is not None

    shares = [max(count / 100, 1e-4) for count in counts]
    expected = sum((p - max(q, 1e-4)) * math.log(p / max(q, 1e-4)) for p, q in zip(shares, TENTHS.shares, strict=True))
    assert drift.psi == pytest.approx(expected, abs=1e-12)


def test_chance_is_no_drift_and_its_mean_is_the_noise() -> None:
    rng = np.random.default_rng(0)
    found = [drift_of(np.array(binned(rng.random(600))), TENTHS) for _ in range(200)]

    assert not any(one.drifted for one in found)
    # The bin of missing values is empty in both, which leaves nine degrees of freedom of ten.
    assert np.mean([one.psi for one in found]) == pytest.approx(found[0].noise * 0.9, rel=0.15)


def test_a_shift_is_drift_and_too_few_rows_say_nothing() -> None:
    rng = np.random.default_rng(1)
    shifted = rng.beta(1.6, 1, 2000)

    many, few = drift_of(np.array(binned(shifted)), TENTHS), drift_of(np.array(binned(shifted[:100])), TENTHS)

    assert many.drifted
    assert (few.enough, few.drifted) == (False, False)


def test_nothing_to_compare_gives_none() -> None:
    assert drift_of(np.zeros(11, dtype=np.int64), TENTHS) is None
    assert drift_of(np.array([5]), ReferenceBins(edges=(), shares=(1.0,), rows=5)) is None


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory, contract: Contract) -> tuple[Path, np.ndarray, np.ndarray]:
    """Two weeks of 30,000 rows, more than are read at a time; the log lacks one feature of the contract."""
    home = tmp_path_factory.mktemp("home")
    rng = np.random.default_rng(2)
    n = 30_000
    matrix = rng.integers(0, 10, (n, len(contract.features))).astype(float)
    matrix[:, 0] %= 4
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    prediction = rng.uniform(0, 10, n)
    names = [feature.name for feature in contract.features]
    features = {name: matrix[:, place] for place, name in enumerate(names) if name != "has_github"}
    write_predictions(home, "hourly_rate", moments(UNTIL - 2 * WEEK, 2 * WEEK, n), prediction, features=features)
    return home, matrix, prediction


def counted(home: Path, contract: Contract, windows: list[Window]) -> DriftTables:
    with open_predictions(home, RATE, UNTIL - 2 * WEEK, UNTIL) as rows:
        return drift_tables(rows, contract, "1", windows)


def test_windows_are_counted_as_the_services_count(
    logged: tuple[Path, np.ndarray, np.ndarray], contract: Contract
) -> None:
    home, matrix, prediction = logged
    windows = [Window("7d", UNTIL - WEEK, UNTIL), Window("week", UNTIL - 2 * WEEK, UNTIL - WEEK)]

    found = counted(home, contract, windows)

    expected = {
        column.name: np.stack([second, first])
        for column, first, second in zip(
            BinCounts(contract).columns,
            BinCounts(contract).count(matrix[:15_000], prediction[:15_000]),
            BinCounts(contract).count(matrix[15_000:], prediction[15_000:]),
            strict=True,
        )
    }
    assert {column.column.name for column in found.features} == set(expected) - {"has_github", "estimate"}
    for column in (*found.features, found.prediction):
        assert column.counts.tolist() == expected[column.column.name].tolist()
    assert found.rows == 15_000


def test_a_feature_that_is_not_logged_is_named_and_not_counted_as_missing(
    logged: tuple[Path, np.ndarray, np.ndarray], contract: Contract
) -> None:
    found = counted(logged[0], contract, [Window("7d", UNTIL - WEEK, UNTIL)])

    assert found.unlogged == ("has_github",)


def test_a_window_without_rows_has_no_drift(logged: tuple[Path, np.ndarray, np.ndarray], contract: Contract) -> None:
    found = counted(logged[0], contract, [Window("week", UNTIL, UNTIL + WEEK)])

    assert {column.drift for column in found.features} == {(None,)}
    assert np.isnan(found.features[0].missing).all()
