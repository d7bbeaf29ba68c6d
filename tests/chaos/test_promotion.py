"""Aliases move in a real MLflow while callers score: nobody notices, and what is bad stays out or goes again.

`OFFERS_TEST_ALIAS_MOVES=100 OFFERS_TEST_RATE=500` is the long form, whose figures `-s` shows.
"""

import asyncio
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from inference import ScoredRows, read_contract
from inference.testing import FixedModel, InMemoryFeatureReader, live_model

sys.path.insert(0, str(Path(__file__).parent))
from promotion_models import CANDIDATES, NAME, people, version  # lies beside, as the service's script does
from promotion_world import Callers, Mlflow, Seen, Served, until

MOVES = int(os.environ.get("OFFERS_TEST_ALIAS_MOVES", "8"))
POLLED_MOVES = max(MOVES // 4, 2)
RATE = float(os.environ.get("OFFERS_TEST_RATE", "100"))
pytestmark = pytest.mark.timeout(1800)


class World:
    """MLflow with two good versions, the service that follows it, and what each version must answer."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.mlflow = Mlflow(home)
        self.mlflow.start()
        self.mlflow.post("registered-models/create", name=NAME)
        self.expected: dict[str, dict[str, float]] = {}
        self.good = [self.publish(version(home / "a", trees=12)), self.publish(version(home / "b", trees=13))]
        self.mlflow.move(self.good[0])
        self.served = self.serve("service")
        self.served.until_ready()

    def serve(self, name: str) -> Served:
        settings = {"guard_window_seconds": "4", "guard_min_rows": "200", "challenger_share": "0.5"}
        return Served(self.home, self.mlflow.url, name, **settings)

    def publish(self, directory: Path) -> str:
        number = self.mlflow.publish(directory)
        self.expected[number] = estimates(directory)
        return number

    def publish_spoilt(self, name: str, spoil: Callable[[Path], object]) -> str:
        directory = shutil.copytree(self.home / "b", self.home / name)
        spoil(directory)
        number = self.mlflow.publish(directory)
        self.expected[number] = {}
        return number

    @contextmanager
    def calling(self) -> Iterator[Seen]:
        seen = Seen(self.expected)
        callers = Callers(self.served.port, seen, RATE)
        failures: list[BaseException] = []

        def call() -> None:
            try:
                asyncio.run(callers.run())
            except BaseException as error:  # noqa: BLE001  # shown by the test's thread
                failures.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        try:
            until(lambda: seen.answered or failures, 30, "the first answer")
            yield seen
        finally:
            callers.stop()
            thread.join(30)
        assert not failures, failures

    def move(self, number: str, seen: Seen) -> float:
        """Move the alias; gives the seconds until a caller got an answer of that version."""
        self.mlflow.move(number)
        moved = time.monotonic()
        until(lambda: seen.latest == number, 30, f"an answer of version {number}")
        return time.monotonic() - moved

    def close(self) -> None:
        self.served.stop()
        self.mlflow.close()


def estimates(directory: Path) -> dict[str, float]:
    """What a version must answer, by candidate."""
    from hourly_rate import SERVICE
    from inference import Predictor

    async def score() -> ScoredRows:
        live = live_model(directory)
        reader = live.reader
        assert isinstance(reader, InMemoryFeatureReader)
        for key, values in people().items():
            reader.put(key, values)
        predictor = Predictor(FixedModel(live), SERVICE.postprocess)
        rows = await predictor.score({"candidate_id": CANDIDATES})
        await predictor.close()
        return rows

    try:
        rows = asyncio.run(score())
    except KeyError:
        return {}
    return dict(zip(CANDIDATES, rows.columns["estimate"].tolist(), strict=True))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("promotion"))
    try:
        yield made
    finally:
        made.close()


def test_alias_moves_by_polling_and_by_webhook_go_unnoticed(world: World) -> None:
    """0 failed requests, 0 wrong or mixed answers; visible within 6 s by polling, within 1 s by webhook."""
    with world.calling() as seen:
        polled = [world.move(world.good[(turn + 1) % 2], seen) for turn in range(POLLED_MOVES)]
        world.mlflow.register_webhook(f"{world.served.url}/v1/model/webhook")
        first = world.good.index(seen.latest)
        pushed = [world.move(world.good[(first + turn + 1) % 2], seen) for turn in range(MOVES)]

    times = np.quantile(seen.seconds, [0.5, 0.99, 1.0]) * 1e3
    figures = {
        "answers": dict(seen.answered),
        "failed": len(seen.failed),
        "wrong": len(seen.wrong),
        "polled_moves": len(polled),
        "polled_seconds_median_max": [round(float(f(polled)), 2) for f in (np.median, np.max)],
        "webhook_moves": len(pushed),
        "webhook_seconds_median_max": [round(float(f(pushed)), 2) for f in (np.median, np.max)],
        "latency_ms_p50_p99_max": [round(float(value), 2) for value in times],
    }
    print(json.dumps(figures))  # noqa: T201  # `-s` shows the figures
    assert (seen.failed[:3], seen.wrong[:3]) == ([], [])
    assert set(seen.answered) == set(world.good)
    assert max(polled) <= 6.0
    assert max(pushed) <= 1.0
    assert world.served.model()["swaps"] == POLLED_MOVES + MOVES
    # The answer shows the newest hundred.
    outcomes = [move["outcome"] for move in world.served.history()[: MOVES + POLLED_MOVES]]
    assert outcomes == ["live"] * min(MOVES + POLLED_MOVES, 100)


def _changed(directory: Path, change: Callable[[Any], Any]) -> None:
    path = directory / "contract.json"
    path.write_bytes(msgspec.json.encode(change(read_contract(path.read_bytes()))))


def _rename_feature(directory: Path) -> None:
    def change(contract: Any) -> Any:
        renamed = msgspec.structs.replace(contract.features[1], reference="candidate_profile:years_renamed")
        return msgspec.structs.replace(contract, features=(contract.features[0], renamed, *contract.features[2:]))

    _changed(directory, change)


def _wrong_golden_rows(directory: Path) -> None:
    def change(contract: Any) -> Any:
        golden = msgspec.structs.replace(contract.golden, raw=tuple(value + 1 for value in contract.golden.raw))
        return msgspec.structs.replace(contract, golden=golden)

    _changed(directory, change)


def _slow(directory: Path) -> None:
    shutil.rmtree(directory)
    version(directory, trees=2000)


REFUSALS: list[tuple[str, Callable[[Path], object], str]] = [
    ("renamed", _rename_feature, "schema_mismatch"),
    ("corrupt", lambda directory: (directory / "model.lgb").write_bytes(b"rot"), "artifact_corrupt"),
    ("golden", _wrong_golden_rows, "golden_rows"),
    ("slow", _slow, "too_slow"),
    ("bare", lambda directory: (directory / "contract.json").unlink(), "contract_missing"),
]


def test_each_bad_version_is_refused_with_its_own_reason_and_traffic_is_untouched(world: World) -> None:
    with world.calling() as seen:
        for name, spoil, code in REFUSALS:
            number = world.publish_spoilt(name, spoil)
            world.mlflow.move(number)

            def refused(number: str = number) -> Any:
                return [one for one in world.served.model()["refused"] if one["version"] == number]

            (shown,) = until(refused, 30, f"{name} is refused")
            tag = until(lambda number=number: world.mlflow.tags(number).get("serving.refused"), 10, "the tag")
            assert (shown["code"], tag) == (code, shown["reason"])
        served = seen.latest
        world.mlflow.move(world.good[0])
        until(lambda: seen.latest == world.good[0], 30, "the good version again")

    assert (seen.failed[:3], seen.wrong[:3]) == ([], [])
    assert served in world.good
    text = world.served.client.get("/metrics").text
    assert all(f'code="{code}"' in text for _, _, code in REFUSALS)
    assert {move["code"] for move in world.served.history()} >= {code for _, _, code in REFUSALS}


@pytest.mark.parametrize(
    ("name", "options", "code"),
    [
        ("erring", {"trees": 14, "without": "interval_low_known"}, "guard_errors"),
        ("shifted", {"trees": 12, "centre": 9.5}, "guard_shift"),
    ],
)
def test_a_version_that_passes_but_misbehaves_in_production_is_rolled_back_and_not_taken_again(
    world: World, name: str, options: dict[str, Any], code: str
) -> None:
    with world.calling() as seen:
        world.move(world.good[1], seen)
        # A version that is on trial itself is none to go back to.
        until(lambda: world.served.model()["trial"] is None, 60, "the good version is proven")
        rollbacks = world.served.model()["rollbacks"]
        bad = world.publish(version(world.home / name, **options))
        world.mlflow.move(bad)
        until(lambda: world.served.model()["rollbacks"] > rollbacks, 60, "the rollback")
        until(lambda: "serving.rolled_back" in world.mlflow.tags(bad), 10, "the tag")
        asked = world.served.model()["registry"]["checked_at"]
        until(lambda: world.served.model()["registry"]["checked_at"] > asked, 20, "another look")
        model = world.served.model()
        served = seen.latest

    assert (seen.failed[:3], seen.wrong[:3]) == ([], [])
    assert (model["champion"]["version"], served) == (world.good[1], world.good[1])
    assert {one["version"]: one["code"] for one in model["refused"]}[bad] == code
    assert world.mlflow.tags(bad)["serving.rolled_back_to"] == world.good[1]
    newest = world.served.history()[0]
    assert (newest["outcome"], newest["code"], newest["to_version"], newest["moved_by"]) == (
        "rolled_back",
        code,
        bad,
        "unknown",
    )


def test_a_challenger_is_compared_on_live_rows(world: World) -> None:
    world.mlflow.move(world.good[0], "challenger")
    with world.calling():

        def compared() -> Any:
            found = [one for one in world.served.model()["comparisons"] if one["challenger"] == world.good[0]]
            return found and found[-1]["rows"] >= 100 and found[-1]

        figures = until(compared, 60, "a hundred rows by both")

    low, high = figures["interval_95"]
    assert figures["champion"] == world.good[1]
    assert low <= figures["mean_difference"] <= high
    assert 0 <= figures["p_value"] <= 1
    assert world.served.model()["challenger"]["alias"] == "challenger"
    assert "scoring_shadow_rows_total" in world.served.client.get("/metrics").text


def test_without_mlflow_scoring_goes_on_a_restart_comes_from_the_cache_and_its_return_is_caught_up(
    world: World,
) -> None:
    world.mlflow.move(world.good[1])
    until(lambda: world.served.model()["champion"]["version"] == world.good[1], 30, "the good version")
    with world.calling() as seen:
        world.mlflow.stop()
        until(lambda: world.served.model()["registry"]["error"], 30, "MLflow is missed")
        restarted = world.serve("restarted")
        try:
            restarted.until_ready()
            from_cache = restarted.model()
            world.mlflow.start()
            world.mlflow.move(world.good[0])
            for served in (world.served, restarted):
                until(lambda served=served: served.model()["champion"]["version"] == world.good[0], 30, "caught up")
            confirmed = restarted.model()["registry"]["confirmed_by"]
        finally:
            restarted.stop()

    assert (seen.failed[:3], seen.wrong[:3]) == ([], [])
    assert from_cache["registry"]["confirmed_by"] == "cache"
    assert "does not answer" in from_cache["registry"]["error"]
    assert from_cache["champion"]["version"] == world.good[1]
    assert confirmed == "registry"
