import asyncio
import math
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference import Contract, LiveModel, OutputSpec, Predictor, PredictorLimits, ScoredRows
from inference.boosters.lightgbm import LightGBMBooster
from inference.errors import ContractViolationError, FeatureStoreError, NoModelError
from inference.testing import FixedModel, InMemoryFeatureReader, live_model

PEOPLE = 60


def postprocess(raw: NDArray[np.float64], _output: OutputSpec) -> dict[str, NDArray[Any]]:
    return {"estimate": np.exp(raw), "above": raw > 8.5}


def values_of(person: int) -> dict[str, object]:
    """A different row for each person; some values are missing."""
    return {
        "role": ["backend", "frontend", "designer", None][person % 4],
        "years_experience": None if person % 7 == 3 else person / 3,
        "desired_rate_yen": 100 * person,
        "has_github": person % 2 == 0,
        "commits_90d": person % 50,
    }


def filled(contract: Contract) -> InMemoryFeatureReader:
    reader = InMemoryFeatureReader(contract)
    for person in range(PEOPLE):
        reader.put((f"c{person}",), values_of(person), as_of_us=1000 + person)
    return reader


def expected_row(contract: Contract, person: int, years: float | None = None) -> list[float]:
    """The model's matrix row, written out by hand."""
    values = values_of(person)
    roles = contract.features[0].categories
    role = math.nan if values["role"] is None else float(roles.index(str(values["role"])))
    own = math.nan if values["years_experience"] is None else person / 3
    experience = own if years is None else years
    rate = 100.0 * person
    # articles_90d is missing everywhere and has the default 0; the last is the on-demand feature.
    return [role, experience, rate, float(person % 2 == 0), float(person % 50), 0.0, rate / (experience + 1)]


class Harness:
    def __init__(self, directory: Path, **limits: Any) -> None:
        self.live = live_model(directory)
        self.reader = filled(self.live.version.contract)
        self.live.reader = self.reader
        self.models = FixedModel(self.live)
        self.predictor = Predictor(self.models, postprocess, limits=PredictorLimits(**limits))

    @property
    def booster(self) -> LightGBMBooster:
        booster = self.live.version.booster
        assert isinstance(booster, LightGBMBooster)
        return booster

    def predict(self, people: list[int], years: float | None = None) -> NDArray[np.float64]:
        rows = [expected_row(self.live.version.contract, person, years) for person in people]
        return self.booster.predict(np.array(rows))


def keys(people: list[int]) -> dict[str, list[str]]:
    return {"candidate_id": [f"c{person}" for person in people]}


async def until_reads(reader: InMemoryFeatureReader, count: int) -> None:
    """Give the loop turns until so many reads have begun."""
    while len(reader.reads) < count:  # noqa: ASYNC110  # the reader is a fake of the product, without events for tests
        await asyncio.sleep(0)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


@pytest.fixture
def harness(model_directory: Path) -> Iterator[Harness]:
    made = Harness(model_directory)
    yield made
    asyncio.run(made.predictor.close())


def test_one_row_comes_out_as_the_booster_and_the_postprocessing_say(harness: Harness) -> None:
    async def work() -> None:
        rows = await harness.predictor.score(keys([5]))

        assert rows.raw.tobytes() == harness.predict([5]).tobytes()
        assert rows.columns["estimate"].tolist() == np.exp(rows.raw).tolist()
        assert (rows.n, rows.found.tolist(), rows.degraded.tolist()) == (1, [True], [False])
        assert rows.as_of_us.tolist() == [1005]
        assert rows.missing(0) == ["articles_90d"]
        assert rows.stale(0) == []
        assert rows.model is harness.live.version

    run(work())


def test_calls_that_wait_together_are_one_read(harness: Harness) -> None:
    async def work() -> None:
        answers = await asyncio.gather(*[harness.predictor.score(keys([person])) for person in range(20)])

        assert harness.reader.reads == [20]
        assert [answer.raw[0] for answer in answers] == harness.predict(list(range(20))).tolist()

    run(work())


def test_calls_gather_for_the_next_batch_while_all_batches_wait_for_the_store(model_directory: Path) -> None:
    async def work() -> None:
        harness = Harness(model_directory, batches_in_flight=1)
        harness.reader.gate = asyncio.Event()
        first = asyncio.create_task(harness.predictor.score(keys([0])))
        await until_reads(harness.reader, 1)
        others = [asyncio.create_task(harness.predictor.score(keys([person]))) for person in (1, 2, 3)]
        await asyncio.sleep(0)
        harness.reader.gate.set()
        await asyncio.gather(first, *others)
        await harness.predictor.close()

        assert harness.reader.reads == [1, 3]

    run(work())


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_each_caller_gets_its_own_rows_under_concurrency_and_cancellation(
    model_directory: Path, data: st.DataObject
) -> None:
    """Any mix of sizes, overrides, turns of the loop, cancelled and forbidden calls."""
    call = st.tuples(
        st.lists(st.integers(0, PEOPLE - 1), max_size=9),
        st.sampled_from([None, None, None, 1.0, 20.0, -1.0]),
        st.integers(0, 3),
        st.sampled_from([None, None, None, None, 0, 1, 2, 3]),
    )
    calls = data.draw(st.lists(call, min_size=1, max_size=30))
    limits = data.draw(
        st.fixed_dictionaries(
            {
                "batch_rows": st.sampled_from([4, 16, 512]),
                "batches_in_flight": st.integers(1, 3),
                "inline_seconds": st.sampled_from([0.0, 1.0]),
            }
        )
    )

    async def one(
        harness: Harness, people: list[int], years: float | None, turns: int, cancel_after: int | None
    ) -> tuple[list[int], float | None, bool, ScoredRows | Exception]:
        for _ in range(turns):
            await asyncio.sleep(0)
        overrides = None if years is None else {"years_experience": years}
        task = asyncio.create_task(harness.predictor.score(keys(people), overrides))
        if cancel_after is not None:
            for _ in range(cancel_after):
                await asyncio.sleep(0)
            task.cancel()
        (result,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(result, asyncio.CancelledError):
            return people, years, True, Exception()
        assert not isinstance(result, BaseException) or isinstance(result, Exception)
        return people, years, False, result

    async def work() -> None:
        harness = Harness(model_directory, **limits)
        answers = await asyncio.gather(*[one(harness, *arguments) for arguments in calls])
        await harness.predictor.close()
        for people, years, cancelled, answer in answers:
            if cancelled:
                continue
            if years == -1.0:
                assert isinstance(answer, ContractViolationError)
                continue
            assert isinstance(answer, ScoredRows), answer
            assert answer.keys == keys(people)
            assert answer.raw.tobytes() == harness.predict(people, years).tobytes() if people else answer.n == 0
            assert answer.as_of_us.tolist() == [1000 + person for person in people]
            assert len(answer.columns["estimate"]) == len(people)
        assert harness.live.in_flight == 0

    run(work())


def test_a_large_call_is_cut_and_does_not_delay_a_small_one(model_directory: Path) -> None:
    async def work() -> None:
        harness = Harness(model_directory, batch_rows=16)
        people = [person % PEOPLE for person in range(500)]
        large = asyncio.create_task(harness.predictor.score(keys(people)))
        await until_reads(harness.reader, 1)
        small = await harness.predictor.score(keys([7]))

        assert not large.done()
        assert small.raw.tobytes() == harness.predict([7]).tobytes()
        assert (await large).raw.tobytes() == harness.predict(people).tobytes()
        assert max(harness.reader.reads) == 16
        await harness.predictor.close()

    run(work())


def test_a_large_call_is_of_one_version_though_another_goes_live(model_directory: Path, other_directory: Path) -> None:
    async def work() -> None:
        harness = Harness(model_directory, batch_rows=8, chunks_in_flight=1)
        people = [person % PEOPLE for person in range(100)]
        large = asyncio.create_task(harness.predictor.score(keys(people)))
        await until_reads(harness.reader, 2)
        other = live_model(other_directory, version="2")
        other.reader = filled(other.version.contract)
        harness.models.live = other
        after = await harness.predictor.score(keys([0]))
        before = await large
        await harness.predictor.close()

        assert before.model.version == "1"
        assert before.raw.tobytes() == harness.predict(people).tobytes()
        assert after.model.version == "2"
        assert after.raw[0] != before.raw[0]

    run(work())


def test_a_failed_read_fails_only_the_calls_that_were_in_it(harness: Harness) -> None:
    async def work() -> None:
        harness.reader.gate = asyncio.Event()
        good = asyncio.create_task(harness.predictor.score(keys([1])))
        await until_reads(harness.reader, 1)
        harness.reader.fail_with(FeatureStoreError("the store is away"))
        bad = [asyncio.create_task(harness.predictor.score(keys([person]))) for person in (2, 3)]
        await until_reads(harness.reader, 2)
        harness.reader.fail_with(None)
        harness.reader.gate.set()
        outcomes = await asyncio.gather(good, *bad, return_exceptions=True)

        assert isinstance(outcomes[0], ScoredRows)
        assert [type(outcome) for outcome in outcomes[1:]] == [FeatureStoreError, FeatureStoreError]
        assert harness.live.in_flight == 0

    run(work())


def test_a_failed_read_of_a_large_call_is_a_feature_store_error(model_directory: Path) -> None:
    async def work() -> None:
        harness = Harness(model_directory, batch_rows=4)
        harness.reader.fail_with(FeatureStoreError("the store is away"))

        with pytest.raises(FeatureStoreError, match="away"):
            await harness.predictor.score(keys(list(range(20))))
        assert harness.live.in_flight == 0
        await harness.predictor.close()

    run(work())


def test_an_unknown_id_does_not_harm_its_neighbours(harness: Harness) -> None:
    async def work() -> None:
        rows = await harness.predictor.score({"candidate_id": ["c1", "nobody", "c2"]})

        assert rows.found.tolist() == [True, False, True]
        assert rows.degraded.tolist() == [False, False, False]
        assert rows.raw[[0, 2]].tobytes() == harness.predict([1, 2]).tobytes()

    run(work())


def test_a_missing_or_stale_required_feature_marks_the_row_degraded(harness: Harness) -> None:
    async def work() -> None:
        harness.reader.put(("c-stale",), values_of(1), stale=["years_experience", "commits_90d"])
        rows = await harness.predictor.score({"candidate_id": ["c3", "c-stale", "c1"]})

        assert rows.degraded.tolist() == [True, True, False]
        assert rows.missing(0) == ["role", "years_experience", "articles_90d"]
        assert rows.stale(1) == ["years_experience", "commits_90d"]

    run(work())


def test_an_override_replaces_the_stores_value_and_what_is_computed_from_it(harness: Harness) -> None:
    async def work() -> None:
        rows = await harness.predictor.score(keys([3]), {"years_experience": 9})

        assert rows.raw.tobytes() == harness.predict([3], 9.0).tobytes()
        assert rows.degraded.tolist() == [False]
        assert "years_experience" not in rows.missing(0)

    run(work())


def test_a_key_that_the_model_does_not_have_is_a_violation(harness: Harness) -> None:
    async def work() -> None:
        with pytest.raises(ContractViolationError, match="candidate_id: is a join key"):
            await harness.predictor.score({"job_id": ["j1"]})
        with pytest.raises(ContractViolationError, match="more than the join keys"):
            await harness.predictor.score({"candidate_id": ["c1"], "job_id": ["j1"]})

    run(work())


def test_keys_of_different_lengths_are_an_error(harness: Harness) -> None:
    async def work() -> None:
        with pytest.raises(ValueError, match="same number"):
            await harness.predictor.score({"candidate_id": ["c1"], "job_id": []})

    run(work())


def test_given_values_are_scored_without_the_store(harness: Harness) -> None:
    async def work() -> None:
        values: dict[str, Any] = {
            "role": ["frontend", None],
            "years_experience": np.array([0.5, math.nan]),
            "desired_rate_yen": [100, 5],
        }
        rows = await harness.predictor.score_values(values)
        nan = math.nan
        expected = np.array([[1, 0.5, 100, nan, nan, 0, 100 / 1.5], [nan, nan, 5, nan, nan, 0, nan]])

        assert rows.raw.tobytes() == harness.booster.predict(expected).tobytes()
        assert rows.degraded.tolist() == [False, True]
        assert harness.reader.reads == []

    run(work())


def test_a_given_on_demand_feature_is_not_computed(harness: Harness) -> None:
    async def work() -> None:
        rows = await harness.predictor.score_values({"rate_per_year": [12.0], "desired_rate_yen": [100]})

        assert rows.features[0, -1] == 12.0

    run(work())


def test_contributions_add_up_to_the_margin_of_the_chosen_rows(harness: Harness) -> None:
    async def work() -> None:
        rows = await harness.predictor.score(keys([1, 2, 3]))
        contributions = await harness.predictor.explain(rows, [2, 0])

        assert contributions.shape == (2, 8)
        np.testing.assert_allclose(contributions.sum(axis=1), rows.raw[[2, 0]])

    run(work())


def test_no_model_is_said_to_every_kind_of_call(model_directory: Path) -> None:
    class NoModel:
        def current(self) -> LiveModel:
            raise NoModelError("none yet")

    async def work() -> None:
        predictor = Predictor(NoModel(), postprocess, limits=PredictorLimits(batch_rows=4))
        for call in (
            predictor.score(keys([1])),
            predictor.score(keys(list(range(9)))),
            predictor.score_values({"role": ["backend"]}),
        ):
            with pytest.raises(NoModelError):
                await call
        await predictor.close()

    run(work())


def test_observers_see_each_batch_after_the_answer_and_cannot_fail_it(
    model_directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[tuple[int, bool]] = []
    answered = False

    class Failing:
        def observe(self, batch: ScoredRows) -> None:
            raise RuntimeError(f"broken observer of {batch.n}")

    class Recording:
        def observe(self, batch: ScoredRows) -> None:
            seen.append((batch.n, answered))

    async def work() -> None:
        nonlocal answered
        harness = Harness(model_directory)
        predictor = Predictor(harness.models, postprocess, observers=[Failing(), Recording()])
        await asyncio.gather(*[predictor.score(keys([person])) for person in range(5)])
        answered = True
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await predictor.close()

    run(work())

    assert [rows for rows, _ in seen] == [5]
    assert "observer_failed" in caplog.text


def test_closing_lets_running_batches_end(model_directory: Path) -> None:
    async def work() -> None:
        harness = Harness(model_directory)
        harness.reader.gate = asyncio.Event()
        waiting = asyncio.create_task(harness.predictor.score(keys([1])))
        await until_reads(harness.reader, 1)
        closing = asyncio.create_task(harness.predictor.close())
        await asyncio.sleep(0)
        harness.reader.gate.set()
        await closing

        assert (await waiting).n == 1

    run(work())
