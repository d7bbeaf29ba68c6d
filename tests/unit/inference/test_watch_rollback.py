"""The watch with a guard, over a registry in memory: who serves after a version misbehaves, and for how long."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from inference import (
    ArtifactCache,
    Contract,
    FeatureReader,
    GuardLimits,
    ModelWatch,
    OutputSpec,
    Predictor,
    Promotion,
    PromotionHistory,
    StageTimings,
    WatchTiming,
)
from inference.testing import FakeRegistry, InMemoryFeatureReader, tiny_model

NAME = "hourly_rate"
QUICK = WatchTiming(poll_seconds=0.02, first_retry_seconds=0.005, signal_seconds=0.005)
GUARD = GuardLimits(window_seconds=30.0, min_rows=50)
KEYS = {"candidate_id": ["c1"]}


def postprocess(raw: NDArray[np.float64], output: OutputSpec) -> dict[str, NDArray[Any]]:
    return {"estimate": raw * output.tables["factor"][0]}


class World:
    """Two versions that serve, and a third whose contract lacks a table: it passes every check and then errs."""

    def __init__(self, directory: Path) -> None:
        self.registry = FakeRegistry()
        for number, tables in (("1", {"factor": (1.0,)}), ("2", {"factor": (1.0,)}), ("3", {})):
            output = OutputSpec(name="estimate", unit="", tables=tables)
            tiny_model(directory / number, output=output, trees=10 + int(number))
            self.registry.publish(NAME, number, directory / number)
        self.registry.move_alias(NAME, "champion", "1")
        self.directory = directory
        self.readers: list[InMemoryFeatureReader] = []
        self.told: list[Promotion] = []
        self.history = PromotionHistory(directory / "history", NAME)

    async def open_reader(self, contract: Contract) -> FeatureReader:
        self.readers.append(InMemoryFeatureReader(contract, {("c1",): {"years_experience": 3}}))
        return self.readers[-1]

    @asynccontextmanager
    async def serving(self, cache: str = "cache", **options: Any) -> AsyncIterator[tuple[ModelWatch, Predictor]]:
        watch = ModelWatch(
            self.registry,
            ArtifactCache(self.directory / cache),
            NAME,
            self.open_reader,
            on_demand_modules=(),
            **{"timing": QUICK, "guard": GUARD, "history": self.history, "listeners": (self.told.append,), **options},
        )
        predictor = Predictor(watch, postprocess, observers=(watch,), failure_observers=(watch,), spare=watch.spare)
        await watch.start()
        try:
            assert await watch.wait_ready(20)
            yield watch, predictor
        finally:
            await predictor.close()
            await watch.close()

    async def promote(self, watch: ModelWatch, version: str) -> None:
        self.registry.move_alias(NAME, "champion", version)
        await until(lambda: version_of(watch) == version)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def version_of(watch: ModelWatch) -> str | None:
    return watch.state.champion.version if watch.state.champion else None


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # the state is a value to poll
            await asyncio.sleep(0.005)


async def another_look(watch: ModelWatch) -> None:
    """Wait for two looks: the first may have asked before."""
    for _ in range(2):
        before = watch.state.checked_at
        await until(lambda before=before: watch.state.checked_at != before)


async def score(predictor: Predictor) -> str:
    return (await predictor.score(KEYS)).model.version


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


def test_a_version_that_errs_is_rolled_back_and_no_caller_notices(world: World) -> None:
    async def work() -> None:
        async with world.serving() as (watch, predictor):
            await world.promote(watch, "3")
            answered = [await score(predictor) for _ in range(5)]
            await until(lambda: "serving.rolled_back_to" in world.registry.tags.get((NAME, "3"), {}))
            await another_look(watch)
            await until(lambda: len(world.history.read()) == 3)

            assert answered == ["1"] * 5
            assert (version_of(watch), watch.state.rollbacks, watch.trial) == ("1", 1, None)
            assert [one.code for one in watch.state.refused] == ["guard_errors"]
            assert world.registry.tags[NAME, "3"]["serving.rolled_back"].startswith("guard_errors: 3 of 3 rows")
            assert [(one.to_version, one.outcome) for one in world.told] == [
                ("1", "live"),
                ("3", "live"),
                ("3", "rolled_back"),
            ]
            assert [one.outcome for one in world.history.read()] == ["rolled_back", "live", "live"]
            assert world.readers[1].closed
            assert not world.readers[0].closed

    run(work())


@pytest.mark.parametrize("fault", ["guard_latency", "guard_shift"])
def test_a_version_that_is_slow_or_shifted_is_rolled_back(world: World, fault: str) -> None:
    async def work() -> None:
        async with world.serving() as (watch, predictor):
            before = await predictor.score({"candidate_id": ["c1"] * 100})
            for _ in range(50):
                watch._versions._recent.add(before)
            await world.promote(watch, "2")
            after = await predictor.score({"candidate_id": ["c1"] * 100})
            if fault == "guard_latency":
                after = msgspec.structs.replace(after, timings=StageTimings(100, 0.0, 1.0, 0.0))
            else:
                after = msgspec.structs.replace(after, columns={"estimate": after.columns["estimate"] + 1.0})
            for _ in range(60):
                watch.observe(after)
            watch._versions._judged_at = 0.0
            watch.observe(after)
            await until(lambda: "serving.rolled_back_to" in world.registry.tags.get((NAME, "2"), {}))

            assert [one.code for one in watch.state.refused] == [fault]
            assert (version_of(watch), world.told[-1].outcome) == ("1", "rolled_back")
            assert world.registry.tags[NAME, "2"]["serving.rolled_back"].startswith(fault)

    run(work())


class SlowAtFirst(PromotionHistory):
    """A disk that takes long for the first move."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, NAME)
        self.go_on = threading.Event()

    def append(self, promotion: Promotion) -> None:
        if promotion.from_version is None:
            self.go_on.wait(20)
        super().append(promotion)


def test_moves_stand_in_the_history_in_their_order_however_long_the_disk_takes(world: World) -> None:
    """The thread that writes a rollback must not overtake the one that writes the promotion."""
    history = SlowAtFirst(world.directory / "slow")

    async def work() -> None:
        async with world.serving(history=history) as (watch, predictor):
            loop = asyncio.get_running_loop()
            loop.call_later(0.2, history.go_on.set)
            await world.promote(watch, "3")
            for _ in range(3):
                await score(predictor)

    run(work())

    lines = (world.directory / "slow" / f"{NAME}.jsonl").read_bytes().splitlines()
    outcomes = [msgspec.json.decode(line, type=Promotion).outcome for line in lines]
    assert outcomes == ["live", "live", "rolled_back"]


def test_a_start_tells_a_move_only_if_the_alias_moved_while_nobody_was_there(world: World) -> None:
    async def start() -> None:
        async with world.serving() as (watch, _):
            await another_look(watch)

    for version in ("1", "1", "2", "2"):
        world.registry.move_alias(NAME, "champion", version)
        run(start())

    assert [(one.from_version, one.to_version) for one in world.history.read()] == [("1", "2"), (None, "1")]


@pytest.mark.parametrize("kind", ["large call", "given values"])
def test_large_calls_and_given_values_are_scored_by_the_version_before_too(world: World, kind: str) -> None:
    async def work() -> None:
        async with world.serving() as (watch, predictor):
            await world.promote(watch, "3")
            if kind == "large call":
                rows = await predictor.score({"candidate_id": ["c1"] * 2000})
            else:
                rows = await predictor.score_values({"years_experience": [float(n % 60) for n in range(2000)]})
            await until(lambda: watch.state.rollbacks)

            assert (rows.n, rows.model.version, version_of(watch)) == (2000, "1", "1")

    run(work())


def test_it_is_taken_again_after_the_alias_has_pointed_elsewhere(world: World) -> None:
    async def work() -> None:
        async with world.serving() as (watch, predictor):
            await world.promote(watch, "3")
            for _ in range(3):
                await score(predictor)
            await until(lambda: "serving.rolled_back_to" in world.registry.tags.get((NAME, "3"), {}))
            await world.promote(watch, "2")
            await until(lambda: world.registry.tags[NAME, "3"]["serving.rolled_back"] == "")
            await world.promote(watch, "3")

            assert version_of(watch) == "3"

    run(work())


def test_a_person_may_insist(world: World) -> None:
    async def work() -> None:
        async with world.serving() as (watch, predictor):
            await world.promote(watch, "3")
            for _ in range(3):
                await score(predictor)
            assert version_of(watch) == "1"
            await world.registry.set_tag(NAME, "3", "serving.force", "true")
            await until(lambda: version_of(watch) == "3")

            assert watch.trial is None

    run(work())


def test_other_processes_follow_a_rollback_and_later_ones_serve_what_they_serve(world: World) -> None:
    async def work() -> None:
        async with world.serving("one") as (watch, predictor), world.serving("two") as (other, _):
            await world.promote(watch, "3")
            await until(lambda: version_of(other) == "3")
            for _ in range(3):
                await score(predictor)
            await until(lambda: version_of(other) == "1")
            assert other.state.refused[0].code == "rolled_back_elsewhere"
            async with world.serving("three") as (late, _):
                assert version_of(late) == "1"

    run(work())


def test_a_rollback_that_the_registry_could_not_be_told_holds_and_is_told_later(world: World) -> None:
    async def work() -> None:
        async with world.serving() as (watch, predictor):
            await world.promote(watch, "3")
            world.registry.down = True
            for _ in range(3):
                await score(predictor)
            assert version_of(watch) == "1"
            world.registry.down = False
            await until(lambda: "serving.rolled_back_to" in world.registry.tags.get((NAME, "3"), {}))
            await another_look(watch)

            assert version_of(watch) == "1"

    run(work())


def test_a_restart_after_a_rollback_does_not_take_the_version(world: World) -> None:
    async def work() -> None:
        async with world.serving() as (watch, predictor):
            await world.promote(watch, "3")
            for _ in range(3):
                await score(predictor)
            await until(lambda: "serving.rolled_back_to" in world.registry.tags.get((NAME, "3"), {}))
        for down in (False, True):
            world.registry.down = down
            async with world.serving() as (watch, _):
                assert version_of(watch) == "1"

    run(work())


def test_a_version_that_behaves_is_proven_and_the_one_before_goes(world: World) -> None:
    async def work() -> None:
        async with world.serving(guard=GuardLimits(window_seconds=0.05, min_rows=5)) as (watch, predictor):
            await world.promote(watch, "2")
            assert watch.trial is not None
            assert not world.readers[0].closed
            for _ in range(10):
                await score(predictor)
            await until(lambda: world.readers[0].closed)

            assert (version_of(watch), watch.trial) == ("2", None)

    run(work())


def test_moving_back_within_the_window_needs_no_loading(world: World) -> None:
    async def work() -> None:
        async with world.serving() as (watch, _):
            await world.promote(watch, "2")
            await world.promote(watch, "1")

            assert len(world.readers) == 2
            assert [one.to_version for one in world.told] == ["1", "2", "1"]

    run(work())


def test_of_two_moves_within_a_window_the_proven_version_is_gone_back_to(world: World) -> None:
    async def work() -> None:
        async with world.serving() as (watch, predictor):
            await world.promote(watch, "2")
            await world.promote(watch, "3")
            answered = [await score(predictor) for _ in range(4)]

            assert answered == ["1"] * 4
            assert world.readers[1].closed

    run(work())


def test_an_alias_that_is_unset_ends_a_challenger_and_not_a_champion(world: World) -> None:
    async def work() -> None:
        async with world.serving() as (watch, _):
            world.registry.drop_alias(NAME, "champion")
            await until(lambda: watch.state.registry_error)
            assert version_of(watch) == "1"
        world.registry.move_alias(NAME, "champion", "1")
        async with world.serving(keeps_last=False, guard=None) as (watch, _):
            world.registry.drop_alias(NAME, "champion")
            await until(lambda: version_of(watch) is None)
            world.registry.move_alias(NAME, "champion", "2")
            await until(lambda: version_of(watch) == "2")

    run(work())


def test_a_poke_reaches_the_other_processes_of_the_machine(world: World) -> None:
    async def work() -> None:
        timing = WatchTiming(poll_seconds=1000.0, signal_seconds=0.005)
        async with world.serving(timing=timing) as (watch, _), world.serving(timing=timing) as (other, _):
            await until(lambda: watch.state.checked_at and other.state.checked_at)
            world.registry.move_alias(NAME, "champion", "2")
            await asyncio.sleep(0.02)
            watch.poke()
            await until(lambda: version_of(watch) == version_of(other) == "2")

            assert watch.state.swaps == other.state.swaps == 1

    run(work())
