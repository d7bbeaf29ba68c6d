"""Estimates agree with what comes true later, on data whose law is known, and stay put when that law moves."""

import numpy as np
import pytest
from test_realised import RATE, RECOMMENDATION, RESIDENCY, SKILL, by_metric, rows_of

from pipelines.monitoring.estimated import _average_precision, _log_loss, _roc_auc, estimated_figures
from pipelines.monitoring.realised import realised_figures
from pipelines.training.metrics import binary_figures

PROBABILITIES = ("roc_auc", "pr_auc", "log_loss", "brier")


def test_a_draw_is_measured_as_an_outcome_is() -> None:
    rng = np.random.default_rng(0)
    p = np.round(rng.beta(1, 3, 500), 2)  # with ties
    drawn = (rng.random((500, 3)) < p[:, None]).astype(float)

    areas, precisions, losses = _roc_auc(p, drawn), _average_precision(p, drawn), _log_loss(p, drawn)

    for draw in range(3):
        figures = binary_figures(drawn[:, draw], p)
        assert areas[draw] == pytest.approx(figures["roc_auc"], abs=1e-12)
        assert precisions[draw] == pytest.approx(figures["pr_auc"], abs=1e-12)
        assert losses[draw] == pytest.approx(figures["log_loss"], abs=1e-9)


@pytest.mark.parametrize(("a", "b"), [(1, 4), (4, 4), (0.3, 0.6)], ids=["as trained", "shifted", "surer"])
def test_probabilities_tell_their_own_performance_while_they_are_calibrated(a: float, b: float) -> None:
    """Under a shift of the features alone too: whoever comes, the probability of each stays true."""
    rng = np.random.default_rng(1)
    p = rng.beta(a, b, 4000)
    outcome = (rng.random(4000) < p).astype(float)

    expected = by_metric(estimated_figures(RESIDENCY, rows_of(p, np.full(4000, np.nan)), None, {}))
    realised = by_metric(realised_figures(RESIDENCY, rows_of(p, outcome)))

    for metric in PROBABILITIES:
        assert expected[metric].lower <= realised[metric].value <= expected[metric].upper


def test_concept_drift_leaves_the_estimate_and_moves_the_realised_figure() -> None:
    """The stated limit: an estimate cannot see that the same people now behave differently."""
    rng = np.random.default_rng(2)
    p = rng.beta(1, 4, 4000)
    otherwise = (rng.random(4000) < 0.5 * p + 0.3 * (1 - p)).astype(float)

    expected = by_metric(estimated_figures(RESIDENCY, rows_of(p, otherwise), None, {}))
    before = by_metric(estimated_figures(RESIDENCY, rows_of(p, np.full(4000, np.nan)), None, {}))
    realised = by_metric(realised_figures(RESIDENCY, rows_of(p, otherwise)))

    for metric in PROBABILITIES:
        assert expected[metric] == before[metric]
        assert not expected[metric].lower <= realised[metric].value <= expected[metric].upper


def test_a_ranking_tells_its_own_performance() -> None:
    rng = np.random.default_rng(3)
    p, job = rng.beta(1, 3, 3000), np.repeat(np.arange(200), 15)
    outcome = (rng.random(3000) < p).astype(float)

    expected = by_metric(estimated_figures(RECOMMENDATION, rows_of(p, outcome, group=job), None, {}))["ndcg_at_10"]
    realised = by_metric(realised_figures(RECOMMENDATION, rows_of(p, outcome, group=job)))["ndcg_at_10"]

    assert expected.value == pytest.approx(realised.value, abs=3 * realised.error)


def test_an_interval_tells_the_error_to_expect() -> None:
    rng = np.random.default_rng(4)
    rate, wide = rng.uniform(3000, 8000, 4000), rng.uniform(0.05, 0.3, 4000)
    paid = rate * np.exp(rng.normal(0, wide))
    reach = 1.2815515655446004
    rows = rows_of(rate, paid, lower=rate * np.exp(-reach * wide), upper=rate * np.exp(reach * wide))

    expected = by_metric(estimated_figures(RATE, rows, None, {}))
    realised = by_metric(realised_figures(RATE, rows))

    for metric in ("mae", "mdape"):
        assert expected[metric].lower <= realised[metric].value <= expected[metric].upper


def test_losses_of_earlier_rows_tell_those_of_another_mix_of_scores() -> None:
    """High scores err more here, and the window has more of them."""
    rng = np.random.default_rng(5)
    before, now = rng.uniform(0, 100, 5000), 100 * rng.beta(4, 1, 4000)
    rated_before = before + rng.normal(0, 2 + before / 5)
    rated_now = now + rng.normal(0, 2 + now / 5)

    expected = by_metric(
        estimated_figures(SKILL, rows_of(now, rated_now), rows_of(before, rated_before), {"rmse": 9.0})
    )
    realised = by_metric(realised_figures(SKILL, rows_of(now, rated_now)))
    unweighted = by_metric(realised_figures(SKILL, rows_of(before, rated_before)))

    for metric in ("rmse", "mae"):
        assert expected[metric].value == pytest.approx(realised[metric].value, rel=0.05)
        assert unweighted[metric].value < 0.85 * realised[metric].value


def test_before_any_outcome_a_score_is_expected_to_err_as_on_the_test_slice() -> None:
    found = by_metric(estimated_figures(SKILL, rows_of(np.full(50, 60.0), np.full(50, np.nan)), None, {"rmse": 0.8}))

    assert found["rmse"].value == pytest.approx(0.8 * 25)  # a rating of 1 to 5 as a score of 0 to 100
    assert "mae" not in found


def test_too_few_rows_give_no_estimate() -> None:
    assert estimated_figures(RESIDENCY, rows_of(np.full(29, 0.5), np.full(29, np.nan)), None, {}) == ()


def test_the_same_rows_give_the_same_estimate() -> None:
    rows = rows_of(np.linspace(0.01, 0.9, 500), np.full(500, np.nan))

    assert estimated_figures(RESIDENCY, rows, None, {}) == estimated_figures(RESIDENCY, rows, None, {})
