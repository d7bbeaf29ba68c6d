"""Figures are those of independent computations, and their intervals hold what they say."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from pipelines.monitoring.figures import Figure
from pipelines.monitoring.prediction_rows import WindowRows
from pipelines.monitoring.realised import realised_figures
from pipelines.monitoring.uncertainty import share_spread
from pipelines.monitoring.watched import WATCHED, WatchedService
from pipelines.training.metrics import ndcg_at

BY_NAME = {service.name: service for service in WATCHED}
RESIDENCY, RATE, SKILL = BY_NAME["residency"], BY_NAME["hourly_rate"], BY_NAME["skill_experience"]
RECOMMENDATION = BY_NAME["recommendation"]
_NONE = np.empty(0)


def rows_of(
    prediction: np.ndarray,
    outcome: np.ndarray,
    *,
    lower: np.ndarray | None = None,
    upper: np.ndarray | None = None,
    group: np.ndarray | None = None,
) -> WindowRows:
    n = len(prediction)
    unknown = np.full(n, np.nan)
    return WindowRows(
        rows=n,
        labels=int(np.sum(~np.isnan(outcome))),
        prediction=prediction,
        lower=unknown if lower is None else lower,
        upper=unknown if upper is None else upper,
        coverage=np.full(n, 0.8),
        outcome=outcome,
        group=np.zeros(n, dtype=np.intp) if group is None else group,
    )


def by_metric(figures: Sequence[Figure]) -> dict[str, Figure]:
    return {figure.metric: figure for figure in figures}


def calibrated(seed: int, n: int) -> WindowRows:
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 4, n)
    return rows_of(p, (rng.random(n) < p).astype(float))


def test_probabilities_give_what_scikit_learn_gives() -> None:
    rows = calibrated(0, 800)

    found = by_metric(realised_figures(RESIDENCY, rows))

    label, p = rows.outcome, rows.prediction
    assert found["roc_auc"].value == pytest.approx(roc_auc_score(label, p), abs=1e-12)
    assert found["pr_auc"].value == pytest.approx(average_precision_score(label, p), abs=1e-12)
    assert found["log_loss"].value == pytest.approx(log_loss(label, p), abs=1e-9)
    assert found["brier"].value == pytest.approx(brier_score_loss(label, p), abs=1e-12)
    assert {figure.rows for figure in found.values()} == {800}


def test_scores_and_rates_give_what_their_formulas_say() -> None:
    rng = np.random.default_rng(1)
    score = rng.uniform(20, 80, 300)
    rating = score + rng.normal(0, 10, 300)
    rate = rng.uniform(3000, 8000, 300)
    paid = rate * np.exp(rng.normal(0, 0.1, 300))

    scores = by_metric(realised_figures(SKILL, rows_of(score, rating)))
    rates = by_metric(realised_figures(RATE, rows_of(rate, paid, lower=rate * 0.9, upper=rate * 1.1)))

    assert scores["rmse"].value == pytest.approx(np.sqrt(np.mean((score - rating) ** 2)))
    assert scores["spearman"].value == pytest.approx(spearmanr(score, rating).statistic)
    assert rates["mae"].value == pytest.approx(np.mean(np.abs(rate - paid)))
    assert rates["mdape"].value == pytest.approx(np.median(np.abs(rate - paid) / paid))
    assert rates["coverage"].value == np.mean((paid >= rate * 0.9) & (paid <= rate * 1.1))
    assert rates["interval_width"].value == pytest.approx(np.mean(rate) * 0.2)


def test_ranking_is_the_mean_over_jobs_as_in_training() -> None:
    rng = np.random.default_rng(2)
    p, job = rng.random(600), np.repeat(np.arange(40), 15)
    outcome = (rng.random(600) < p).astype(float)

    found = by_metric(realised_figures(RECOMMENDATION, rows_of(p, outcome, group=job)))

    assert found["ndcg_at_10"].value == ndcg_at(10, job, outcome, p)


@pytest.mark.parametrize("metric", ["roc_auc", "pr_auc", "log_loss", "brier"])
def test_95_of_100_intervals_of_probabilities_hold_the_truth(metric: str) -> None:
    truth = by_metric(realised_figures(RESIDENCY, calibrated(0, 400_000)))[metric].value

    found = [by_metric(realised_figures(RESIDENCY, calibrated(seed, 400)))[metric] for seed in range(1, 201)]

    held = np.mean([one.lower <= truth <= one.upper for one in found])
    assert 0.90 <= held <= 0.99


@pytest.mark.parametrize("metric", ["mae", "mdape", "coverage"])
def test_95_of_100_intervals_of_rates_hold_the_truth(metric: str) -> None:
    def rates(seed: int, n: int) -> Figure:
        rng = np.random.default_rng(seed)
        rate = rng.uniform(3000, 8000, n)
        rows = rows_of(rate, rate * np.exp(rng.normal(0, 0.1, n)), lower=rate * 0.88, upper=rate * 1.14)
        return by_metric(realised_figures(RATE, rows))[metric]

    truth = rates(0, 400_000).value

    held = np.mean([one.lower <= truth <= one.upper for one in (rates(seed, 200) for seed in range(1, 201))])
    assert 0.90 <= held <= 0.99


def test_calibration_error_of_a_calibrated_model_is_its_noise() -> None:
    found = [by_metric(realised_figures(RESIDENCY, calibrated(seed, 500)))["calibration_error"] for seed in range(60)]

    assert np.mean([one.value for one in found]) == pytest.approx(np.mean([one.noise for one in found]), rel=0.1)


def test_calibration_error_of_a_wrong_model_is_far_above_its_noise() -> None:
    rows = calibrated(3, 2000)

    found = by_metric(realised_figures(RESIDENCY, replace(rows, prediction=np.clip(rows.prediction + 0.2, 0, 1))))

    assert found["calibration_error"].value == pytest.approx(0.2, abs=0.02)
    assert found["calibration_error"].lower > found["calibration_error"].noise


@pytest.mark.parametrize("service", WATCHED, ids=lambda service: service.name)
@pytest.mark.parametrize("labels", [0, 1, 29])
def test_too_few_labels_give_a_count_and_no_figure(service: WatchedService, labels: int) -> None:
    outcome = np.full(100, np.nan)
    outcome[:labels] = np.arange(labels) % 2

    found = realised_figures(service, rows_of(np.linspace(0.1, 0.9, 100), outcome))

    assert [figure.metric for figure in found] == list(service.metrics)
    assert {(figure.value, figure.rows) for figure in found} == {(None, labels)}


@pytest.mark.parametrize("service", WATCHED, ids=lambda service: service.name)
def test_one_outcome_for_all_gives_no_figure_that_is_not_a_number(service: WatchedService) -> None:
    found = realised_figures(service, rows_of(np.full(60, 0.5), np.ones(60)))

    numbers = [one for figure in found for one in (figure.value, figure.error, figure.lower, figure.upper)]
    assert all(one is None or np.isfinite(one) for one in numbers)


def test_wilsons_interval_is_that_of_the_textbook() -> None:
    _, low, high = share_spread(81, 263)

    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662.
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
