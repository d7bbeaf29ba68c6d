import asyncio
import gc
import shutil
import weakref
from collections.abc import Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
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
    OutputForm,
    OutputSpec,
    Predictor,
    RegisteredVersion,
    Shadow,
    ShadowLimits,
    SpeedLimit,
    WatchTiming,
    read_contract,
)
from inference.errors import FeatureStoreError, NoModelError, RefusalCode
from inference.testing import FakeRegistry, InMemoryFeatureReader, tiny_model

NAME = "hourly_rate"
QUICK = WatchTiming(poll_seconds=0.02, first_retry_seconds=0.005, first_look_seconds=0.2, refused_retry_seconds=0.02)


def postprocess(raw: NDArray[np.float64], _output: OutputSpec) -> dict[str, NDArray[Any]]:
    return {"estimate": raw}


class World:
    """A registry with two versions, a cache, a store."""

    def __init__(self, directory: Path, first: Path, second: Path) -> None:
        self.registry = FakeRegistry()
        self.registry.publish(NAME, "1", first)
        self.registry.publish(NAME, "2", second)
        self.registry.move_alias(NAME, "champion", "1")
        self.cache = ArtifactCache(directory / "cache")
        self.readers: list[InMemoryFeatureReader] = []
        self.store_error: Exception | None = None
        self.without_views: set[str] = set()
        self.directory = directory

    async def open_reader(self, contract: Contract) -> FeatureReader:
        if self.store_error is not None:
            raise self.store_error
        reader = InMemoryFeatureReader(contract, {("c1",): {"years_experience": 3}})
        for view in self.without_views:
            reader.schemas_now.pop(view)
        self.readers.append(reader)
        return reader

    def watch(self, **options: Any) -> ModelWatch:
        options.setdefault("timing", QUICK)
        modules = ("inference.testing",)
        return ModelWatch(self.registry, self.cache, NAME, self.open_reader, on_demand_modules=modules, **options)

    @asynccontextmanager
    async def watching(self, **options: Any) -> Any:
        watch = self.watch(**options)
        await watch.start()
        try:
            yield watch
        finally:
            await watch.close()

    def publish_broken(self, version: str, spoil: Callable[[Path], object]) -> None:
        """Publish a spoilt copy of version 2 and promote it."""
        directory = shutil.copytree(self.registry_directory("2"), self.directory / f"broken-{version}")
        spoil(directory)
        self.registry.publish(NAME, version, directory)
        self.registry.move_alias(NAME, "champion", version)

    def registry_directory(self, version: str) -> Path:
        return self.registry._directories[NAME, version]


@pytest.fixture
def world(tmp_path: Path, model_directory: Path, other_directory: Path) -> World:
    return World(tmp_path, model_directory, other_directory)


def serves(watch: ModelWatch, version: str) -> bool:
    return version_of(watch) == version


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # the state is a value to poll, as `/v1/model` does
            await asyncio.sleep(0.005)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


def version_of(watch: ModelWatch) -> str | None:
    champion = watch.state.champion
    return champion.version if champion else None


def test_before_the_start_there_is_no_model(world: World) -> None:
    watch = world.watch()

    with pytest.raises(NoModelError, match=NAME):
        watch.current()
    assert not watch.state.ready


def test_the_champion_is_loaded_and_remembered(world: World) -> None:
    async def work() -> None:
        async with world.watching() as watch:
            assert await watch.wait_ready(20)
            await until(lambda: world.cache.recall(NAME, "champion"))

            assert version_of(watch) == "1"
            assert (watch.state.source, watch.state.registry_error, watch.state.swaps) == ("registry", None, 0)
            assert watch.current().version is watch.state.champion
        assert world.readers[0].closed
        assert not watch.state.ready

    run(work())


def test_a_moved_alias_goes_live_and_the_old_reader_closes(world: World) -> None:
    async def work() -> None:
        async with world.watching() as watch:
            await watch.wait_ready(20)
            old = watch.current()
            old.acquire()
            world.registry.move_alias(NAME, "champion", "2")
            await until(lambda: version_of(watch) == "2")
            assert not world.readers[0].closed
            old.release()
            await until(lambda: world.readers[0].closed)

            assert watch.state.swaps == 1
            assert not world.readers[1].closed

    run(work())


def test_a_version_that_was_swapped_out_is_freed_after_its_last_request(world: World) -> None:
    """Its booster's memory with it: nothing holds the version, though observers, guard and shadow have seen it."""

    async def work() -> None:
        async with world.watching(guard=GuardLimits(window_seconds=0.01, min_rows=1)) as watch:
            await watch.wait_ready(20)
            shadow = Shadow(watch, postprocess, ShadowLimits(share=1.0))
            await shadow.start()
            predictor = Predictor(watch, postprocess, observers=(watch, shadow), spare=watch.spare)
            await predictor.score({"candidate_id": ["c1"]})
            old = weakref.ref(watch.current().version.booster)
            world.registry.move_alias(NAME, "champion", "2")
            await until(lambda: version_of(watch) == "2")
            await predictor.score({"candidate_id": ["c1"]})
            await until(lambda: watch.trial is None and world.readers[0].closed)
            gc.collect()

            assert old() is None
            await shadow.close()
            await predictor.close()

    run(work())


def test_a_poke_looks_at_once(world: World) -> None:
    async def work() -> None:
        async with world.watching(timing=WatchTiming(poll_seconds=1000.0)) as watch:
            await watch.wait_ready(20)
            await until(lambda: watch.state.checked_at)
            world.registry.move_alias(NAME, "champion", "2")
            await asyncio.sleep(0)
            watch.poke()
            await until(lambda: version_of(watch) == "2")

            assert watch.state.champion.version == "2"

    run(work())


def test_scoring_goes_on_through_many_swaps_and_each_answer_is_of_one_version(world: World) -> None:
    async def work() -> None:
        async with world.watching(timing=WatchTiming(poll_seconds=0.001)) as watch:
            await watch.wait_ready(20)
            predictor = Predictor(watch, postprocess)
            expected: dict[str, float] = {}
            done = False

            async def score() -> int:
                count = 0
                while not done:
                    rows = await predictor.score({"candidate_id": ["c1"] * (count % 3 + 1)})
                    raw = rows.raw.tolist()
                    assert set(raw) == {expected.setdefault(rows.model.version, raw[0])}
                    count += 1
                return count

            callers = [asyncio.create_task(score()) for _ in range(4)]
            for swap in range(20):
                wanted = "21"[swap % 2]
                world.registry.move_alias(NAME, "champion", wanted)
                await until(partial(serves, watch, wanted))
            done = True
            counts = await asyncio.gather(*callers)
            await predictor.close()
            await until(lambda: sum(not reader.closed for reader in world.readers) == 1)

            assert min(counts) > 20
            assert len(set(expected.values())) == 2
            assert world.registry.downloads == ["1", "2"]

    run(work())


def test_the_registry_going_away_changes_nothing_and_its_return_is_noticed(world: World) -> None:
    async def work() -> None:
        async with world.watching() as watch:
            await watch.wait_ready(20)
            world.registry.down = True
            await until(lambda: watch.state.registry_error)
            assert version_of(watch) == "1"
            world.registry.move_alias(NAME, "champion", "2")
            world.registry.down = False
            await until(lambda: version_of(watch) == "2")

            assert watch.state.registry_error is None

    run(work())


def test_a_restart_without_the_registry_comes_up_from_the_cache_and_catches_up(world: World) -> None:
    async def work() -> None:
        async with world.watching() as watch:
            await watch.wait_ready(20)
            await until(lambda: world.cache.recall(NAME, "champion"))
        world.registry.down = True
        async with world.watching() as watch:
            assert await watch.wait_ready(20)
            assert (version_of(watch), watch.state.source) == ("1", "cache")
            assert "does not answer" in watch.state.registry_error
            world.registry.down = False
            await until(lambda: watch.state.source == "registry")

            assert watch.state.registry_error is None
            assert world.registry.downloads == ["1"]

    run(work())


def test_a_registry_that_hangs_does_not_hold_up_a_restart(world: World) -> None:
    async def hang(name: str, alias: str) -> RegisteredVersion:
        await asyncio.Event().wait()
        raise AssertionError

    async def work() -> None:
        async with world.watching() as watch:
            await watch.wait_ready(20)
            await until(lambda: world.cache.recall(NAME, "champion"))
        world.registry.by_alias = hang  # type: ignore[method-assign]  # a fake that hangs instead of answering
        async with world.watching() as watch:
            assert await watch.wait_ready(20)
            assert watch.state.source == "cache"

    run(work())


def test_without_registry_and_cache_it_waits_until_the_registry_is_there(world: World) -> None:
    async def work() -> None:
        world.registry.down = True
        async with world.watching() as watch:
            assert not await watch.wait_ready(0.05)
            world.registry.down = False
            assert await watch.wait_ready(20)

    run(work())


def test_an_alias_that_is_not_set_is_said(world: World) -> None:
    async def work() -> None:
        async with world.watching(alias="challenger") as watch:
            await until(lambda: watch.state.registry_error)

            assert "alias challenger not found" in watch.state.registry_error
            assert not watch.state.ready

    run(work())


def rename_feature(directory: Path) -> None:
    contract = read_contract((directory / "contract.json").read_bytes())
    renamed = msgspec.structs.replace(contract.features[1], reference="candidate_profile:years_renamed")
    features = (contract.features[0], renamed, *contract.features[2:])
    changed = msgspec.structs.replace(contract, features=features)
    (directory / "contract.json").write_bytes(msgspec.json.encode(changed))


def wrong_golden_rows(directory: Path) -> None:
    contract = read_contract((directory / "contract.json").read_bytes())
    golden = msgspec.structs.replace(contract.golden, raw=tuple(value + 1 for value in contract.golden.raw))
    changed = msgspec.structs.replace(contract, golden=golden)
    (directory / "contract.json").write_bytes(msgspec.json.encode(changed))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (rename_feature, "view candidate_profile has no column years_renamed"),
        (wrong_golden_rows, "16 of 16 golden rows come out wrong"),
        (lambda d: (d / "model.lgb").write_bytes(b"corrupt"), "sha256 differs"),
        (lambda d: (d / "contract.json").unlink(), "has no contract.json"),
    ],
    ids=["renamed feature", "golden rows", "corrupt artefact", "no contract"],
)
def test_a_refused_version_stays_out_with_its_reason(
    world: World, spoil: Callable[[Path], object], reason: str
) -> None:
    async def work() -> None:
        async with world.watching() as watch:
            await watch.wait_ready(20)
            # The fake store's schemas follow the contract it is opened for; this one knows version 1 only.
            known = dict(world.readers[0].schemas_now)
            opened = world.open_reader

            async def open_reader(contract: Contract) -> FeatureReader:
                reader = await opened(contract)
                world.readers[-1].schemas_now = known
                return reader

            watch._promoter._loader.open_reader = open_reader
            world.publish_broken("3", spoil)
            await until(lambda: watch.state.refused)
            (refused,) = watch.state.refused
            live = watch.current()
            rows = await live.reader.read({"candidate_id": ["c1"]})
            await until(lambda: (NAME, "3") in world.registry.tags)

            assert refused.version == "3"
            assert reason in refused.reason
            assert version_of(watch) == "1"
            assert rows.found.tolist() == [True]
            assert world.registry.tags[NAME, "3"] == {"serving.refused": refused.reason}
            world.registry.move_alias(NAME, "champion", "2")
            await until(lambda: version_of(watch) == "2")

    run(work())


class Prediction(msgspec.Struct, frozen=True):
    estimate: float


def test_a_version_that_the_service_can_make_nothing_of_is_refused(world: World) -> None:
    """It would answer each request with 500."""

    def with_table(raw: NDArray[np.float64], output: OutputSpec) -> dict[str, NDArray[Any]]:
        return {"estimate": raw + output.tables["offset"][0]}

    def add_table(directory: Path) -> None:
        contract = read_contract((directory / "contract.json").read_bytes())
        output = msgspec.structs.replace(contract.output, tables={"offset": (1.0,)})
        changed = msgspec.structs.replace(contract, output=output)
        (directory / "contract.json").write_bytes(msgspec.json.encode(changed))

    async def work() -> None:
        world.publish_broken("3", add_table)
        async with world.watching(outputs=[OutputForm(with_table, Prediction)]) as watch:
            await watch.wait_ready(20)
            world.registry.move_alias(NAME, "champion", "2")
            await until(lambda: (NAME, "2") in world.registry.tags)
            (refused,) = watch.state.refused

            assert (version_of(watch), refused.version) == ("3", "2")
            assert (refused.code, refused.reason) == (
                RefusalCode.POSTPROCESSING,
                "post-processing: the contract has no table offset",
            )

    run(work())


def test_a_slower_version_is_refused_where_a_bound_is_set(world: World, tmp_path: Path) -> None:
    async def work() -> None:
        tiny_model(tmp_path / "slow", on_demand=True, trees=4000)
        async with world.watching(speed_limit=SpeedLimit(max_slowdown=3.0)) as watch:
            await watch.wait_ready(20)
            world.registry.publish(NAME, "3", tmp_path / "slow")
            world.registry.move_alias(NAME, "champion", "3")
            await until(lambda: watch.state.refused)

            assert "times as long as now" in watch.state.refused[0].reason

    run(work())


def test_a_view_that_appears_later_lets_the_refused_version_in(world: World) -> None:
    async def work() -> None:
        world.without_views = {"candidate_activity"}
        async with world.watching() as watch:
            await until(lambda: watch.state.refused)
            assert not watch.state.ready
            world.without_views = set()
            assert await watch.wait_ready(20)

            assert watch.state.refused == ()
            assert all(reader.closed for reader in world.readers[:-1])

    run(work())


def test_a_store_that_is_away_refuses_nothing(world: World) -> None:
    async def work() -> None:
        world.store_error = FeatureStoreError("the store is away")
        async with world.watching() as watch:
            await until(lambda: watch.state.registry_error)
            assert (watch.state.refused, watch.state.ready) == ((), False)
            world.store_error = None
            assert await watch.wait_ready(20)

    run(work())


def test_a_restart_with_a_refused_champion_serves_what_served_before(world: World) -> None:
    async def work() -> None:
        async with world.watching() as watch:
            await watch.wait_ready(20)
            await until(lambda: world.cache.recall(NAME, "champion"))
        world.publish_broken("3", lambda d: (d / "model.lgb").write_bytes(b"corrupt"))
        async with world.watching() as watch:
            assert await watch.wait_ready(20)

            assert (version_of(watch), watch.state.source) == ("1", "cache")
            assert [refused.version for refused in watch.state.refused] == ["3"]

    run(work())


def test_the_watch_outlives_what_it_did_not_expect(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        world.store_error = RuntimeError("a bug")
        async with world.watching() as watch:
            await until(lambda: watch.state.registry_error)
            world.store_error = None
            assert await watch.wait_ready(20)

    run(work())
    assert "watch_failed" in caplog.text


def test_a_corrupt_cache_entry_is_fetched_again(world: World) -> None:
    async def work() -> None:
        async with world.watching() as watch:
            await watch.wait_ready(20)
            await until(lambda: world.cache.recall(NAME, "champion"))
        _, entry = world.cache.recall(NAME, "champion") or (None, Path())
        (entry / "model.lgb").write_bytes(b"bit rot")
        async with world.watching() as watch:
            assert await watch.wait_ready(20)

            assert watch.state.source == "registry"
            assert world.registry.downloads == ["1", "1"]

    run(work())
