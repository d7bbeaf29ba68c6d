import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference import ChallengerCanary, Comparison, LiveModel, OutputSpec, Predictor, Shadow, ShadowLimits
from inference.challenger import is_canary
from inference.errors import NoModelError
from inference.testing import FixedModel, InMemoryFeatureReader, live_model

KEYS = {"candidate_id": ["c1", "c2", "c3", "unknown"]}
ROWS = {("c1",): {"years_experience": 3}, ("c2",): {"years_experience": 20}, ("c3",): {"years_experience": 50}}


def postprocess(raw: NDArray[np.float64], _output: OutputSpec) -> dict[str, NDArray[Any]]:
    return {"estimate": raw, "high": (raw > 8.5).astype(object)}


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


def loaded(directory: Path, version: str) -> LiveModel:
    live = live_model(directory, version=version)
    assert isinstance(live.reader, InMemoryFeatureReader)
    for key, values in ROWS.items():
        live.reader.put(key, values)
    return live


class Nothing:
    def current(self) -> LiveModel:
        raise NoModelError("no challenger")


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # the figures are values to poll
            await asyncio.sleep(0.005)


def test_the_same_rows_are_compared_and_the_store_is_not_asked(model_directory: Path, other_directory: Path) -> None:
    async def work() -> None:
        champion, challenger = loaded(model_directory, "1"), loaded(other_directory, "2")
        shadow = Shadow(FixedModel(challenger), postprocess, ShadowLimits(share=1.0))
        await shadow.start()
        predictor = Predictor(FixedModel(champion), postprocess, observers=(shadow,))
        rows = await predictor.score(KEYS)
        await until(lambda: [one for one in shadow.comparisons.values() if one.rows])
        expected = await Predictor(FixedModel(challenger), postprocess).score(KEYS)
        (found,) = shadow.comparisons.values()
        await shadow.close()
        await predictor.close()

        difference = (expected.raw - rows.raw)[rows.found]
        assert (found.champion, found.challenger, found.rows) == ("1", "2", 3)
        assert found.mean_difference == pytest.approx(difference.mean())
        assert found.agreeing == int(np.sum((expected.raw > 8.5)[rows.found] == (rows.raw > 8.5)[rows.found]))
        assert isinstance(challenger.reader, InMemoryFeatureReader)
        assert challenger.reader.reads == [4]

    run(work())


def test_a_busy_challenger_drops_rows_and_holds_nobody_up(model_directory: Path, other_directory: Path) -> None:
    async def work() -> None:
        champion, challenger = loaded(model_directory, "1"), loaded(other_directory, "2")
        shadow = Shadow(FixedModel(challenger), postprocess, ShadowLimits(share=1.0, waiting_batches=2))
        await shadow.start()
        rows = await Predictor(FixedModel(champion), postprocess).score(KEYS)
        for _ in range(10):
            shadow.observe(rows)

        assert shadow.dropped_rows == 8 * 4
        await shadow.close()

    run(work())


def test_the_champion_is_not_compared_with_itself_and_nothing_with_nothing(model_directory: Path) -> None:
    async def work() -> None:
        champion = loaded(model_directory, "1")
        rows = await Predictor(FixedModel(champion), postprocess).score(KEYS)
        for source in (FixedModel(champion), Nothing()):
            shadow = Shadow(source, postprocess, ShadowLimits(share=1.0))
            await shadow.start()
            shadow.observe(rows)
            await asyncio.sleep(0)
            assert shadow.comparisons == {}
            await shadow.close()

    run(work())


def test_a_challenger_that_fails_is_counted_and_goes_on(
    model_directory: Path, other_directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_raw: NDArray[np.float64], _output: OutputSpec) -> dict[str, NDArray[Any]]:
        raise KeyError("a table")

    async def work() -> None:
        champion, challenger = loaded(model_directory, "1"), loaded(other_directory, "2")
        shadow = Shadow(FixedModel(challenger), broken, ShadowLimits(share=1.0))
        await shadow.start()
        rows = await Predictor(FixedModel(champion), postprocess).score(KEYS)
        shadow.observe(rows)
        shadow.observe(rows)
        await until(lambda: sum(one.failures for one in shadow.comparisons.values()) == 2)
        await shadow.close()

    run(work())
    assert "shadow_failed" in caplog.text


def test_a_canarys_share_is_sticky_and_answered_by_the_challenger(model_directory: Path, other_directory: Path) -> None:
    async def work() -> None:
        champion, challenger = loaded(model_directory, "1"), loaded(other_directory, "2")
        canary = ChallengerCanary(Predictor(FixedModel(challenger), postprocess), 0.5)
        predictor = Predictor(FixedModel(champion), postprocess, canary=canary)
        first = {name: (await predictor.score({"candidate_id": [name]})).model.version for name in ("c1", "c2", "c3")}
        again = {name: (await predictor.score({"candidate_id": [name]})).model.version for name in ("c1", "c2", "c3")}
        bulk = await predictor.score(KEYS)

        assert first == again
        assert first == {name: "2" if is_canary({"candidate_id": [name]}, 0.5) else "1" for name in first}
        assert bulk.model.version == "1"

    run(work())


def test_a_canary_without_a_challenger_is_answered_by_the_champion(model_directory: Path) -> None:
    async def work() -> None:
        champion = loaded(model_directory, "1")
        canary = ChallengerCanary(Predictor(Nothing(), postprocess), 1.0)
        predictor = Predictor(FixedModel(champion), postprocess, canary=canary)

        assert (await predictor.score({"candidate_id": ["c1"]})).model.version == "1"

    run(work())


def test_a_share_is_met_over_entities() -> None:
    taken = sum(is_canary({"candidate_id": [f"c{number:07}"]}, 0.1) for number in range(10_000))

    assert taken == pytest.approx(1000, rel=0.1)


def test_the_figures_of_significance_are_the_textbooks(model_directory: Path) -> None:
    from scipy import stats

    async def work() -> None:
        champion = loaded(model_directory, "1")
        rows = await Predictor(FixedModel(champion), postprocess).score({"candidate_id": ["c1"] * 500})
        rng = np.random.default_rng(0)
        comparison, differences = Comparison("1", "2"), rng.normal(0.01, 0.1, 500)
        for start in range(0, 500, 50):
            part = rows.slice(start, start + 50)
            output = part.raw + differences[start : start + 50]
            comparison.add(part, {}, output)

        expected = stats.ttest_1samp(differences, 0.0)
        signs = stats.binomtest(int(np.sum(differences > 0)), 500)
        assert comparison.mean_difference == pytest.approx(differences.mean())
        assert comparison.p_value == pytest.approx(expected.pvalue, rel=0.05)
        assert comparison.interval == pytest.approx(tuple(expected.confidence_interval()), rel=0.02)
        assert comparison.sign_p_value == pytest.approx(signs.pvalue, abs=0.01)

    run(work())
