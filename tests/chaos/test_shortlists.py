"""Aliases move in a real MLflow while callers ask for shortlists: guard and challenger see what they ask."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from promotion_models import CANDIDATES, JOBS, MATCHING, matching_version
from promotion_processes import until
from promotion_world import Served, World, match_scores

pytestmark = pytest.mark.timeout(900)
LIMIT = 20


@dataclass
class Caller:
    """Asks for a shortlist and a single score in turn, and checks the shortlists."""

    served: Served
    expected: dict[str, dict[str, dict[str, float]]]
    """Version to job to candidate to score."""
    jobs: Iterator[str] = field(default_factory=lambda: itertools.cycle(JOBS))
    failed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    ranked_by: list[str] = field(default_factory=list)
    scored_by: set[str] = field(default_factory=set)

    def ask(self) -> bool:
        """Ask once; whether all is well."""
        job = next(self.jobs)
        listed = self._post("/v1/shortlist", job_id=job, limit=LIMIT)
        single = self._post("/v1/score", job_id=job, candidate_id=CANDIDATES[0])
        if listed is None or single is None:
            return False
        self.scored_by.add(single["model"]["version"])
        version = listed["model"]["version"]
        self.ranked_by.append(version)
        scores = self.expected.get(version, {}).get(job, {})
        best = sorted(scores.values(), reverse=True)[:LIMIT]
        for place, row in zip(best, listed["candidates"], strict=True):
            score = row["prediction"]["score"]
            if max(abs(score - place), abs(score - scores[row["candidate_id"]])) > 1e-9:
                self.wrong.append(f"{version} {job} {row}, expected {place}")
        return True

    def _post(self, route: str, **body: Any) -> Any:
        answer = self.served.client.post(route, json=body)
        if answer.status_code != 200:
            self.failed.append(f"{route} {answer.status_code}: {answer.text[:200]}")
            return None
        return answer.json()


@dataclass(frozen=True)
class Ranking:
    """The service that ranks, its good version, and a caller."""

    served: Served
    good: str
    caller: Caller


@pytest.fixture(scope="module")
def service(world: World) -> Iterator[Ranking]:
    world.mlflow.post("registered-models/create", name=MATCHING)
    directory = matching_version(world.home / "matching", trees=12)
    good = world.mlflow.publish(directory, MATCHING)
    world.mlflow.move(good, name=MATCHING)
    served = world.serve("ranking", world.home / "ranking", service=MATCHING, challenger_share="1.0")
    try:
        served.until_ready()
        body = {"job_id": JOBS[0]}
        until(lambda: served.client.post("/v1/shortlist", json=body).status_code == 200, 60, "the pool is read")
        expected = {good: {job: match_scores(directory, job) for job in JOBS}}
        yield Ranking(served, good, Caller(served, expected))
    finally:
        served.stop()


def test_a_challenger_is_compared_on_the_rows_of_shortlists(world: World, service: Ranking) -> None:
    """Single scores alone would take hundreds of calls for as many rows."""
    number = world.mlflow.publish(matching_version(world.home / "matching-challenger", trees=14), MATCHING)
    world.mlflow.move(number, "challenger", MATCHING)
    until(lambda: service.served.model()["challenger"], 60, "the challenger is loaded")
    for _ in range(5):
        service.caller.ask()

    def compared() -> Any:
        (found,) = service.served.model()["comparisons"] or [None]
        return found and found["rows"] >= 5 * len(CANDIDATES) and found

    figures = until(compared, 60, "the rows of five shortlists by both")

    assert (figures["champion"], figures["challenger"], figures["failures"]) == (service.good, number, 0)
    assert (service.caller.failed, service.caller.wrong) == ([], [])


def test_a_version_that_errs_in_shortlists_alone_is_rolled_back_and_no_caller_notices(
    world: World, service: Ranking
) -> None:
    """Single scores are answered by it until then; the shortlists that it cannot make by the version before."""
    erring: Path = matching_version(world.home / "crowded", trees=13, on_demand="promotion_features:crowded")
    bad = world.mlflow.publish(erring, MATCHING)
    caller, served = service.caller, service.served
    world.mlflow.move(bad, name=MATCHING)
    until(lambda: caller.ask() and bad in caller.scored_by, 60, "the bad version answers single scores")
    until(lambda: caller.ask() and served.model()["rollbacks"] == 1, 60, "the rollback")
    until(lambda: "serving.rolled_back_to" in world.mlflow.tags(bad, MATCHING), 20, "the tags")
    for _ in range(5):
        caller.ask()
    model = served.model()

    assert (caller.failed, caller.wrong) == ([], [])
    assert set(caller.ranked_by) == {service.good}
    assert model["champion"]["version"] == service.good
    assert {one["version"]: one["code"] for one in model["refused"]} == {bad: "guard_errors"}
    assert "ranked rows had no finite answer" in world.mlflow.tags(bad, MATCHING)["serving.rolled_back"]
