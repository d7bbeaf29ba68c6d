"""Bulk streams while versions come and go: guard, spare and challenger see their rows as they see single scores."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
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
    Shadow,
    ShadowLimits,
    WatchTiming,
)
from inference.errors import RefusalCode
from inference.testing import FakeRegistry, InMemoryFeatureReader, tiny_model
from serving import Service, Settings, create_app
from serving.lifecycle import Lifecycle

NAME = "hourly_rate"
NDJSON = "application/x-ndjson"
CANDIDATES = [f"c{number:07}" for number in range(5000)]
ERRING = "3"


class Prediction(msgspec.Struct, frozen=True):
    estimate: float


def postprocess(raw: NDArray[np.float64], output: OutputSpec) -> dict[str, NDArray[Any]]:
    """Fail as a version may that passed every check: one whose unit is `erring`, for more rows than golden ones."""
    if output.unit == "erring" and len(raw) > 16:
        raise ValueError
    return {"estimate": raw}


SERVICE = Service(
    name=NAME,
    title="Rates",
    summary="For tests",
    port=1,
    entities=("candidate_id",),
    prediction=Prediction,
    postprocess=postprocess,
    bulk_key="candidate_ids",
)


class World:
    def __init__(self, home: Path) -> None:
        self.registry = FakeRegistry()
        self.home = home
        for number, unit, centre in (("1", "", 8.5), ("2", "", 8.5), (ERRING, "erring", 8.5), ("4", "", 12.0)):
            output = OutputSpec(name="estimate", unit=unit)
            tiny_model(home / number, output=output, trees=10 + int(number), centre=centre)
            self.registry.publish(NAME, number, home / number)
        self.registry.move_alias(NAME, "champion", "1")
        self.lifecycle: Lifecycle | None = None

    async def open_reader(self, contract: Contract) -> FeatureReader:
        people = {
            (name,): {
                "years_experience": place % 60,
                "desired_rate_yen": place * 37 % 100_000,
                "commits_90d": place % 97,
            }
            for place, name in enumerate(CANDIDATES)
        }
        return InMemoryFeatureReader(contract, people)

    @asynccontextmanager
    async def models(self, service: Service, _: Settings) -> AsyncIterator[Lifecycle]:
        cache = ArtifactCache(self.home / "cache")
        timing = WatchTiming(poll_seconds=0.02, first_retry_seconds=0.005, signal_seconds=0.005)
        history = PromotionHistory(self.home / "history", NAME)
        options: dict[str, Any] = {"on_demand_modules": (), "timing": timing, "history": history}
        guard = GuardLimits(window_seconds=60, min_rows=500)
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

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[tuple[Lifecycle, httpx.AsyncClient]]:
        (self.home / "api-key").write_text("tests:a-key\n")
        app: FastAPI = create_app(SERVICE, Settings(home=self.home), open_models=self.models)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://s", headers={"x-api-key": "a-key"}) as client,
        ):
            assert self.lifecycle is not None
            assert await self.lifecycle.champion.wait_ready(20)
            yield self.lifecycle, client

    async def promote(self, lifecycle: Lifecycle, version: str, alias: str = "champion") -> None:
        self.registry.move_alias(NAME, alias, version)
        watch = lifecycle.champion if alias == "champion" else lifecycle.challenger
        await until(lambda: watch.state.champion is not None and watch.state.champion.version == version)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # the state is a value to poll
            await asyncio.sleep(0.005)


async def stream(client: httpx.AsyncClient, candidates: list[str]) -> tuple[str, int]:
    """Stream candidates; gives the version and how many rows were scored."""
    content = b"".join(json.dumps({"candidate_id": name}).encode() + b"\n" for name in candidates)
    answer = await client.post("/v1/score/bulk", content=content, headers={"content-type": NDJSON})
    assert answer.status_code == 200
    head, *rows = map(json.loads, answer.content.splitlines())
    return head["model"]["version"], sum("prediction" in row for row in rows)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 120))


def test_a_stream_that_meets_an_erring_version_is_of_the_version_before_and_the_guard_learns_of_it(
    world: World,
) -> None:
    async def work() -> None:
        async with world.serving() as (lifecycle, client):
            await world.promote(lifecycle, ERRING)
            answers = [await stream(client, CANDIDATES) for _ in range(3)]
            await until(lambda: lifecycle.state.rollbacks)

            assert answers == [("1", len(CANDIDATES))] * 3
            assert [one.code for one in lifecycle.state.refused] == [RefusalCode.GUARD_ERRORS]

    run(work())


def test_rows_of_streams_count_for_the_guards_shift(world: World) -> None:
    async def work() -> None:
        async with world.serving() as (lifecycle, client):
            await stream(client, CANDIDATES)
            await world.promote(lifecycle, "4")
            await stream(client, CANDIDATES)
            await until(lambda: lifecycle.state.rollbacks)

            assert [one.code for one in lifecycle.state.refused] == [RefusalCode.GUARD_SHIFT]

    run(work())


def test_rows_of_streams_are_scored_in_shadow_by_the_stretch(world: World) -> None:
    """A stream's chunk is long; the challenger gets a hundred of its rows."""

    async def work() -> None:
        async with world.serving() as (lifecycle, client):
            await world.promote(lifecycle, "2", "challenger")
            await stream(client, CANDIDATES)
            await until(lambda: sum(one.rows for one in lifecycle.comparisons) >= 300)
            (found,) = lifecycle.comparisons

            assert (found.champion, found.challenger, found.rows, found.failures) == ("1", "2", 300, 0)

    run(work())


def test_a_stream_keeps_its_version_while_the_alias_moves(world: World) -> None:
    async def work() -> None:
        async with world.serving() as (lifecycle, client):
            before = lifecycle.current()

            async def content() -> AsyncIterator[bytes]:
                yield b"".join(json.dumps({"candidate_id": name}).encode() + b"\n" for name in CANDIDATES)
                await world.promote(lifecycle, "2")
                yield b"".join(json.dumps({"candidate_id": name}).encode() + b"\n" for name in CANDIDATES)

            answer = await client.post("/v1/score/bulk", content=content(), headers={"content-type": NDJSON})
            head, *rows = map(json.loads, answer.content.splitlines())

            assert (head["model"]["version"], len(rows)) == ("1", 2 * len(CANDIDATES))
            assert len({row["prediction"]["estimate"] for row in rows}) == len(
                {row["prediction"]["estimate"] for row in rows[: len(CANDIDATES)]}
            )
            assert before.in_flight == 0

    run(work())
