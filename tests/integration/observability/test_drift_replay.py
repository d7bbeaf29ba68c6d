"""Real rows through the real counters of two workers, and their scrapes through the real rules: who is alarmed when."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, generate_latest

from inference import ModelVersion, ScoredRows
from inference.contract import Contract
from inference.contract_checks import encode_contract
from inference.scored import StageTimings
from inference.testing import InMemoryFeatureReader, live_model, tiny_model
from pipelines.training.reference_bins import feature_bins, number_bins
from serving.ledger import Ledger
from serving.metrics import measures_in
from serving.observing import ScoredCounts

ROOT = Path(__file__).parents[3]
WINDOWS = 30
STEPS = 12
ROWS_A_STEP = 100
TRAINING_ROWS = 5000
PLANTED = "years_experience"

Columns = dict[str, NDArray[np.float64]]


def _people(rng: np.random.Generator, rows: int, older: float = 0.0) -> Columns:
    """Features as `tiny_features` names them; `older` years are added to experience."""
    columns = {
        "role": rng.choice(4, rows, p=(0.4, 0.3, 0.2, 0.1)).astype(np.float64),
        "years_experience": rng.gamma(2.0, 4.0, rows) + older,
        "desired_rate_yen": np.round(rng.lognormal(8.3, 0.3, rows), -2),
        "has_github": (rng.random(rows) < 0.6).astype(np.float64),
        "commits_90d": rng.poisson(3.0, rows).astype(np.float64),
        "articles_90d": rng.geometric(0.7, rows) - 1.0,
    }
    columns["commits_90d"][rng.random(rows) < 0.15] = np.nan
    return columns


def _older_by(psi: Callable[..., float], edges: tuple[float, ...]) -> float:
    """Years that shift the experience of everybody by a PSI of 0.2 on these bins."""
    people = _people(np.random.default_rng(1), 400_000)[PLANTED]

    def shares(older: float) -> NDArray[np.float64]:
        bins = np.searchsorted(edges, people + older, side="right")
        return np.bincount(bins, minlength=len(edges) + 1) / len(people)

    low, high = 0.0, 20.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if psi(shares(middle), shares(0.0)) < 0.2 else (low, middle)
    return low


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    """A model whose contract has the bins that training makes of its rows."""
    directory = tmp_path_factory.mktemp("model")
    made = tiny_model(directory)
    rng = np.random.default_rng(0)
    trained = _people(rng, TRAINING_ROWS)
    features = tuple(msgspec.structs.replace(one, bins=feature_bins(one, trained[one.name])) for one in made.features)
    output = msgspec.structs.replace(made.output, bins=number_bins(rng.normal(size=TRAINING_ROWS)))
    contract: Contract = msgspec.structs.replace(made, features=features, output=output)
    (directory / "contract.json").write_bytes(encode_contract(contract))
    return live_model(directory, InMemoryFeatureReader(contract)).version


def _scored(version: ModelVersion, columns: Mapping[str, NDArray[np.float64]], rng: np.random.Generator) -> ScoredRows:
    features = np.column_stack([columns[one.name] for one in version.contract.features])
    rows = len(features)
    return ScoredRows(
        n=rows,
        raw=rng.normal(size=rows),
        columns={},
        found=np.ones(rows, dtype=np.bool_),
        degraded=np.zeros(rows, dtype=np.bool_),
        status=np.zeros((rows, len(version.contract.stored)), dtype=np.uint8),
        as_of_us=np.zeros(rows, dtype=np.int64),
        keys={},
        features=features,
        matrix=features,
        model=version,
        timings=StageTimings(rows, 0.0, 0.0, 0.0),
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_thirty_quiet_windows_alarm_nobody_and_a_planted_shift_alarms_for_its_feature_alone_within_one(
    version: ModelVersion, promtool: str, load: Callable[[Path], Any], tmp_path: Path, seed: int
) -> None:
    replay_of = load(ROOT / "tests" / "evaluation" / "real_data" / "drift_replay.py")
    bins = version.contract.features[version.contract.position[PLANTED]].bins
    assert bins is not None
    older = _older_by(replay_of.psi, bins.edges)
    workers = [measures_in(Ledger(tmp_path, worker)) for worker in range(2)]
    counts = [ScoredCounts("hourly_rate", measures) for measures in workers]
    for one in counts:
        one.expect(version)
    registry = CollectorRegistry()
    registry.register(workers[0])
    replay = replay_of.Replay()
    replay.scrape(generate_latest(registry).decode())
    rng = np.random.default_rng(seed)
    for step in range((WINDOWS + 1) * STEPS):
        columns = _people(rng, ROWS_A_STEP, older if step >= WINDOWS * STEPS else 0.0)
        counts[step % 2].observe(_scored(version, columns, rng))
        counts[step % 2].flush()
        replay.scrape(generate_latest(registry).decode())

    (drifted,) = replay.drifted("1h")
    assert drifted[2] == PLANTED
    assert not replay.drifted("1d")
    assert not replay.drifted("1h", "prediction")
    quiet = [window * STEPS for window in range(1, WINDOWS + 1)]
    assert replay.check(promtool, ROOT / "deploy" / "prometheus" / "rules" / "drift.yml", tmp_path, quiet) == ""
