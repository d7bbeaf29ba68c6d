"""That behaviour is as it is said to be, and that labels are drawn from the true conditional means."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from numpy.typing import NDArray

from marketplace.contracts import rating_moments
from marketplace.seasons import day_weights

Table = Callable[[str], pa.Table]


def labelled(labels: pa.Table, truth: pa.Table, key: str) -> dict[str, NDArray[np.float64]]:
    """Join labels and truth, each key once."""
    others = [name for name in labels.schema.names if name != key]
    once = labels.group_by(key, use_threads=False).aggregate([(name, "first") for name in others])
    once = once.rename_columns([key, *others])
    known = truth.select([key, *(n for n in truth.schema.names if n not in {key, *others})])
    joined = once.join(known, key).drop_null()
    return {name: joined[name].to_numpy(zero_copy_only=False) for name in joined.schema.names}


def roc_auc(label: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    ranks = np.argsort(np.argsort(score)) + 1
    positive = int(label.sum())
    return float((ranks[label].sum() - positive * (positive + 1) / 2) / (positive * (len(label) - positive)))


def assert_calibrated(label: NDArray[np.bool_], probability: NDArray[np.float64]) -> None:
    """Within each fifth of the rows the mean label is the mean probability, to 4 standard errors."""
    for rows in np.array_split(np.argsort(probability), 5):
        p = probability[rows]
        error = 4.0 * np.sqrt((p * (1 - p)).sum()) / len(rows)
        assert label[rows].mean() == pytest.approx(p.mean(), abs=error)


def test_residency_labels_are_drawn_from_the_true_probability(source: Table, truth: Table) -> None:
    checks = source("identity_checks").select(["check_id", "lives_abroad"])
    rows = labelled(checks, truth("residency").select(["check_id", "probability"]), "check_id")
    label = rows["lives_abroad"].astype(bool)

    assert_calibrated(label, rows["probability"])
    assert 0.07 < label.mean() < 0.18
    assert 0.88 < roc_auc(label, rows["probability"]) < 0.97


def test_hires_are_drawn_from_the_true_probability(source: Table, truth: Table) -> None:
    applications = source("applications")
    applications = applications.filter(pc.not_equal(applications["status"], "pending"))
    known = truth("recommendation").select(["application_id", "probability"])
    rows = labelled(applications.select(["application_id", "status"]), known, "application_id")
    label = rows["status"] == "hired"

    assert_calibrated(label, rows["probability"])
    assert 0.75 < roc_auc(label, rows["probability"]) < 0.89


@pytest.mark.parametrize(
    ("column", "name"), [("skill_rating", "skill_experience"), ("business_rating", "business_experience")]
)
def test_ratings_scatter_around_their_expectation_as_said(column: str, name: str, source: Table, truth: Table) -> None:
    rows = labelled(source("contract_evaluations").select(["evaluation_id", column]), truth(name), "evaluation_id")
    rating, expected = rows[column].astype(np.float64), rows["expected_rating"]
    standard = (rating - expected) / rows["noise_sd"]

    assert standard.mean() == pytest.approx(0.0, abs=4 / np.sqrt(len(standard)))
    assert standard.std() == pytest.approx(1.0, abs=0.1)
    assert 0.4 < 1 - np.var(rating - expected) / np.var(rating) < 0.62


def test_rates_scatter_around_their_expectation_as_said(source: Table, truth: Table) -> None:
    rows = labelled(source("contracts").select(["contract_id", "rate_yen"]), truth("hourly_rate"), "contract_id")
    standard = (np.log(rows["rate_yen"]) - rows["expected_log_rate"]) / rows["noise_sd"]

    assert standard.mean() == pytest.approx(0.0, abs=4 / np.sqrt(len(standard)))
    assert standard.std() == pytest.approx(1.0, abs=0.1)
    assert 0.12 <= rows["noise_sd"].min() <= rows["noise_sd"].max() <= 0.18


@pytest.mark.parametrize("mean", [-2.0, 1.2, 3.0, 4.4, 9.0])
def test_the_moments_of_a_rating_are_those_of_its_draws(mean: float) -> None:
    draws = np.clip(np.rint(mean + np.random.default_rng(3).logistic(0.0, 0.36, 200_000)), 1, 5)

    expected, sd = rating_moments(np.array([mean]))

    assert expected[0] == pytest.approx(draws.mean(), abs=0.01)
    assert sd[0] == pytest.approx(draws.std(), abs=0.01)


def test_phones_and_addresses_mislead_in_both_directions(source: Table) -> None:
    checks = source("identity_checks").select(["candidate_id", "lives_abroad"])
    checks = checks.group_by("candidate_id").aggregate([("lives_abroad", "all"), ("lives_abroad", "any")])
    abroad = checks.filter(checks["lives_abroad_all"])["candidate_id"]
    at_home = checks.filter(pc.invert(checks["lives_abroad_any"]))["candidate_id"]
    for name, column in (("candidates", "phone_country"), ("logins", "ip_country")):
        table = source(name)
        japanese = pc.equal(table[column], "JP")
        of_abroad = pc.mean(japanese.filter(pc.is_in(table["candidate_id"], abroad)).cast(pa.float64())).as_py()
        of_home = pc.mean(japanese.filter(pc.is_in(table["candidate_id"], at_home)).cast(pa.float64())).as_py()

        assert 0.1 < of_abroad < 0.7
        assert 0.8 < of_home < 0.99


def test_fewer_people_come_on_sundays_and_at_the_year_end(source: Table) -> None:
    days = source("logins")["logged_in_at"].cast(pa.int64()).to_numpy() // 86_400_000_000
    dates = days.astype("datetime64[D]")
    of_year = (dates - dates.astype("datetime64[Y]")).astype(np.int64)
    per_weekday = np.bincount((days + 3) % 7, minlength=7)

    assert per_weekday[6] < 0.8 * per_weekday[:4].mean()
    assert np.mean(of_year < 3) < 0.6 * np.mean((of_year >= 20) & (of_year < 23))


def test_golden_week_obon_and_year_end_are_quiet() -> None:
    def mean(first: str, last: str) -> float:
        span = slice(*(np.array([first, last], dtype="datetime64[D]").astype(np.int64)))
        return float(day_weights()[span].mean())

    assert mean("2025-04-29", "2025-05-06") < 0.6 * mean("2025-05-12", "2025-05-19")
    assert mean("2025-08-11", "2025-08-16") < 0.8 * mean("2025-07-14", "2025-07-19")
    assert mean("2025-12-29", "2026-01-04") < 0.5 * mean("2025-12-08", "2025-12-14")


def test_wishes_for_rates_rise_over_the_years(source: Table) -> None:
    table = source("candidates").select(["updated_at", "desired_rate_yen"]).drop_null()
    year = pc.year(table["updated_at"]).to_numpy()
    rate = table["desired_rate_yen"].to_numpy()

    assert np.median(rate[year == 2026]) > 1.03 * np.median(rate[year == 2024])


def test_fewer_jobs_are_remote_than_there_were(source: Table) -> None:
    table = source("jobs").select(["opened_at", "remote"]).drop_null()
    early = pc.less(table["opened_at"], pc.strptime("2024-11-01", "%Y-%m-%d", "us").cast(pa.timestamp("us", "UTC")))
    remote = pc.equal(table["remote"], "remote").to_numpy(zero_copy_only=False)
    early = early.to_numpy(zero_copy_only=False)

    assert remote[early].mean() > remote[~early].mean() + 0.03
