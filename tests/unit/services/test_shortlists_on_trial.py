"""Shortlists while versions come and go: guard, spare and challenger see their rows as they see single scores."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from numpy.typing import NDArray

from inference import (
    ArtifactCache,
    Contract,
    FeatureReader,
    GuardLimits,
    ModelWatch,
    OutputSpec,
    PromotionHistory,
    ScoredRows,
    Shadow,
    ShadowLimits,
    WatchTiming,
)
from inference.errors import RefusalCode
from inference.testing import FakeRegistry, InMemoryFeatureReader, tiny_model
from recommendation import SERVICE, ranking
from recommendation.pool import CandidatePool
from serving import Service, Settings, create_app
from serving.lifecycle import Lifecycle

NAME = "recommendation"
CANDIDATES = [f"c{number:07}" for number in range(200)]
JOBS = [f"j{number:07}" for number in range(60)]
LIMIT = 5
ERRING, SHIFTED, WITHOUT_NUMBERS = "3", "4", "5"
UNITS = {ERRING: "erring", WITHOUT_NUMBERS: "numberless"}


def postprocess(raw: NDArray[np.float64], output: OutputSpec) -> dict[str, NDArray[Any]]:
    """Fail as a version may that passed every check: the unit says how, for more rows than golden ones."""
    columns = SERVICE.postprocess(raw, output)
    if output.unit == "erring" and len(raw) > 16:
        raise ValueError
    if output.unit == "numberless" and len(raw) > 16:
        columns["score"][::10] = np.nan
    return columns


class World:
    def __init__(self, home: Path) -> None:
        self.registry = FakeRegistry()
        self.home = home
        self.window_seconds = 60.0
        for number in ("1", "2", ERRING, SHIFTED, WITHOUT_NUMBERS):
            self.publish(number)
        self.registry.move_alias(NAME, "champion", "1")
        self.lifecycle: Lifecycle | None = None
        self.app: FastAPI | None = None

    def publish(self, number: str) -> None:
        tables = {"calibration_x": (0.0, 1.0), "calibration_y": (0.9 if number == SHIFTED else 0.0, 1.0)}
        tiny_model(
            self.home / number,
            model=NAME,
            task="binary",
            entities=SERVICE.entities,
            output=OutputSpec("score", UNITS.get(number, ""), tables),
            trees=10 + int(number),
        )
        self.registry.publish(NAME, number, self.home / number)

    async def open_reader(self, contract: Contract) -> FeatureReader:
        rng = np.random.default_rng(1)
        people: dict[str, dict[str, object]] = {
            name: {
                "years_experience": float(rng.uniform(0, 60)),
                "desired_rate_yen": int(rng.integers(100_000)),
                "has_github": int(rng.integers(2)),
                "commits_90d": int(rng.integers(100)),
            }
            for name in CANDIDATES
        }
        jobs: dict[str, dict[str, object]] = {
            name: {"job_rate_max_yen": int(rng.integers(100)), "job_skill_count": int(rng.integers(100))}
            for name in JOBS
        }
        reader = InMemoryFeatureReader(contract)
        for job, asked in {**jobs, "-": {}}.items():
            for person, known in {**people, "-": {}}.items():
                reader.put((job, person), {**asked, **known})
        return reader

    @asynccontextmanager
    async def models(self, service: Service, _: Settings) -> AsyncIterator[Lifecycle]:
        cache = ArtifactCache(self.home / "cache")
        timing = WatchTiming(poll_seconds=0.02, first_retry_seconds=0.005, signal_seconds=0.005)
        history = PromotionHistory(self.home / "history", NAME)
        options: dict[str, Any] = {"on_demand_modules": (), "timing": timing, "history": history}
        guard = GuardLimits(window_seconds=self.window_seconds, min_rows=500)
        champion = ModelWatch(self.registry, cache, NAME, self.open_reader, guard=guard, **options)
        challenger = ModelWatch(
            self.registry, cache, NAME, self.open_reader, alias="challenger", keeps_last=False, **options
        )
        shadow = Shadow(challenger, service.postprocess, ShadowLimits(share=1.0, batch_rows=100))
        self.lifecycle = Lifecycle(champion, challenger, shadow, history, cache)
        for watch in (champion, challenger):
            await watch.start()
        try:
            yield self.lifecycle
        finally:
            for watch in (champion, challenger):
                await watch.close()

    async def read_pool(self, _: Settings, __: str) -> list[str]:
        return CANDIDATES

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[tuple[Lifecycle, httpx.AsyncClient]]:
        (self.home / "api-key").write_text("tests:a-key\n")
        settings = Settings(home=self.home, redis_url="redis://127.0.0.1:1/0")
        self.app = create_app(SERVICE, settings, open_models=self.models, read_pool=self.read_pool)
        transport = httpx.ASGITransport(self.app)
        async with (
            self.app.router.lifespan_context(self.app),
            httpx.AsyncClient(transport=transport, base_url="http://s", headers={"x-api-key": "a-key"}) as client,
        ):
            assert self.lifecycle is not None
            assert await self.lifecycle.champion.wait_ready(20)
            await self.pool.refresh()
            yield self.lifecycle, client

    @property
    def pool(self) -> CandidatePool:
        assert self.app is not None
        pool = self.app.state.shell.resource
        assert isinstance(pool, CandidatePool)
        return pool

    async def promote(self, lifecycle: Lifecycle, version: str, alias: str = "champion") -> None:
        """Move an alias; a new champion's pool is read."""
        self.registry.move_alias(NAME, alias, version)
        watch = lifecycle.champion if alias == "champion" else lifecycle.challenger
        await until(lambda: watch.state.champion is not None and watch.state.champion.version == version)
        await self.pool.refresh()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("recommendation.shortlists.postprocess", postprocess)
    return World(tmp_path)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # the state is a value to poll
            await asyncio.sleep(0.005)


async def shortlist(client: httpx.AsyncClient, job: str = JOBS[0]) -> str:
    """Ask for a shortlist; gives the version that answered."""
    answer = await client.post("/v1/shortlist", json={"job_id": job, "limit": LIMIT})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["candidates"]) == LIMIT
    version: str = answer.json()["model"]["version"]
    return version


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 120))


def test_a_version_that_errs_in_shortlists_alone_is_rolled_back_and_no_caller_notices(world: World) -> None:
    async def work() -> None:
        async with world.serving() as (lifecycle, client):
            before = lifecycle.current()
            await world.promote(lifecycle, ERRING)
            left = lifecycle.current()
            pair = {"job_id": JOBS[0], "candidate_id": CANDIDATES[0]}
            single = (await client.post("/v1/score", json=pair)).json()["model"]["version"]
            versions = [await shortlist(client) for _ in range(3)]

            assert (single, versions) == (ERRING, ["1"] * 3)
            assert [one.code for one in lifecycle.state.refused] == [RefusalCode.GUARD_ERRORS]
            assert "ranked rows" in lifecycle.state.refused[0].reason
            assert lifecycle.current() is before
            await until(lambda: left.in_flight == 0)

    run(work())


def test_rows_without_a_number_count_though_no_caller_gets_them(world: World) -> None:
    async def work() -> None:
        async with world.serving() as (lifecycle, client):
            await world.promote(lifecycle, WITHOUT_NUMBERS)
            await shortlist(client)
            await until(lambda: lifecycle.state.rollbacks)

            assert [one.code for one in lifecycle.state.refused] == [RefusalCode.GUARD_ERRORS]

    run(work())


def test_rankings_that_shift_are_rolled_back_once_there_are_enough_jobs(world: World) -> None:
    async def work() -> None:
        async with world.serving() as (lifecycle, client):
            for job in JOBS:
                await shortlist(client, job)
                await asyncio.sleep(0.003)
            await world.promote(lifecycle, SHIFTED)
            for job in JOBS[:40]:
                await shortlist(client, job)
            early = lifecycle.state.rollbacks
            await asyncio.sleep(0.3)
            for job in JOBS[40:]:
                await shortlist(client, job)
            await asyncio.sleep(0.3)
            await shortlist(client)
            await until(lambda: lifecycle.state.rollbacks)

            assert early == 0
            assert [one.code for one in lifecycle.state.refused] == [RefusalCode.GUARD_SHIFT]

    run(work())


def test_the_pool_is_kept_for_the_version_before_as_long_as_the_trial_runs(world: World) -> None:
    world.window_seconds = 0.2

    async def work() -> None:
        async with world.serving() as (lifecycle, client):
            before = lifecycle.current()
            first = await shortlist(client)
            await world.promote(lifecycle, "2")
            second = await shortlist(client)
            kept = world.pool.spare_of(world.pool.table())
            await until(lambda: before.in_flight == 0)

            assert (first, second) == ("1", "2")
            assert kept is not None
            assert kept.live is before
            assert lifecycle.champion.trial is None
            assert world.pool.spare_of(world.pool.table()) is None

    run(work())


def test_all_that_was_scored_is_compared_in_shadow_by_the_stretch(world: World) -> None:
    """A ranking's rows are 200; the challenger gets a hundred of them."""

    async def work() -> None:
        async with world.serving() as (lifecycle, client):
            await world.promote(lifecycle, "2", "challenger")
            for job in JOBS[:3]:
                await shortlist(client, job)
            await until(lambda: sum(one.rows for one in lifecycle.comparisons) >= 300)
            (found,) = lifecycle.comparisons

            assert (found.champion, found.challenger, found.rows, found.failures) == ("1", "2", 300, 0)

    run(work())


def test_observers_see_the_rows_as_they_were_scored_and_counters_those_that_were_answered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "SCORED_MAX", 50)

    async def work() -> None:
        async with world.serving() as (lifecycle, client):
            seen: list[ScoredRows] = []
            monkeypatch.setattr(lifecycle.champion, "observe", seen.append)
            runtime = world.app.state.shell.runtime  # type: ignore[union-attr]  # the application is started
            await shortlist(client)
            await until(lambda: seen)
            (rows,) = seen
            again = await runtime.predictor.score(rows.keys)
            text = (await client.get("/metrics")).text

            assert rows.n == 50
            assert rows.keys["job_id"] == [JOBS[0]] * 50
            assert max(Counter(rows.keys["candidate_id"]).values()) == 1
            for name in ("raw", "features", "matrix", "status"):
                np.testing.assert_array_equal(getattr(rows, name), getattr(again, name))
            assert rows.answered is not None
            np.testing.assert_array_equal(rows.answered.raw, np.sort(rows.raw)[::-1][:LIMIT])
            # The check of the rows is counted too.
            assert f'scoring_predictions_total{{model="{NAME}",version="1"}} {LIMIT + 50}' in text

    run(work())
