"""Reading and materialising features, ours against Feast's stock Redis store."""

import contextlib
import sys
from collections.abc import Iterator

import msgspec

from bench.feast_repository import PROJECT
from bench.outcome import Bound, Growth, Outcome, Row
from bench.processes import Worker
from bench.ratios import Ratio, alternate, ratio
from bench.registration import bench_contract
from bench.requests import single
from bench.stage import HARNESS, PEER_ENTITIES, Stage

__all__ = ["feature_read", "growth", "materialise"]

READ_ENTITIES = (1, 100, 1000)
TARGETS = {1000: Bound("≥", 100.0)}
GROWTH_CONNECTIONS = 32
MEGABYTE = 1e6


@contextlib.contextmanager
def reader(stage: Stage, entities: int) -> Iterator[Worker]:
    """Run the platform's reader over a store of so many entities."""
    contract = stage.home / "run" / "contract.json"
    contract.write_bytes(msgspec.json.encode(bench_contract(stage.data.model())))
    url = stage.our_redis_url(entities)
    with Worker.running(
        "reader",
        [sys.executable, "-m", "bench.reader_worker", url, str(contract), PROJECT],
        log=stage.home / "run" / "reader.log",
        cwd=stage.home,
        env={"PYTHONPATH": str(HARNESS)},
    ) as worker:
        yield worker


def feature_read(stage: Stage, outcome: Outcome) -> None:
    """Read 1, 100 and 1,000 entities: into the model's matrix, against `get_online_features` to a dictionary."""
    stage.stock_materialised  # noqa: B018  (made once, on first use)
    with reader(stage, stage.largest) as ours, stage.stock_repository.worker() as stock:
        for entities in READ_ENTITIES:
            question = {"entities": entities, "known": PEER_ENTITIES, "seconds": stage.mode.seconds}
            mine, theirs = alternate(
                lambda question=question: float(ours.ask(question)["p50"]),  # type: ignore[misc]  # bound early
                lambda question=question: float(stock.ask({"do": "read", **question})["p50"]),  # type: ignore[misc]
                stage.mode.rounds,
            )
            outcome.rows.append(
                Row(
                    what=f"feature read, {entities:,} entities × 32 features",
                    against="get_online_features of Feast's Redis store",
                    measured=ratio(theirs, mine),
                    target=TARGETS.get(entities),
                    ours=f"{min(mine) * 1e6 / entities:.2f} µs an entity",
                    theirs=f"{min(theirs) * 1e6 / entities:.0f} µs an entity",
                )
            )


def materialise(stage: Stage, outcome: Outcome) -> None:
    """Rows a second of `materialize`: ours over the mode's largest size, Feast's stock store over a sample."""
    mine = stage.our_materialised(stage.largest)
    theirs = stage.stock_materialised
    measured = mine["rows_per_second"] / theirs["rows_per_second"]
    smallest = stage.our_materialised(stage.mode.sizes[0])
    outcome.rows.append(
        Row(
            what=f"materialising {stage.largest:,} entities × 32 features (3 views)",
            against="Feast's Redis store",
            measured=Ratio(measured, measured, measured),
            target=Bound("≥", 20.0),
            ours=f"{mine['rows_per_second']:,.0f} rows/s, {mine['seconds']:.0f} s",
            theirs=f"{theirs['rows_per_second']:,.0f} rows/s",
            note=f"a row is a (view, entity); Feast's own on a sample of {PEER_ENTITIES:,} entities; one round",
        )
    )
    peaks = [figures["peak_bytes"] / MEGABYTE for figures in (mine, smallest)]
    outcome.rows.append(
        Row(
            what=f"materialising, peak memory at {stage.largest:,} entities",
            against=f"at {stage.mode.sizes[0]:,} entities",
            measured=Ratio(peaks[0] / peaks[1], peaks[0] / peaks[1], peaks[0] / peaks[1]),
            ours=f"{peaks[0]:,.0f} MB",
            theirs=f"{peaks[1]:,.0f} MB",
            note="the whole process with Feast and DuckDB in it; bounded memory stays near 1",
        )
    )


def growth(stage: Stage, outcome: Outcome) -> None:
    """How the costs of a read and of a single score grow with the number of entities in the store."""
    reads: list[float] = []
    scores: list[float] = []
    rates: list[float] = []
    for entities in stage.mode.sizes:
        known = min(entities, 100_000)
        with reader(stage, entities) as worker:
            answer = worker.ask({"entities": 1000, "known": known, "seconds": stage.mode.seconds})
        reads.append(float(answer["p50"]) * 1e3)
        requests = [single(entity * entities // 2000, stage.api_key) for entity in range(2000)]
        with stage.ours(entities) as server:
            sample = stage.load(server, requests, GROWTH_CONNECTIONS)
        scores.append(1e6 / sample.throughput)
        rates.append(1e6 / float(stage.our_materialised(entities)["rows_per_second"]))
    sizes = stage.mode.sizes
    outcome.growth += [
        Growth("feature read, an entity (of 1,000 at once)", sizes, tuple(reads)),
        Growth("single score, at 32 connections", sizes, tuple(scores)),
        Growth("materialising, a row", sizes, tuple(rates)),
    ]
