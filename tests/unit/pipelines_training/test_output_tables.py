"""Tables of the contract: intervals cover, calibration is monotone, percentiles rise."""

import numpy as np
import pytest
from scipy.stats import binom

from pipelines.training.declaration import HeldOut, Scored
from pipelines.training.output_tables import (
    CalibratedProbability,
    ConformalInterval,
    ScoreWithPercentile,
    conformal_offset,
    isotonic_table,
)

GROUPS = 5


def _priced(seed: int, n: int) -> HeldOut:
    """Log prices whose noise grows with the price; anonymous rows are known less well."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(8.5, 0.4, n)
    label = raw + rng.normal(0.0, 0.1 + 0.2 * (raw > 8.5), n)
    blurred = raw + rng.normal(0.0, 0.3, n)
    return HeldOut(Scored(raw, label), Scored(blurred, label), raw)


@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_intervals_cover_what_they_say_within_binomial_bounds(coverage: float) -> None:
    n_calibration, n_test = 4000, 20_000
    tables = ConformalInterval(coverage=coverage, groups=GROUPS)

    figures = tables.metrics(_priced(2, n_test), tables.build(_priced(1, n_calibration)))

    # Coverage given the calibration set is itself random, with about the spread of n_calibration draws.
    spread = np.sqrt(coverage * (1 - coverage) * GROUPS * (1 / n_calibration + 1 / n_test))
    for group in ("known", "anonymous"):
        assert figures[f"coverage_{group}"] == pytest.approx(coverage, abs=4 * spread)


def test_intervals_are_valid_on_average_over_small_calibration_sets() -> None:
    """The finite-sample correction: with 49 rows and one group, misses stay at most 20 % over many repetitions."""
    tables = ConformalInterval(coverage=0.8, groups=1)
    rng = np.random.default_rng(0)
    repetitions, inside = 2000, 0
    for _ in range(repetitions):
        raw, label = np.zeros(50), rng.standard_t(3, 50)
        rows = Scored(raw[:49], label[:49])
        built = tables.build(HeldOut(rows, rows, raw))
        inside += bool(built["interval_low_known"][0] <= label[49] <= built["interval_high_known"][0])

    assert inside >= binom.ppf(0.001, repetitions, 0.8)


def test_wide_groups_get_wide_intervals() -> None:
    built = ConformalInterval(groups=2).build(_priced(3, 5000))

    width = np.subtract(built["interval_high_known"], built["interval_low_known"])
    assert width[1] > 2 * width[0]


def test_a_conformal_offset_is_the_rank_that_the_theorem_names() -> None:
    assert conformal_offset(np.arange(1.0, 10.0), 0.1) == 9.0
    assert conformal_offset(np.arange(1.0, 20.0), 0.1) == 18.0


def test_calibration_is_monotone_and_repairs_overconfidence() -> None:
    rng = np.random.default_rng(4)
    truth = rng.uniform(0.05, 0.95, 8000)
    raw = truth**3 / (truth**3 + (1 - truth) ** 3)
    label = (rng.random(8000) < truth).astype(float)

    x, y = isotonic_table(raw[:4000], label[:4000])
    calibrated = np.interp(raw[4000:], x, y)

    assert (np.diff(x) > 0).all()
    assert (np.diff(y) >= 0).all()
    assert (x[0], x[-1]) == (0.0, 1.0)
    assert np.abs(calibrated - truth[4000:]).mean() < 0.5 * np.abs(raw[4000:] - truth[4000:]).mean()


def test_the_review_band_holds_its_error_rates() -> None:
    rng = np.random.default_rng(5)
    raw = rng.beta(0.5, 0.5, 5000)
    label = (rng.random(5000) < raw).astype(float)
    rows = Scored(raw, label)
    tables = CalibratedProbability(low_error=0.03, high_error=0.1)

    built = tables.build(HeldOut(rows, rows, raw))

    low, high = built["review_low"][0], built["review_high"][0]
    probability = tables.main(raw, built)
    assert 0.0 < low < high < 1.0
    assert label[probability < low].mean() <= 0.03
    assert 1 - label[probability > high].mean() <= 0.1


def test_percentiles_rise_even_where_predictions_repeat() -> None:
    population = np.repeat([2.0, 3.0, 4.0], 50)
    rows = Scored(population, population)

    built = ScoreWithPercentile().build(HeldOut(rows, rows, population))

    assert len(built["percentile_x"]) == 101
    assert (np.diff(built["percentile_x"]) > 0).all()
    assert np.interp(3.0, built["score_x"], built["score_y"]) == 50.0
