import dataclasses
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from inference import GuardLimits, LiveModel, ModelVersion, ScoredRows, StageTimings
from inference.contract import ReferenceBins
from inference.errors import RefusalCode
from inference.guard import RecentScores, Trial, population_stability
from inference.testing import live_model

LIMITS = GuardLimits(window_seconds=10, min_rows=200)


@pytest.fixture(scope="module")
def live(model_directory: Path) -> LiveModel:
    return live_model(model_directory)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def batch(version: ModelVersion, output: NDArray[np.float64], seconds: float = 1e-4) -> ScoredRows:
    n = len(output)
    return ScoredRows(
        n=n,
        raw=output,
        columns={"estimate": output},
        found=np.ones(n, dtype=np.bool_),
        degraded=np.zeros(n, dtype=np.bool_),
        status=np.zeros((n, 0), dtype=np.uint8),
        as_of_us=np.zeros(n, dtype=np.int64),
        keys={},
        features=np.zeros((n, 0)),
        matrix=np.zeros((n, 0)),
        model=version,
        timings=StageTimings(n, seconds, 0.0, 0.0),
    )


def trial_of(version: ModelVersion, before: RecentScores, clock: Clock | None = None) -> Trial:
    return Trial(version, version, before, LIMITS, clock or Clock())


def filled(version: ModelVersion, *, centre: float = 0.0, seconds: float = 1e-4, seed: int = 0) -> RecentScores:
    recent, rng = RecentScores(), np.random.default_rng(seed)
    for _ in range(100):
        recent.add(batch(version, rng.normal(centre, 1, 10), seconds))
    return recent


def run(trial: Trial, *, centre: float = 0.0, seconds: float = 1e-4, seed: int = 1) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(100):
        trial.observe(batch(trial.version, rng.normal(centre, 1, 10), seconds))


@pytest.mark.parametrize("seed", range(1, 21))
def test_a_version_that_does_the_same_breaks_nothing(live: LiveModel, seed: int) -> None:
    trial = trial_of(live.version, filled(live.version))
    run(trial, seed=seed)

    assert trial.breach() is None
    assert trial.state.shift is not None


def test_answers_that_are_no_numbers_are_errors(live: LiveModel) -> None:
    trial = trial_of(live.version, filled(live.version))
    trial.observe(batch(live.version, np.full(60, np.nan)))
    breach = trial.breach()

    assert breach is not None
    assert breach.code is RefusalCode.GUARD_ERRORS
    assert "60 of 60 rows" in breach.reason


def test_three_failed_batches_are_enough_and_two_are_not(live: LiveModel) -> None:
    trial = trial_of(live.version, filled(live.version))
    trial.fail(1)
    trial.fail(1)
    early = trial.breach()
    trial.fail(1)
    breach = trial.breach()

    assert early is None
    assert breach is not None
    assert breach.code is RefusalCode.GUARD_ERRORS


def test_what_fails_as_often_as_before_is_not_the_versions_fault(live: LiveModel) -> None:
    before = filled(live.version)
    before.fail(1000)
    trial = trial_of(live.version, before)
    run(trial)
    for _ in range(10):
        trial.fail(10)

    assert trial.breach() is None


def test_slower_batches_of_like_size_are_a_breach(live: LiveModel) -> None:
    trial = trial_of(live.version, filled(live.version, seconds=1e-3))
    run(trial, seconds=1e-2)
    breach = trial.breach()

    assert breach is not None
    assert breach.code is RefusalCode.GUARD_LATENCY
    assert "10.0 times" in breach.reason


def test_a_slowdown_below_the_floor_is_noise(live: LiveModel) -> None:
    trial = trial_of(live.version, filled(live.version, seconds=1e-5))
    run(trial, seconds=1e-4)

    assert trial.breach() is None


@pytest.mark.parametrize(
    ("value", "code"),
    [(12.0, RefusalCode.GUARD_SHIFT), (5.0, RefusalCode.GUARD_SHIFT), (8.55, None), (8.45, None)],
)
def test_a_shift_away_from_one_value_that_all_rows_had_is_a_breach_unless_it_is_small(
    live: LiveModel, value: float, code: RefusalCode | None
) -> None:
    before = RecentScores()
    before.add(batch(live.version, np.full(500, 8.5)))
    trial = trial_of(live.version, before)
    trial.observe(batch(live.version, np.full(500, value)))
    breach = trial.breach()

    assert (breach and breach.code) == code


@pytest.mark.parametrize(("milliseconds", "code"), [(50.0, RefusalCode.GUARD_LATENCY), (20.0, None)])
def test_a_slow_version_is_known_by_larger_batches_too(
    live: LiveModel, milliseconds: float, code: RefusalCode | None
) -> None:
    """One row took a millisecond before: sixteen take at most sixteen, and three times that is too long."""
    before, rng = RecentScores(), np.random.default_rng(0)
    for _ in range(60):
        before.add(batch(live.version, rng.normal(0, 1, 1), 1e-3))
    trial = trial_of(live.version, before)
    for _ in range(60):
        trial.observe(batch(live.version, rng.normal(0, 1, 16), milliseconds / 1e3))
    breach = trial.breach()

    assert (breach and breach.code) == code


def test_the_time_of_a_streams_chunk_is_not_judged(live: LiveModel) -> None:
    """It tells how many streams there are."""
    before, rng = RecentScores(), np.random.default_rng(0)
    for _ in range(100):
        before.add(batch(live.version, rng.normal(0, 1, 2048), 1e-3))
    trial = trial_of(live.version, before)
    for _ in range(100):
        trial.observe(batch(live.version, rng.normal(0, 1, 2048), 1.0))

    assert trial.breach() is None


def test_shifted_predictions_are_a_breach(live: LiveModel) -> None:
    trial = trial_of(live.version, filled(live.version))
    run(trial, centre=2.0)
    breach = trial.breach()

    assert breach is not None
    assert breach.code is RefusalCode.GUARD_SHIFT


def test_predictions_as_the_versions_own_training_said_are_none(live: LiveModel) -> None:
    edges = tuple(2 + np.linspace(-2, 2, 9))
    rng = np.random.default_rng(5)
    counts = np.bincount(np.searchsorted(edges, rng.normal(2, 1, 10_000), side="right"), minlength=11)
    shares = tuple(float(share) for share in counts / counts.sum())
    bins = ReferenceBins(tuple(map(float, edges)), shares, 10_000)
    output = msgspec.structs.replace(live.version.contract.output, bins=bins)
    contract = msgspec.structs.replace(live.version.contract, output=output)
    trial = trial_of(dataclasses.replace(live.version, contract=contract), filled(live.version))
    run(trial, centre=2.0)

    assert trial.breach() is None


def test_the_window_goes_on_while_rows_are_few(live: LiveModel) -> None:
    clock = Clock()
    trial = trial_of(live.version, filled(live.version), clock)
    clock.now += 11
    quiet = trial.is_over
    run(trial)
    busy = trial.is_over
    nobody = trial_of(live.version, filled(live.version), clock)
    clock.now += 101

    assert (quiet, busy, nobody.is_over) == (False, True, True)


def test_only_the_latest_values_are_kept(live: LiveModel) -> None:
    recent = RecentScores()
    for start in range(0, 20_000, 500):
        recent.add(batch(live.version, np.arange(start, start + 500, dtype=np.float64)))

    assert sorted(recent.asked.outputs.values) == list(range(20_000 - 4096, 20_000))


def ranking(version: ModelVersion, job: int, output: NDArray[np.float64], seconds: float = 1e-2) -> ScoredRows:
    rows = batch(version, output, seconds)
    keys = {"job_id": [f"j{job}"] * rows.n, "candidate_id": [f"c{place}" for place in range(rows.n)]}
    return msgspec.structs.replace(rows, keys=keys, answered=rows.slice(0, 1))


def ranked(version: ModelVersion, jobs: range, *, centre: float = 0.0, spread: float = 1.0) -> RecentScores:
    """Rankings whose rows are alike within a job, and differ by `spread` between jobs."""
    recent, rng = RecentScores(), np.random.default_rng(jobs.start)
    for job in jobs:
        recent.add(ranking(version, job, rng.normal(centre + rng.normal(0, spread), 0.1, 2000)))
    return recent


@pytest.mark.parametrize("start", range(1000, 20_000, 1000))
def test_other_jobs_are_no_shift_of_rankings(live: LiveModel, start: int) -> None:
    """Two thousand rows for one job are one sample: as rows they would differ beyond chance."""
    trial = trial_of(live.version, ranked(live.version, range(100)))
    trial.now = ranked(live.version, range(start, start + 60))

    assert trial.breach() is None
    assert trial.state.shift is not None


def test_rankings_that_shift_for_fifty_jobs_are_a_breach_and_for_fewer_are_not(live: LiveModel) -> None:
    trial = trial_of(live.version, ranked(live.version, range(100)))
    trial.now = ranked(live.version, range(100, 149), centre=8.0)
    early = trial.breach()
    for _ in range(2):
        trial.observe(ranking(live.version, 149, np.full(2000, 8.0)))
    breach = trial.breach()

    assert early is None
    assert breach is not None
    assert breach.code is RefusalCode.GUARD_SHIFT
    assert "ranked rows" in breach.reason


def test_rankings_without_any_before_are_not_held_against_training(live: LiveModel) -> None:
    """Who is ranked is chosen, and so unlike those of training whatever the version."""
    bins = ReferenceBins((-1.0, 1.0), (0.3, 0.4, 0.3, 0.0), 10_000)
    output = msgspec.structs.replace(live.version.contract.output, bins=bins)
    contract = msgspec.structs.replace(live.version.contract, output=output)
    trial = trial_of(dataclasses.replace(live.version, contract=contract), filled(live.version))
    trial.now = ranked(live.version, range(100), centre=8.0)

    assert trial.breach() is None


def test_errors_of_single_rows_do_not_drown_in_the_rows_of_rankings_nor_the_other_way_round(live: LiveModel) -> None:
    singles = trial_of(live.version, filled(live.version))
    singles.now = ranked(live.version, range(100))
    rankings = trial_of(live.version, filled(live.version))
    run(rankings)
    for _ in range(3):
        singles.fail(1)
        rankings.fail(5, ranked=True)
    found = [trial.breach() for trial in (singles, rankings)]

    assert [one and one.code for one in found] == [RefusalCode.GUARD_ERRORS] * 2
    assert [one and one.reason.partition(" had")[0] for one in found] == ["3 of 3 rows", "15 of 15 ranked rows"]


def test_slower_rankings_are_a_breach_though_they_are_long_and_batches_of_their_size_are_fast(live: LiveModel) -> None:
    def trial(seconds: float) -> Trial:
        before = filled(live.version)
        made = trial_of(live.version, before)
        for job in range(60):
            before.add(ranking(live.version, job, np.zeros(2000), 1e-2))
            made.observe(ranking(live.version, job, np.zeros(2000), seconds))
        return made

    usual, slow = trial(1.2e-2).breach(), trial(5e-2).breach()

    assert usual is None
    assert slow is not None
    assert slow.code is RefusalCode.GUARD_LATENCY


def test_the_window_ends_with_fifty_rankings_and_not_with_the_rows_of_one(live: LiveModel) -> None:
    clock = Clock()
    trial = trial_of(live.version, filled(live.version), clock)
    trial.observe(ranking(live.version, 0, np.zeros(2000)))
    clock.now += 11
    early = trial.is_over
    trial.now = ranked(live.version, range(50))

    assert (early, trial.is_over) == (False, True)


def test_psi_is_the_textbooks() -> None:
    psi = population_stability(np.array([0.5, 0.5]), np.array([0.25, 0.75]))

    assert psi == pytest.approx(-0.25 * np.log(0.5) + 0.25 * np.log(1.5), rel=1e-12)
